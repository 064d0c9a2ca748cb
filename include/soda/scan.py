"""Runs the checks of one layer with Soda Core and returns what each measured.

The checks are YAML (SodaCL), with a folder per layer and a file per table, named like the table. To add a check, write
it there; its `attributes: severity:` is critical, major or minor. In queries `${as_of}` is the run's time (UTC, ISO
8601), `${authorization_warns_after}` and `${authorization_lasts}` are intervals.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.ingestion.authorization import AUTHORIZATION_LASTS, WARN_AFTER
from include.soda.library import load_soda

HERE = Path(__file__).parent
DATA_SOURCE = "listening"
SCHEMAS = {"raw": "public", "analytics": "staging", "ml": "staging"}  # scan -> schema of its tables
SEVERITIES = ("critical", "major", "minor")  # constraint known_severity
OUTCOMES = ("PASS", "WARN", "FAIL")  # constraint known_outcome; the worst one last
SODA_ERROR = 3
_SCHEMA_FIELDS = (  # a schema check's diagnostics, one for each kind of difference
    "missing_column_names",
    "present_column_names",
    "column_type_mismatches",
    "column_index_mismatches",
    "column_additions",
    "column_deletions",
    "column_type_changes",
    "column_index_changes",
)


class ScanError(Exception):
    """Not all checks could be run, so nothing is known about the data."""


@dataclass(frozen=True)
class DatabaseAddress:
    """How to reach the listening database; `host` may be the folder of a Unix socket."""

    host: str
    database: str
    username: str
    password: str = field(default="", repr=False)
    port: int | None = None
    sslmode: str = "prefer"

    @classmethod
    def of(cls, connection: Any) -> DatabaseAddress:
        """The address in an Airflow connection."""
        return cls(
            host=connection.host or "localhost",
            database=connection.schema or "",
            username=connection.login or "",
            password=connection.password or "",
            port=connection.port,
            sslmode=connection.extra_dejson.get("sslmode", "prefer"),
        )

    def variables(self) -> dict[str, str]:
        """The variables of configuration.yml."""
        return {f"listening_db_{name}": _yaml_scalar(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class CheckResult:
    """What one check measured.

    :ivar check_id: table and check, unique within a scan.
    :ivar table_name: the table the check is about: the stem of its file.
    :ivar check_text: the check as written.
    :ivar outcome: PASS, WARN or FAIL.
    :ivar severity: critical, major or minor.
    :ivar measured_value: a count, share or sum, as the check says; freshness in seconds; schema: columns that differ.
    :ivar message: after a WARN or FAIL, what was measured and the thresholds.
    :ivar duration_ms: of the check's queries; checks that share a query all have its duration.
    """

    check_id: str
    table_name: str
    check_name: str
    check_text: str
    outcome: str
    severity: str
    measured_value: float | None
    message: str | None
    duration_ms: int


def run_scan(scan: str, database: DatabaseAddress, as_of: datetime, *, folder: Path = HERE) -> list[CheckResult]:
    """Run every check of a layer; return the results in the order of the checks.

    :param scan: `raw`, `analytics` or `ml`.
    :param as_of: the run's time; without offset it is UTC.
    :param folder: contains the folder of the scan's checks.
    :raises ScanError: a check could not be parsed, run or evaluated, two share a name, or there are none.
    """
    if scan not in SCHEMAS:
        raise ScanError(f"Unknown scan {scan!r}: expected one of {', '.join(SCHEMAS)}.")
    moment = as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    variables = {
        **database.variables(),
        "listening_db_schema": _yaml_scalar(SCHEMAS[scan]),
        "as_of": moment.astimezone(UTC).isoformat(),
        "authorization_warns_after": f"{WARN_AFTER.days} days",
        "authorization_lasts": f"{AUTHORIZATION_LASTS.days} days",
    }
    # Soda prefers environment variables to its own.
    if overriding := sorted(variables.keys() & os.environ.keys()):
        raise ScanError(
            f"Unset the environment variables {', '.join(overriding)}: Soda would use them instead of its own."
        )

    soda = load_soda()()
    soda.set_scan_definition_name(f"listening_{scan}")
    soda.set_data_source_name(DATA_SOURCE)
    soda.add_variables(variables)
    soda.add_configuration_yaml_file(str(HERE / "configuration.yml"))
    soda.add_sodacl_yaml_files(str(folder / scan))
    try:
        code = soda.execute()
    finally:
        for source in soda._data_source_scans:  # Soda leaves its connection open, in a transaction
            source.data_source.disconnect()

    if code == SODA_ERROR or soda.has_error_logs():
        raise ScanError(f"Scan {scan} could not be run:\n{soda.get_error_logs_text()}")
    checks = list(soda._checks)
    if not checks:
        raise ScanError(f"Scan {scan} has no checks: nothing was checked in {folder / scan}.")
    if unchecked := [check.name for check in checks if check.outcome is None]:
        raise ScanError(f"Scan {scan} did not evaluate: {', '.join(unchecked)}.")
    # Soda's results have the order of its checks. Asking each check would render its YAML again.
    details = soda.get_scan_results()["checks"]
    results = [_result(check, detail, soda._queries) for check, detail in zip(checks, details, strict=True)]
    ids = [result.check_id for result in results]
    if repeated := sorted({check_id for check_id in ids if ids.count(check_id) > 1}):
        raise ScanError(f"Scan {scan} has the same check twice: {', '.join(repeated)}.")
    return results


def _yaml_scalar(value: str | int | None) -> str:
    """The value as YAML that neither of Soda's two template passes changes."""
    return json.dumps(value).replace("$", "\\u0024").replace("{", "\\u007b")


