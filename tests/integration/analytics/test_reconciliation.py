"""The same play from two sources counts once, a real replay counts twice, and every raw row is accounted for."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.integration.analytics.raw_rows import AS_OF, BEGIN, account, api, extended, insert, minutes
from tests.support.steps import run_step, run_steps


def build(connection, *rows):
    insert(connection, list(rows))
    run_step(connection, "listening_events", as_of=AS_OF)


def plays(connection) -> list[tuple[str, str]]:
    """(source, track) of each play, in order."""
    return connection.execute(
        "select source, track_id from staging.listening_events order by played_at, event_id"
    ).fetchall()


def excluded(connection) -> list[tuple[str, str]]:
    return connection.execute(
        "select source, reason from staging.excluded_events order by played_at, source"
    ).fetchall()


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


EXPORT, API, ACCOUNT = "extended_history", "api", "account_history"

CASES = {
    "same track, 60 s apart": ([extended(BEGIN), api(BEGIN + seconds(60))], [EXPORT]),
    "same track, 61 s apart": ([extended(BEGIN), api(BEGIN + seconds(61))], [EXPORT, API]),
    "other track, same second": ([extended(BEGIN, "a"), api(BEGIN, "b")], [API, EXPORT]),
    "replays within one source": ([extended(BEGIN), extended(BEGIN + seconds(20), ms=19_000)], [EXPORT, EXPORT]),
    "replays within the api": ([api(BEGIN), api(BEGIN + seconds(40))], [API, API]),
    "one export row takes one api row": (
        [extended(BEGIN), api(BEGIN + seconds(5)), api(BEGIN + seconds(40))],
        [EXPORT, API],
    ),
    "two replays, both known twice": (
        [extended(BEGIN), extended(BEGIN + seconds(50)), api(BEGIN + seconds(1)), api(BEGIN + seconds(49))],
        [EXPORT, EXPORT],
    ),
    "nearest first, though another pairing would leave nothing over": (
        [extended(BEGIN), api(BEGIN + seconds(30)), extended(BEGIN + seconds(45)), api(BEGIN + seconds(80))],
        [EXPORT, EXPORT, API],
    ),
    "nearest leaves the far one alone": (
        [extended(BEGIN), api(BEGIN + seconds(50)), extended(BEGIN + seconds(60)), api(BEGIN + seconds(125))],
        [EXPORT, EXPORT, API],
    ),
    "account data within the minute": ([extended(BEGIN + seconds(59)), account(BEGIN)], [EXPORT]),
    "account data a minute off": ([extended(BEGIN + seconds(119)), account(BEGIN)], [EXPORT]),
    "account data two minutes off": ([extended(BEGIN + seconds(120)), account(BEGIN)], [ACCOUNT, EXPORT]),
    "account data, other case of letters": (
        [extended(BEGIN), account(BEGIN, title="TITLE A", artist="Artist A")],
        [EXPORT],
    ),
    "all three sources": ([extended(BEGIN), api(BEGIN + seconds(10)), account(BEGIN)], [EXPORT]),
    "account data over api": ([api(BEGIN + seconds(10)), account(BEGIN)], [ACCOUNT]),
    "api row at the start of the play": ([extended(BEGIN, ms=180_000), api(BEGIN - seconds(182))], [EXPORT]),
    "a replay's end is no other play's start": (
        [extended(BEGIN), extended(BEGIN + seconds(200)), api(BEGIN + seconds(0.4)), api(BEGIN + seconds(200.4))],
        [EXPORT, EXPORT],
    ),
    "sibling id, same names": ([extended(BEGIN, "a"), api(BEGIN, "b", title="title a", artist="artist a")], [EXPORT]),
    "local files by name": (
        [extended(BEGIN, item_type="local", spotify_track_uri="spotify:local:x"), account(BEGIN)],
        [EXPORT],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_play_counts_once(connection, case):
    rows, sources = CASES[case]
    build(connection, *rows)
    assert [source for source, _ in plays(connection)] == sources
    assert len(plays(connection)) + len(excluded(connection)) == len(rows)


def test_different_isrcs_are_different_recordings(connection):
    connection.execute(
        "insert into tracks (track_id, track_name, artist_name, isrc, payload) values ('a', 't', 'x', 'DE1', '{}')"
    )
    build(connection, extended(BEGIN, "a"), api(BEGIN, "b", title="title a", artist="artist a", isrc="DE2"))
    assert len(plays(connection)) == 2


@pytest.mark.parametrize("known", ["before", "after"])
def test_isrc_joins_two_ids_of_one_recording(connection, known):
    def learn():
        connection.execute(
            "insert into tracks (track_id, track_name, artist_name, isrc, payload) values ('a', 't', 'x', 'DE1', '{}')"
        )
        connection.commit()

    if known == "before":
        learn()
    insert(connection, [extended(BEGIN, "a"), api(BEGIN + seconds(3), "b", isrc="DE1")])
    run_steps(connection, as_of=AS_OF)
    if known == "after":
        assert len(plays(connection)) == 2
        learn()
        run_steps(connection, as_of=AS_OF)
    assert plays(connection) == [(EXPORT, "a")]
    assert excluded(connection) == [(API, "same_play_as_export")]


def test_replays_in_one_minute_pair_by_their_length(connection):
    rows = [extended(BEGIN, ms=31_000), extended(BEGIN + seconds(40), ms=35_000), account(BEGIN, ms=35_000)]
    build(connection, *rows)
    kept = connection.execute("select kept_event_id from staging.excluded_events").fetchone()[0]
    assert kept == rows[1]["event_key"]


def test_account_rows_take_the_id_of_the_track_their_name_means(connection):
    build(connection, account(BEGIN, "a"))
    ((_, name_id),) = plays(connection)
    assert name_id.startswith("name:")
    build(connection, extended(BEGIN + minutes(60 * 24 * 30), "a"))
    assert [track for _, track in plays(connection)] == ["a", "a"]
    marked = connection.execute("select day::text from pending_days where step = 'track_stats' order by 1").fetchall()
    assert ("2026-01-05",) in marked


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (extended(BEGIN, item_type="episode"), "podcast_episode"),
        (extended(BEGIN, item_type="audiobook"), "audiobook"),
        (extended(BEGIN, item_type="video"), "video"),
        (extended(BEGIN) | {"track_id": None}, "missing_track_id"),
        (extended(datetime.fromisoformat("2006-01-01T00:00:00+00:00")), "impossible_timestamp"),
        (extended(datetime.fromisoformat("2031-01-01T00:00:00+00:00")), "impossible_timestamp"),
        (extended(BEGIN, ms=-5), "impossible_duration"),
        (extended(BEGIN, ms=86_400_001), "impossible_duration"),
        (extended(BEGIN, ms=0), "no_playback"),
        (account(BEGIN, title=""), "missing_track_id"),
    ],
)
def test_what_is_no_play_is_excluded_with_its_reason(connection, row, reason):
    build(connection, row)
    assert plays(connection) == []
    assert excluded(connection) == [(row["source"], reason)]


def test_quarantine_takes_a_play_back_and_lifting_it_returns_it(connection):
    row, twin = extended(BEGIN), api(BEGIN + seconds(4))
    build(connection, row, twin)
    connection.execute(
        "insert into raw_quarantine (user_id, source, event_key, reason) values ('ada', %s, %s, 'wrong')",
        [row["source"], row["event_key"]],
    )
    connection.commit()
    run_step(connection, "listening_events", as_of=AS_OF)
    assert plays(connection) == [(API, "a")]
    assert excluded(connection) == [(EXPORT, "quarantined")]
    connection.execute("delete from raw_quarantine")
    connection.commit()
    run_step(connection, "listening_events", as_of=AS_OF)
    assert plays(connection) == [(EXPORT, "a")]


def test_missing_length_is_kept_and_marked_estimated(connection):
    build(connection, extended(BEGIN, ms=None))
    assert connection.execute("select ms_played, ms_played_is_estimated from staging.listening_events").fetchall() == [
        (0, True)
    ]


@pytest.mark.parametrize(
    ("previous", "expected_ms"),
    [(400, 200_000), (100, 100_000), (10, 30_000)],
    ids=["silence before", "cut by the previous play", "at least 30 s"],
)
def test_length_of_api_rows_is_estimated(connection, previous, expected_ms):
    build(connection, api(BEGIN - seconds(previous), "b"), api(BEGIN, "a", duration_ms=200_000))
    row = connection.execute(
        "select ms_played, ms_played_is_estimated, played_at - started_at"
        " from staging.listening_events where track_id = 'a'"
    ).fetchone()
    assert row == (expected_ms, True, timedelta(milliseconds=expected_ms))


@pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
def test_offline_rows_are_placed_where_they_were_heard(connection, unit):
    heard = BEGIN - timedelta(days=3)
    row = extended(BEGIN, ms=200_000, offline=True, offline_timestamp=int((heard - seconds(200)).timestamp()) * unit)
    build(connection, row, api(heard + seconds(2)))
    assert connection.execute("select source, played_at from staging.listening_events").fetchall() == [(EXPORT, heard)]


@pytest.mark.parametrize("offline_timestamp", [0, None, -4, 4_000_000_000])
def test_implausible_offline_timestamps_are_ignored(connection, offline_timestamp):
    build(connection, extended(BEGIN, offline=True, offline_timestamp=offline_timestamp))
    assert connection.execute("select played_at from staging.listening_events").fetchone() == (BEGIN,)


@pytest.mark.parametrize(
    ("fields", "skipped"),
    [
        ({"skipped": True}, True),
        ({"skipped": None, "reason_end": "fwdbtn"}, True),
        ({"skipped": False, "reason_end": "endplay"}, False),
        ({"skipped": None, "reason_end": "trackdone"}, False),
        ({"skipped": None, "reason_end": ""}, False),
    ],
)
def test_a_skip_shows_in_the_flag_or_in_how_the_play_ended(connection, fields, skipped):
    build(connection, extended(BEGIN, **fields))
    assert connection.execute("select skipped from staging.listening_events").fetchone() == (skipped,)
