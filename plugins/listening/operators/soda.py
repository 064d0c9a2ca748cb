"""The quality gates: scan a layer with Soda, branch on the outcome, send an alert if it is a FAIL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from include.pipeline import parse_time
from include.soda.scan import OUTCOMES, CheckResult, DatabaseAddress, run_scan
from include.sql.queries import query
from listening.links import QUALITY
from listening.operators.base import ListeningDbOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

ALERTS = "listening_alerts"


class SodaScanOperator(ListeningDbOperator):
    """Runs every check of a layer (YAML in `include/soda/<scan>`) and stores the results in `qa_validation_results`.

    Returns the summary that the gate reads: `{"scan", "outcome": "PASS" | "WARN" | "FAIL", "pass", "warn", "fail",
    "failed": [{"check", "table", "value"}, …], "warned": […]}`. A FAIL does not fail the task, because the gate
    branches on it; a check that could not be run does. Without a FAIL the state that was scanned may be published
    (staging.pass_scan).

    :param scan: `raw`, `analytics` or `ml`.
    :param as_of: the run's time, ISO 8601; without offset it is UTC.
    :raises ScanError: checks could not be run or evaluated, or there are none; retried.
    """

    template_fields: Sequence[str] = ("scan", "as_of")
    ui_color = "#d7e8d4"
    operator_extra_links = (QUALITY,)

    def __init__(self, *, scan: str, as_of: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scan = scan
        self.as_of = as_of

    def execute(self, context: Context) -> dict[str, Any]:
        with self.connect() as connection:
            [(seen,)] = connection.execute(query("quality", "begin_scan"), {"scan": self.scan}).fetchall()
            connection.commit()
            results = run_scan(
                self.scan,
                DatabaseAddress.of(BaseHook.get_connection(self.postgres_conn_id)),
                parse_time(self.as_of),
            )
            summary = self._summarise(results)
            self._store(connection, context["run_id"], results, seen if summary["outcome"] != "FAIL" else None)
        self._log(summary)
        return summary

    def _summarise(self, results: list[CheckResult]) -> dict[str, Any]:
        counts = Counter(result.outcome for result in results)
        return {
            "scan": self.scan,
            "outcome": next((outcome for outcome in reversed(OUTCOMES) if counts[outcome]), "PASS"),
            **{outcome.lower(): counts[outcome] for outcome in OUTCOMES},
            "failed": [_brief(result) for result in results if result.outcome == "FAIL"],
            "warned": [_brief(result) for result in results if result.outcome == "WARN"],
        }

    def _store(self, connection: Any, run_id: str, results: list[CheckResult], passed: int | None) -> None:
        """Replace the results of an earlier try of this run and pass change `passed` (or none), in one transaction."""
        names = {"run_id": run_id, "scan": self.scan}
        with connection.cursor() as cursor:
            cursor.execute(query("quality", "delete_results"), names)
            cursor.executemany(query("quality", "insert_result"), [{**names, **vars(result)} for result in results])
            if passed is not None:
                cursor.execute(query("quality", "pass_scan"), {**names, "seen": passed})
        connection.commit()

    def _log(self, summary: dict[str, Any]) -> None:
        for check in summary["failed"]:
            self.log.error("FAIL %s", _line(check))
        for check in summary["warned"]:
            self.log.warning("WARN %s", _line(check))
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
    if outcome not in OUTCOMES:
        raise AirflowFailException(
            f"{scan_task_id} left no outcome (found {outcome!r}); clear it and let it run again."
        )
    return on_fail if outcome == "FAIL" else on_pass


class QualityFailedOperator(BaseOperator):
    """Sends an alert that names the failed checks, then fails the run.

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
            # The first FAIL is the one: results of later scans are from before the run was cleared.
            if summary and summary["outcome"] == "FAIL":
                return [f"{scan}: {_line(check)}" for check in summary["failed"]]
        return [f"unknown: none of the scans {', '.join(self.scans)} left a FAIL; see their logs"]


def _brief(result: CheckResult) -> dict[str, Any]:
    return {"check": result.check_name, "table": result.table_name, "value": result.measured_value}


def _line(check: dict[str, Any]) -> str:
    value = check["value"]
    return f"{check['table']}: {check['check']} = {'not measured' if value is None else f'{value:g}'}"
