"""The quality gates: scan a layer with Soda, branch on the outcome, tell people when a gate stays shut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

SQL_FOLDER = Path(__file__).parents[1] / "include" / "sql" / "quality"


class SodaScanOperator(BaseOperator):
    """Run every check of a layer (YAML in `include/soda/<scan>`) and store what each measured in `qa_validation_results`.

    Returns the summary the gate reads: `{"scan", "outcome": "PASS" | "WARN" | "FAIL", "pass", "warn", "fail", "failed":
    [{"check", "table", "value"}, …], "warned": […]}`. A FAIL does not fail the task; a check that could not be run does.

    :param scan: `raw`, `analytics` or `ml`.
    :param postgres_conn_id: connects to the listening database as the tasks' role.
    :param as_of: the run's time, ISO 8601; without offset it is UTC.
    :raises AirflowException: checks could not be run, or there are none; retried.
    """

    template_fields: Sequence[str] = ("scan", "as_of")
    ui_color = "#d7e8d4"

    def __init__(self, *, scan: str, as_of: str, postgres_conn_id: str = "listening_db", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scan = scan
        self.as_of = as_of
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        from include.soda.scan import DatabaseAddress, ScanError, run_scan

        connection = BaseHook.get_connection(self.postgres_conn_id)
        address = DatabaseAddress(
            host=connection.host or "localhost",
            database=connection.schema or "",
            username=connection.login or "",
            password=connection.password or "",
            port=connection.port,
            sslmode=connection.extra_dejson.get("sslmode", "prefer"),
        )
        moment = datetime.fromisoformat(self.as_of)
        try:
            results = run_scan(self.scan, address, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except ScanError as error:
            raise AirflowException(str(error)) from error
        self._store(context["run_id"], results)

        counts = Counter(result.outcome for result in results)
        outcome = next((level for level in ("FAIL", "WARN") if counts[level]), "PASS")
        summary = {
            "scan": self.scan,
            "outcome": outcome,
            **{level.lower(): counts[level] for level in ("PASS", "WARN", "FAIL")},
            "failed": [_told(result) for result in results if result.outcome == "FAIL"],
            "warned": [_told(result) for result in results if result.outcome == "WARN"],
        }
        for told in summary["failed"]:
            self.log.error("FAIL %s", _line(told))
        for told in summary["warned"]:
            self.log.warning("WARN %s", _line(told))
        self.log.info(
            "Scan %s: %s (%d passed, %d warned, %d failed)", self.scan, outcome, counts["PASS"], counts["WARN"], counts["FAIL"]
        )
        return summary

    def _store(self, run_id: str, results: list[Any]) -> None:
        """Replace what an earlier try of this run stored, in one transaction."""
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        names = {"run_id": run_id, "scan": self.scan}
        connection = PostgresHook(self.postgres_conn_id).get_conn()
        try:
            with connection.cursor() as cursor:
                cursor.execute((SQL_FOLDER / "delete_results.sql").read_text(), names)
                cursor.executemany(
                    (SQL_FOLDER / "insert_result.sql").read_text(), [{**names, **vars(result)} for result in results]
                )
            connection.commit()
        finally:
            connection.close()


def choose_branch(scan_task_id: str, on_pass: str, on_fail: str, **context: Any) -> str:
    """The task that follows a scan: `on_pass` after PASS and WARN, `on_fail` after FAIL.

    :raises AirflowFailException: the scan left no outcome.
    """
    summary = context["ti"].xcom_pull(task_ids=scan_task_id)
    outcome = (summary or {}).get("outcome")
    if outcome not in ("PASS", "WARN", "FAIL"):
        raise AirflowFailException(f"{scan_task_id} left no outcome (found {outcome!r}); clear it and let it run again.")
    return on_fail if outcome == "FAIL" else on_pass


class QualityFailedOperator(BaseOperator):
    """Tell people which checks failed, then fail the run.

    :param scans: the layers in the order in which they are scanned; each has a task `scan_<layer>`.
    :raises AirflowFailException: always; names scan, check, table and value of each failed check.
    """

    ui_color = "#f3c6c2"

    def __init__(self, *, scans: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scans = scans

    def execute(self, context: Context) -> None:
        lines: list[str] = []
        for scan in self.scans:
            summary = context["ti"].xcom_pull(task_ids=f"scan_{scan}")
            if summary and summary["outcome"] == "FAIL":
                lines = [f"{scan}: {_line(told)}" for told in summary["failed"]]
                break  # what a later scan left is from before this task's run was cleared
        raise AirflowFailException("Nothing was published. Failed checks:\n" + "\n".join(lines or ["none on record"]))


def _told(result: Any) -> dict[str, Any]:
    return {"check": result.check_name, "table": result.table_name, "value": result.measured_value}


def _line(told: dict[str, Any]) -> str:
    value = told["value"]
    return f"{told['table']}: {told['check']} = {'not measured' if value is None else f'{value:g}'}"
