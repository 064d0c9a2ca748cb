"""One row of features per listener, recent listening first: `staging.user_features`.

Every feature is a sum or mean over plays or sessions weighted with 0.5 ^ (age / half_life_days), age in local days
before as_of (exponential decay). Listening older than `HORIZON_HALF_LIVES` half-lives weighs less than 0.1 % and is
left out, so that the cost does not grow with the history.

| feature | formula | unit, range |
|---|---|---|
| decayed_plays, decayed_sessions | Σ weight | plays, sessions |
| decayed_minutes | Σ weight·ms_played / 60000 | minutes |
| artist_entropy | −Σ p·log2 p over the artists' shares of decayed plays | bits, ≥ 0 |
| discovery_rate | decayed tracks on the day they were first heard / decayed plays | 0 … 1 |
| repeat_rate | decayed plays of a track already heard that day / decayed plays | 0 … 1 |
| skip_rate | decayed skips / decayed plays | 0 … 1 |
| weekend_share, night_share, morning_share | sessions at weekends, at 22–5 h, at 5–10 h / all | 0 … 1 |
| mean_session_minutes | decayed minutes heard / decayed sessions | minutes |
"""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg

from ml.tables import ask, fetch, listener_of, replace_rows, take_work

HALF_LIFE_DAYS = 30.0
HORIZON_HALF_LIVES = 10
DIGITS = 6


def build_user_features(connection: psycopg.Connection, *, as_of: datetime) -> dict[str, int]:
    """Build the profile of every listener with marked days; commits.

    `user_features.as_of` is the local day of the listener's last session that had ended by `as_of`; a run for an
    earlier day than the stored one leaves the newer profile alone.
    """
    summary = {"listeners": 0, "written": 0}
    with connection.transaction():
        for work in take_work(connection, "user_features", as_of):
            with listener_of(connection, "user_features", work):
                if any(day > work.reference_day for (day,) in ask(connection, "profile_day", work.user_id)):
                    continue
                parameters = {
                    "user_id": work.user_id,
                    "reference_day": work.reference_day,
                    "first_day": work.reference_day - timedelta(days=HORIZON_HALF_LIVES * HALF_LIFE_DAYS),
                    "half_life_days": HALF_LIFE_DAYS,
                }
                profiles = fetch(connection, "user_features", parameters)
                rows = [
                    (
                        work.user_id,
                        work.reference_day,
                        HALF_LIFE_DAYS,
                        *(round(float(value or 0), DIGITS) for value in profile.values()),
                    )
                    for profile in profiles
                ]
                columns = ["user_id", "as_of", "half_life_days", *(profiles[0] if profiles else ())]
                counts = replace_rows(
                    connection, "user_features", ["user_id"], columns, rows, {"user_id": work.user_id}
                )
                summary["listeners"] += 1
                summary["written"] += counts["written"]
    connection.commit()
    return summary
