"""Every query of the dashboards: bound parameters, a read-only role, pandas frames.

All functions read the published schemas (`analytics`, `ml`) and the pipeline's health tables as `listening_reader`,
whose connection string is in LISTENING_READER_DSN. Days are the listener's local days, `ms` are milliseconds of
listening, `*_at` are UTC timestamps. Ranges include both ends.
"""

from dashboards.queries.days import clock, days, milestones, records, trend, years
from dashboards.queries.listeners import listener, listeners
from dashboards.queries.periods import DEFAULT_PERIOD, ROLLING_DAYS, Granularity, Period, period_of
from dashboards.queries.personas import (
    current_model,
    persona_hours,
    persona_time,
    personas,
    session_points,
    typical_sessions,
)
from dashboards.queries.playlists import playlist_tracks, playlists
from dashboards.queries.quality import (
    accounts,
    api_calls,
    audio_feature_coverage,
    check_history,
    checks,
    data_state,
    excluded,
    files,
    gaps,
    runs,
)
from dashboards.queries.rankings import KINDS, Kind, artist_months, movers, period_totals, top
from dashboards.queries.reader import DatabaseNotConfiguredError
from dashboards.queries.sessions import SESSION_LENGTHS, session_lengths, session_totals

__all__ = [
    "DEFAULT_PERIOD",
    "KINDS",
    "ROLLING_DAYS",
    "SESSION_LENGTHS",
    "DatabaseNotConfiguredError",
    "Granularity",
    "Kind",
    "Period",
    "accounts",
    "api_calls",
    "artist_months",
    "audio_feature_coverage",
    "check_history",
    "checks",
    "clock",
    "current_model",
    "data_state",
    "days",
    "excluded",
    "files",
    "gaps",
    "listener",
    "listeners",
    "milestones",
    "movers",
    "period_of",
    "period_totals",
    "persona_hours",
    "persona_time",
    "personas",
    "playlist_tracks",
    "playlists",
    "records",
    "runs",
    "session_lengths",
    "session_points",
    "session_totals",
    "top",
    "trend",
    "typical_sessions",
    "years",
]
