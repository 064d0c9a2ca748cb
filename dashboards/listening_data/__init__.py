"""Every query of the dashboards: bound parameters, a read-only role, pandas frames.

All functions read the published schemas (`analytics`, `ml`) and the pipeline's health tables as `listening_reader`,
whose connection string is in LISTENING_READER_DSN. Days are the listener's local days, `ms` are milliseconds of
listening, `*_at` are UTC timestamps. Ranges include both ends.
"""

from dashboards.listening_data.health import (
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
from dashboards.listening_data.models import (
    current_model,
    persona_hours,
    persona_time,
    personas,
    playlist_tracks,
    playlists,
    session_points,
    typical_sessions,
)
from dashboards.listening_data.people import (
    DEFAULT_PERIOD,
    ROLLING_DAYS,
    Granularity,
    Period,
    listener,
    listeners,
    period_of,
)
from dashboards.listening_data.rankings import KINDS, Kind, artist_months, movers, period_totals, top
from dashboards.listening_data.reader import DatabaseNotConfiguredError, read
from dashboards.listening_data.timeline import (
    SESSION_LENGTHS,
    clock,
    days,
    milestones,
    records,
    session_lengths,
    session_totals,
    trend,
    years,
)

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
    "read",
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
