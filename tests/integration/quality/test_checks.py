"""Every check in include/soda: clean data passes, and each check notices data that was corrupted for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from include.soda import scan as soda_scan
from include.soda.scan import CheckResult, DatabaseAddress, run_scan
from tests.integration.quality.conftest import AS_OF
from tests.integration.quality.corruptions import CORRUPTIONS

SCHEMAS = soda_scan.SCHEMAS
FILES = [path for scan in SCHEMAS for path in sorted((soda_scan.HERE / scan).glob("*.yml"))]
SCHEMA_FILES = [
    path for path in FILES if path.stem not in ("pending_days", "held_listeners")
]  # no tables of their layer
CASES = [
    pytest.param(key, corruption, key[0], id=f"{'.'.join(key)}-{number}")
    for key, corruptions in CORRUPTIONS.items()
    for number, corruption in enumerate(corruptions)
]


def written_checks() -> list[tuple[str, str, str]]:
    """Every check that stands in YAML, as (scan, table, check)."""
    found = []
    for path in FILES:
        for header, checks in yaml.safe_load(path.read_text()).items():
            assert header.startswith("checks for "), f"{path}: {header}"
            found += [
                (path.parent.name, path.stem, check if isinstance(check, str) else next(iter(check)))
                for check in checks
            ]
    return found


def scanned(scan: str, folder: Path = soda_scan.HERE) -> dict[str, CheckResult]:
    address = DatabaseAddress(host="of the fixture", database="", username="")
    return {result.check_id: result for result in run_scan(scan, address, AS_OF, folder=folder)}


@pytest.fixture
def only_file_of(tmp_path: Path):
    """A folder of checks with nothing in it but one table's file."""

    def folder(scan: str, table: str) -> Path:
        (tmp_path / scan).mkdir()
        (tmp_path / scan / f"{table}.yml").write_text((soda_scan.HERE / scan / f"{table}.yml").read_text())
        return tmp_path

    return folder


def test_every_check_has_a_corruption_and_says_what_it_is():
    checks = written_checks()
    assert len(checks) == len(set(checks))
    assert {key for key in checks if key[2] != "schema"} == CORRUPTIONS.keys()
    for path in FILES:
        for checks_of_table in yaml.safe_load(path.read_text()).values():
            for check in checks_of_table:
                ((key, written),) = check.items()
                assert written["name"], f"{path}: {key}"
                assert written["attributes"]["severity"] in soda_scan.SEVERITIES
                assert key == "schema" or f"{key} query" in written, f"{path}: {key}"


@pytest.mark.parametrize(("scan", "corruptible"), [(scan, scan) for scan in SCHEMAS], indirect=["corruptible"])
def test_clean_data_pass(scan, corruptible):
    results = scanned(scan)
    # a newcomer with 12 plays has a short playlist
    noticed = {result.check_id for result in results.values() if result.outcome != "PASS"} - {
        "playlists.short_playlists"
    }
    assert noticed == set()
    assert results.keys() == {f"{table}.{check}" for layer, table, check in written_checks() if layer == scan}


@pytest.mark.parametrize(("key", "corruption", "corruptible"), CASES, indirect=["corruptible"])
def test_a_check_notices_corrupted_data(key, corruption, corruptible, only_file_of):
    scan, table, check = key
    with corruptible.cursor() as cursor:
        cursor.execute(corruption.sql)
        cursor.execute(f"set local search_path = {SCHEMAS[scan]}")
    result = scanned(scan, only_file_of(scan, table))[f"{table}.{check}"]
    assert result.outcome == corruption.outcome, result
    assert result.message
    if corruption.value is not None:
        assert result.measured_value == pytest.approx(corruption.value), result


@pytest.mark.parametrize(
    ("path", "corruptible"),
    [pytest.param(path, path.parent.name, id=f"{path.parent.name}.{path.stem}") for path in SCHEMA_FILES],
    indirect=["corruptible"],
)
def test_a_schema_check_notices_missing_and_retyped_columns(path, corruptible, tmp_path):
    scan, table = path.parent.name, path.stem
    (tmp_path / scan).mkdir()
    checks = yaml.safe_load(path.read_text())[f"checks for {table}"]
    (tmp_path / scan / path.name).write_text(yaml.safe_dump({f"checks for {table}": checks[:1]}))
    with corruptible.cursor() as cursor:
        cursor.execute(
            "select column_name, data_type from information_schema.columns where table_schema = %s and table_name = %s"
            " order by ordinal_position",
            [SCHEMAS[scan], table],
        )
        columns = dict(cursor.fetchall())
        assert checks[0]["schema"]["fail"]["when wrong column type"] == columns
        gone, retyped = list(columns)[-2:]
        cursor.execute(f"alter table {SCHEMAS[scan]}.{table} rename column {gone} to elsewhere")
        cursor.execute(f"alter table {SCHEMAS[scan]}.{table} rename column {retyped} to was_{retyped}")
        cursor.execute(f"alter table {SCHEMAS[scan]}.{table} add column {retyped} bytea")
        cursor.execute(f"set local search_path = {SCHEMAS[scan]}")
    result = scanned(scan, tmp_path)[f"{table}.schema"]
    assert (result.outcome, result.measured_value) == ("FAIL", 2)
    assert gone in result.message
    assert retyped in result.message
