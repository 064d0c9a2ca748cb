"""The pipeline's health: checks, accounts, gaps, imports, calls."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from dashboards.queries.reader import read, read_one


def data_state() -> dict[str, Any]:
    """Whether the newest run's checks passed, and when data were last found good.

    :return: last_run_id, last_checked_at, failed_checks (of the newest run), last_good_at (the newest run without
    FAIL);
        {} before the first scan.
    """
    return read_one("data_state")


def runs(*, limit: int = 30) -> pd.DataFrame:
    """The newest scanned runs: run_id, checked_at, passed, warned, failed, seconds the checks took."""
    return read("runs", limit=limit)


def checks(run_id: str) -> pd.DataFrame:
    """Every check of one run, the failed ones first."""
    return read("checks", run_id=run_id)


def check_history(*, runs: int = 30) -> pd.DataFrame:
    """run_id, checked_at, check (table and name), outcome, measured_value over the newest runs."""
    return read("check_history", runs=runs)


def accounts() -> pd.DataFrame:
    """Every listener's account: authorized_at, states (a list of pipeline, status, message, one a pipeline; None before
    the first), open gaps, plays."""
    return read("accounts")


def gaps(user_id: str) -> pd.DataFrame:
    """Times whose plays the 50-play window lost, newest first; closed_at is set once an export covered them."""
    return read("gaps", user_id=user_id)


def files(user_id: str) -> pd.DataFrame:
    """The listener's imported export files with counts; skipped_rows maps reason to rows."""
    return read("files", user_id=user_id)


def excluded(user_id: str) -> pd.DataFrame:
    """Raw rows that are no play of their own, counted by source and reason."""
    return read("excluded", user_id=user_id)


def api_calls(user_id: str, start: dt.date, end: dt.date) -> pd.DataFrame:
    """called_on, endpoint, calls."""
    return read("api_calls", user_id=user_id, start=start, end=end)


def audio_feature_coverage(user_id: str) -> dict[str, Any]:
    """sessions, and the mean share of their plays with known audio features (None without sessions)."""
    return read_one("audio_feature_coverage", user_id=user_id)
