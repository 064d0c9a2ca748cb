"""One row of features per listening session: `staging.session_features`, and who is heard in it:
`staging.session_artists`, from which a listener's model makes the features of content
(`ml.personas.centroids.ArtistVectors`).

| feature | formula | unit, range | meaning |
|---|---|---|---|
| plays | count of plays | ≥ 1 | |
| minutes | Σ ms_played / 60000 | minutes | time heard, not wall-clock length |
| unique_artists, unique_tracks | distinct count | ≥ 1 | |
| artist_entropy | −Σ p·log2 p over artists' shares of plays (Shannon 1948) | bits, 0 … log2(unique_artists) | variety |
| repeat_rate | 1 − unique_tracks / plays | 0 … 1 | plays of a track already heard in the session |
| discovery_rate | tracks whose first play ever is in the session / plays | 0 … 1 | |
| skip_rate | skipped / plays of which it is known | 0 … 1, null when it is of none | |
| shuffle_rate | shuffled / plays that say so | 0 … 1, null when none says so | |
| album_run_rate | plays that follow another track of the same album / plays | 0 … 1 | hearing albums through |
| start_hour | local time of the session's start | hours, 0 … 24 | |
| start_hour_sin, start_hour_cos | sin, cos of 2π·start_hour/24 | −1 … 1 | 23:59 is next to 00:00 |
| is_weekend | starts on a local Saturday or Sunday | 0, 1 | |
| audio_coverage | plays with audio features / plays | 0 … 1 | |
| energy, valence, danceability, acousticness | mean over plays that have them | 0 … 1, null when none | |
| tempo | mean over plays that have it | beats per minute, null when none | |
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import psycopg

from include.sql.holding import run_for_everyone
from ml.tables import begin_step, statement


def build_session_features(connection: psycopg.Connection, *, as_of: datetime) -> dict[str, int]:
    """Build the features of the marked days' sessions, and who was heard in them; marks `session_clusters` and
    `artist_cooccurrence`; commits.

    :param as_of: the run's time. Features of a session do not depend on it.
    :return: `days` taken, rows of features `written` and `removed`; one that changes is both.
    """
    done: Counter[str] = Counter(days=0, written=0, removed=0)

    def run() -> None:
        begin_step(connection, "session_features")
        for name in ("changed_sessions", "new_features", "session_features", "session_artists"):
            connection.execute(statement(name))
        [counts] = connection.execute(
            "select (select count(*) from marked_days), coalesce(sum(written), 0)::bigint,"
            " coalesce(sum(removed), 0)::bigint from changed_days"
        ).fetchall()
        done.update(dict(zip(("days", "written", "removed"), counts, strict=True)))

    run_for_everyone(connection, "session_features", run)
    connection.commit()
    return dict(done)
