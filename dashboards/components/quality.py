"""The pipeline's health: checks, accounts, gaps, imported files, rows left out."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from dashboards.components.blocks import empty
from dashboards.components.formatting import MISSING, day
from dashboards.components.templates import macros
from dashboards.components.vocabularies import word
from include.ingestion.authorization import AUTHORIZATION_LASTS, WARN_AFTER

_quality = macros("quality.html.j2")


def data_state(state: Mapping[str, Any], time_zone: str) -> Markup:
    """Whether the newest run's checks passed.

    :param state: of queries.data_state().
    """
    return _quality.data_state(state, time_zone)


def token_age(authorized_at: dt.datetime | None, today: dt.date) -> tuple[str, str]:
    """Days since the listener authorized their account, and when the authorization expires."""
    if authorized_at is None:
        return MISSING, "not authorized: exports only"
    authorized_on = authorized_at.date()
    ends = f"expires about {day(authorized_on + AUTHORIZATION_LASTS)}"
    age = today - authorized_on
    return f"{age.days} days", _quality.warning(f"{ends}: authorize again") if age >= WARN_AFTER else ends


def check_history(history: pd.DataFrame) -> Markup:
    """One line a check, one mark a run, the oldest left; colour and shape both tell the outcome. Checks that always
    passed are folded away.

    :param history: of queries.check_history().
    """
    runs = list(history.sort_values("checked_at")["run_id"].drop_duplicates())
    noticed: list[dict[str, Any]] = []
    passed: list[dict[str, Any]] = []
    checks: dict[tuple[str, str], dict[str, Any]] = {}
    for row in history.itertuples():
        checks.setdefault((row.table_name, row.check_name), {})[row.run_id] = row
    for (table, name), by_run in checks.items():
        outcomes = dict(Counter(row.outcome for row in by_run.values()).most_common())
        check = {"table": table, "name": name, "results": [by_run.get(run) for run in runs], "outcomes": outcomes}
        (passed if outcomes.keys() == {"PASS"} else noticed).append(check)
    return _quality.check_history(noticed, passed)


def checks_of_run(checks: pd.DataFrame) -> Markup:
    """The checks that warned or failed, and behind a summary those that passed.

    :param checks: of queries.checks().
    """
    passed = checks["outcome"] == "PASS"
    return _quality.checks_of_run(list(checks[~passed].itertuples()), list(checks[passed].itertuples()))


def accounts_table(accounts: pd.DataFrame, user_id: str) -> Markup:
    """Every listener with the state of each pipeline; the page's own in bold.

    :param accounts: of queries.accounts().
    """
    return _quality.accounts(list(accounts.itertuples()), user_id)


def gaps_table(gaps: pd.DataFrame, time_zone: str) -> Markup:
    """Times whose plays are missing.

    :param gaps: of queries.gaps().
    """
    if gaps.empty:
        return empty("No gaps: every poll reached back to plays that were already stored.")
    return _quality.gaps(list(gaps.itertuples()), time_zone)


def files_table(files: pd.DataFrame) -> Markup:
    """The imported export files with what became of their rows.

    :param files: of queries.files().
    """
    if files.empty:
        return empty("No export imported. An Extended Streaming History fills in the years before the first poll.")
    return _quality.files(list(files.itertuples()))


def left_out_table(files: pd.DataFrame, excluded: pd.DataFrame) -> Markup:
    """Rows that are no plays of their own, by reason: those the import skipped, then those left out later.

    :param files: of queries.files(). :param excluded: of queries.excluded().
    """
    skipped: Counter[str] = Counter()
    for reasons in files["skipped_rows"]:
        skipped.update(reasons or {})
    rows = [
        ("import", word("ingested_files", "skipped_rows", reason).label, number)
        for reason, number in skipped.most_common()
    ]
    rows += [
        (
            word("excluded_events", "source", row.source).label,
            word("excluded_events", "reason", row.reason).label,
            row.rows,
        )
        for row in excluded.itertuples()
    ]
    return _quality.left_out(rows) if rows else empty("No rows left out.")