def _result(check: Any, detail: dict[str, Any], queries: list[Any]) -> CheckResult:
    table = Path(check.check_cfg.location.file_path).stem
    outcome = check.outcome.name
    value = _measured_value(detail["diagnostics"])
    return CheckResult(
        check_id=f"{table}.{check.check_cfg.source_line}",
        table_name=table,
        check_name=check.name,
        check_text=detail["definition"].strip(),
        outcome=outcome,
        severity=_severity(check),
        measured_value=value,
        message=None if outcome == "PASS" else _message(check, value, detail["diagnostics"]),
        duration_ms=_duration_ms(check, queries),
    )


def _severity(check: Any) -> str:
    severity = check.attributes.get("severity", "critical")
    if severity not in SEVERITIES:
        raise ScanError(f"Check {check.name!r}: severity {severity!r} is none of {', '.join(SEVERITIES)}.")
    return severity


def _measured_value(diagnostics: dict[str, Any]) -> float | None:
    if _SCHEMA_FIELDS[0] in diagnostics:
        return float(sum(len(diagnostics[field]) for field in _SCHEMA_FIELDS))
    if diagnostics.get("measure") == "time":
        return diagnostics["value"] / 1000
    value = diagnostics.get("value")
    return None if value is None else float(value)


def _message(check: Any, value: float | None, diagnostics: dict[str, Any]) -> str:
    configurations = check.check_cfg.source_configurations or {}
    if differing := {field: diagnostics[field] for field in _SCHEMA_FIELDS if diagnostics.get(field)}:
        return "; ".join(f"{field}: {differing[field]}" for field in differing)
    thresholds = [f"{level} {configurations[level]}" for level in ("warn", "fail") if configurations.get(level)]
    return f"measured {value:g}; {', '.join(thresholds) or check.check_cfg.source_line}"


def _duration_ms(check: Any, queries: list[Any]) -> int:
    metrics = set(check.metrics.values())
    own = [
        query
        for query in queries
        if query.duration is not None
        and (getattr(query, "metric", None) in metrics or metrics & set(getattr(query, "metrics", ())))
    ]
    own += [query for metric in metrics for query in metric.queries if query not in own and query.duration is not None]
    return round(sum(query.duration.total_seconds() for query in own) * 1000)
