"""A session that goes on after a run: its pairs of artists count as if it had been seen whole."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
import pytest

from ml.features.session_features import build_session_features
from ml.playlists.cooccurrence import artist_cooccurrence
from tests.integration.analytics.raw_rows import AS_OF, BEGIN, extended, insert
from tests.support.steps import run_steps


def plays(day: int, artists: str) -> list[dict]:
    return [
        extended(BEGIN + timedelta(days=day, minutes=4 * number), f"{artist}x", artist=artist)
        for number, artist in enumerate(artists)
    ]


@pytest.mark.parametrize(
    "portions",
    [
        [plays(0, "AB") + plays(1, "AB") + plays(2, "ABC")],
        [plays(0, "AB") + plays(1, "AB") + plays(2, "AB"), plays(2, "ABC")],
        [plays(0, "AB") + plays(1, "AB") + plays(2, "A"), plays(2, "AB"), plays(2, "ABC")],
    ],
    ids=["whole", "grown once", "grown twice"],
)
def test_pairs_do_not_depend_on_when_a_session_was_seen(writer_conninfo, portions):
    with psycopg.connect(writer_conninfo, autocommit=True) as connection:
        connection.execute("insert into listeners (user_id, display_name) values ('ada', 'Ada')")
        for rows in portions:
            insert(connection, rows)
            run_steps(connection, as_of=AS_OF)
            build_session_features(connection, as_of=datetime.fromisoformat(AS_OF))
            artist_cooccurrence(connection, as_of=datetime.fromisoformat(AS_OF))
        pairs = connection.execute(
            "select artist_name, other_artist_name, sessions_together, weight, score"
            " from staging.artist_cooccurrence order by 1, 2"
        ).fetchall()
    assert pairs == [("A", "B", 3, 2665619.0, 0.312381), ("B", "A", 3, 2665619.0, 0.312381)]
