"""The quality gates: scan a layer with Soda, branch on the outcome, tell people when a gate stays shut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from include.listening_db import LISTENING_DB, connect
from include.sql.queries import query
from listening.links import QUALITY

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.soda.scan import CheckResult

ALERTS = "listening_alerts"


class SodaScanOperator(BaseOperator):
    """Run every check of a layer (YAML in `include/soda/<scan>`); store what each measured in `qa_validation_results`.

    Returns the summary that the gate reads: `{"scan", "outcome": "PASS" | "WARN" | "FAIL", "pass", "warn", "fail",
    "failed": [{"check", "table", "value"}, …], "warned": […]}`. A FAIL does not fail the task, the gate branches on it;
    a check that could not be run does. A scan without FAIL vouches for the state it saw: only such a state is published
    (staging.pass_scan).

    :param scan: `raw`, `analytics` or `ml`.
    :param postgres_conn_id: connects to the listening database as the tasks' role.
    :param as_of: the run's time, ISO 8601; without offset it is UTC.
    :raises ScanError: checks could not be run or evaluated, or there are none; retried.
    """

    template_fields: Sequence[str] = ("scan", "as_of")
    ui_color = "#d7e8d4"
    operator_extra_links = (QUALITY,)

    def __init__(self, *, scan: str, as_of: str, postgres_conn_id: str = LISTENING_DB, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scan = scan
        self.as_of = as_of
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        from include.soda.scan import DatabaseAddress, run_scan

        moment = datetime.fromisoformat(self.as_of)
        with connect(self.postgres_conn_id) as connection:
            [(seen,)] = connection.execute(query("quality", "begin_scan"), {"scan": self.scan}).fetchall()
            connection.commit()
            results = run_scan(
                self.scan,
                DatabaseAddress.of(BaseHook.get_connection(self.postgres_conn_id)),
                moment if moment.tzinfo else moment.replace(tzinfo=UTC),
            )
            summary = self._summarise(results)
            self._store(connection, context["run_id"], results, seen if summary["outcome"] != "FAIL" else None)
        self._log(summary)
        return summary

    def _summarise(self, results: list[CheckResult]) -> dict[str, Any]:
        counts = Counter(result.outcome for result in results)
        return {
            "scan": self.scan,
            "outcome": next((level for level in ("FAIL", "WARN") if counts[level]), "PASS"),
            **{level.lower(): counts[level] for level in ("PASS", "WARN", "FAIL")},
            "failed": [_told(result) for result in results if result.outcome == "FAIL"],
            "warned": [_told(result) for result in results if result.outcome == "WARN"],
        }

    def _store(self, connection: Any, run_id: str, results: list[CheckResult], passed: int | None) -> None:
        """Replace what an earlier try of this run stored and vouch for change `passed`, in one transaction."""
        names = {"run_id": run_id, "scan": self.scan}
        with connection.cursor() as cursor:
            cursor.execute(query("quality", "delete_results"), names)
            cursor.executemany(query("quality", "insert_result"), [{**names, **vars(result)} for result in results])
            if passed is not None:
                cursor.execute(query("quality", "pass_scan"), {**names, "seen": passed})
        connection.commit()

    def _log(self, summary: dict[str, Any]) -> None:
        for told in summary["failed"]:
            self.log.error("FAIL %s", _line(told))
        for told in summary["warned"]:
            self.log.warning("WARN %s", _line(told))
        self.log.info(
            "Scan %s: %s (%d passed, %d warned, %d failed)",
            *(summary[part] for part in ("scan", "outcome", "pass", "warn", "fail")),
        )


def choose_branch(scan_task_id: str, on_pass: str, on_fail: str, **context: Any) -> str:
    """The task that follows a scan: `on_pass` after PASS and WARN, `on_fail` after FAIL.

    :raises AirflowFailException: the scan left no outcome.
    """
    summary = context["ti"].xcom_pull(task_ids=scan_task_id)
    outcome = (summary or {}).get("outcome")
    if outcome not in ("PASS", "WARN", "FAIL"):
        raise AirflowFailException(
            f"{scan_task_id} left no outcome (found {outcome!r}); clear it and let it run again."
        )
    return on_fail if outcome == "FAIL" else on_pass


class QualityFailedOperator(BaseOperator):
    """Tell people which checks failed, then fail the run.

    :param scans: the layers in the order in which they are scanned; each has a task `scan_<layer>`.
    :param alerts_conn_id: says where to tell it (see `alert_notifier`); without such a connection the log does.
    :raises AirflowFailException: always; names scan, check, table and value of each failed check.
    """

    ui_color = "#f3c6c2"
    operator_extra_links = (QUALITY,)

    def __init__(self, *, scans: Sequence[str], alerts_conn_id: str = ALERTS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scans = scans
        self.alerts_conn_id = alerts_conn_id

    def execute(self, context: Context) -> None:
        from listening.notifiers.alerts import AlertNotifier

        lines = self._failed_checks(context)
        text = "Nothing was published. Failed checks:\n" + "\n".join(lines)
        self.log.error(text)
        dag_run = context["dag_run"]
        notifier = AlertNotifier(
            subject=f"{dag_run.dag_id}: quality gate failed ({lines[0].partition(':')[0]})",
            text=f"{text}\nRun: {dag_run.run_id}",
            conn_id=self.alerts_conn_id,
        )
        try:
            notifier.notify(context)
        except Exception:
            self.log.exception("The alert could not be sent through %s", self.alerts_conn_id)
        raise AirflowFailException(text)

    def _failed_checks(self, context: Context) -> list[str]:
        for scan in self.scans:
            summary = context["ti"].xcom_pull(task_ids=f"scan_{scan}")
            # What a later scan left is from before this run was cleared: a gate that fails skips all after it.
            if summary and summary["outcome"] == "FAIL":
                return [f"{scan}: {_line(told)}" for told in summary["failed"]]
        return [f"unknown: none of the scans {', '.join(self.scans)} left a FAIL; see their logs"]


def _told(result: CheckResult) -> dict[str, Any]:
    return {"check": result.check_name, "table": result.table_name, "value": result.measured_value}


def _line(told: dict[str, Any]) -> str:
    value = told["value"]
    return f"{told['table']}: {told['check']} = {'not measured' if value is None else f'{value:g}'}"
