"""Whatever the order and the portions in which rows arrive, the tables equal a full rebuild, row for row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.analytics.raw_rows import AS_OF, BEGIN, account, api, extended, insert
from tests.integration.analytics.tables import TABLES, content, empty, mark_all
from tests.support.steps import run_steps

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Pago_Pago"]


# Times cluster around a few moments, so that plays meet, touch and chain; ends are dense around the day's edges and
# around the switch to summer time on 29 March 2026.
moments = st.builds(
    lambda day, minute, second: BEGIN + timedelta(days=day, minutes=minute, seconds=second),
    day=st.sampled_from([0, 0, 1, 2, 40, 82, 83]),
    minute=st.sampled_from([0, 1, 3, 4, 20, 33, 34, 60, 90, 600, 780, 830, 840, 842]),
    second=st.integers(-70, 70),
)
tracks = st.sampled_from(["a", "ab", "b", "c"])
lengths = st.sampled_from([0, 5_000, 30_000, 200_000, 2_400_000, 30_000_000])
rows = st.one_of(
    st.builds(extended, moments, tracks, ms=lengths, skipped=st.booleans()),
    # Reported at once, hours or weeks late; in seconds or milliseconds; with a clock that runs ahead; without an id.
    st.builds(
        lambda heard, late, track, ms, unit, online, named: extended(
            heard + late,
            track,
            ms=ms,
            reason_end="logout" if late else "trackdone",
            offline=not online,
            offline_timestamp=int((heard - timedelta(milliseconds=ms)).timestamp() * unit),
            without_uri=named,
        ),
        moments,
        st.sampled_from(
            [timedelta(minutes=-17), timedelta(), timedelta(minutes=2), timedelta(hours=27), timedelta(20)]
        ),
        tracks,
        st.sampled_from([20_000, 200_000, 2_400_000]),
        st.sampled_from([1, 1000]),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(extended, moments, tracks, item_type=st.sampled_from(["episode", "video"])),
    # one recording under two names for its id, and one name for two ids
    st.builds(
        api, moments, tracks, isrc=st.sampled_from([None, "DE1"]), duration_ms=st.sampled_from([60_000, 900_000])
    ),
    st.builds(extended, moments, st.just("d"), title=st.just("title a"), artist=st.just("artist a")),
    st.builds(account, moments, tracks, ms=lengths),
)
zone_changes = st.tuples(st.just("zone"), st.sampled_from(ZONES), st.one_of(st.none(), moments))
quarantines = st.tuples(st.just("quarantine"), st.integers(0, 30))
known_tracks = st.tuples(st.just("track"), tracks, st.sampled_from([None, 45_000, 400_000]))
# Another source's row of a late play, where it was reported or where it was heard.
echoes = st.tuples(
    st.just("echo"),
    st.integers(0, 1),
    st.sampled_from([api, account]),
    st.sampled_from(["played_at", "ended_at"]),
    st.integers(-40, 40),
)
histories = st.lists(
    st.one_of(st.lists(rows, min_size=1, max_size=8), zone_changes, quarantines, known_tracks, echoes, echoes),
    min_size=2,
    max_size=9,
)


def play_back(connection: psycopg.Connection, step) -> None:
    match step:
        case ("zone", zone, None):
            connection.execute("update listeners set time_zone = %s where user_id = 'ada'", [zone])
        case ("zone", zone, since):
            connection.execute(
                "insert into listener_time_zones values ('ada', %s, %s) on conflict (user_id, valid_from)"
                " do update set time_zone = excluded.time_zone",
                [since, zone],
            )
        case ("quarantine", number):
            connection.execute(
                """
                insert into raw_quarantine (user_id, source, event_key, reason)
                select user_id, source, event_key, 'test' from raw_listening_events
                order by played_at, event_key offset %s limit 1
                on conflict do nothing
                """,
                [number],
            )
        case ("track", track, duration_ms):
            connection.execute(
                "insert into tracks (track_id, track_name, artist_name, isrc, duration_ms, payload)"
                " values (%s, 't', 'a', 'DE1', %s, '{}')"
                " on conflict (track_id) do update set duration_ms = excluded.duration_ms",
                [track, duration_ms],
            )
        case ("echo", number, make, place, seconds):
            late = connection.execute(
                f"""
                select {place}, payload ->> 'master_metadata_track_name' from raw_listening_events
                where played_at - ended_at > interval '1 minute' order by played_at, event_key offset %s limit 1
                """,
                [number],
            ).fetchone()
            if late is not None:
                moment, name = late
                insert(connection, [make(moment + timedelta(seconds=seconds), name.removeprefix("title "))])
        case list():
            insert(connection, step)
    connection.commit()


@pytest.fixture
def cleared(owner_conninfo: str) -> Iterator[psycopg.Connection]:
    """A connection as owner, who may empty raw between examples."""
    with psycopg.connect(owner_conninfo) as connection:
        yield connection


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=histories, rebuilt_after=st.sets(st.integers(0, 8)))
def test_incremental_equals_full_rebuild(cleared, history, rebuilt_after):
    empty(cleared, raw=True)
    for number, step in enumerate(history):
        play_back(cleared, step)
        if number in rebuilt_after:
            run_steps(cleared, as_of=AS_OF)
    run_steps(cleared, as_of=AS_OF)
    incremental = content(cleared)

    empty(cleared, raw=False)
    mark_all(cleared)
    run_steps(cleared, as_of=AS_OF)
    rebuilt = content(cleared)
    for table in TABLES:
        assert set(incremental[table]) == set(rebuilt[table]), table

    (raw,) = cleared.execute("select count(*) from raw_listening_events").fetchone()
    assert raw == len(incremental["listening_events"]) + len(incremental["excluded_events"])


def test_a_row_where_a_late_play_was_heard_frees_the_one_where_it_was_reported(connection):
    """Only one row of the API tells of the play: the nearer place wins, though the other one is days away."""
    heard, reported = BEGIN, BEGIN + timedelta(days=3)
    late = extended(reported, offline_timestamp=int((heard - timedelta(seconds=200)).timestamp()))
    for row, plays in ((late, 1), (api(reported), 1), (api(heard), 2)):
        insert(connection, [row])
        run_steps(connection, as_of=AS_OF)
        assert connection.execute("select count(*) from staging.listening_events").fetchone() == (plays,)


def test_a_row_told_by_a_late_play_stays_so_when_the_day_after_it_is_built(connection):
    midnight = BEGIN.replace(hour=0) + timedelta(days=4)
    reported = midnight - timedelta(minutes=10)
    late = extended(reported, offline_timestamp=int((BEGIN - timedelta(seconds=200)).timestamp()))
    for rows, plays in (([late, api(reported)], 1), ([extended(midnight + timedelta(minutes=2), "b")], 2)):
        insert(connection, rows)
        run_steps(connection, as_of=AS_OF)
        assert connection.execute("select count(*) from staging.listening_events").fetchone() == (plays,)


def marked(connection: psycopg.Connection) -> set[str]:
    return {day for (day,) in connection.execute("select day::text from pending_days where step = 'listening_events'")}


def test_a_zone_that_changes_marks_days_where_offline_streams_were_heard(connection):
    connection.execute(
        "insert into listeners (user_id, display_name, time_zone) values ('ada', 'Ada', 'Europe/Berlin')"
    )
    heard = BEGIN - timedelta(days=20)
    insert(
        connection, [extended(BEGIN, offline=True, offline_timestamp=int((heard - timedelta(seconds=200)).timestamp()))]
    )
    run_steps(connection, as_of=AS_OF)
    connection.execute("insert into listener_time_zones values ('ada', %s, 'Asia/Tokyo')", [heard - timedelta(days=2)])
    connection.execute(
        "insert into listener_time_zones values ('ada', %s, 'Europe/Berlin')", [heard + timedelta(days=2)]
    )
    assert str(heard.date()) in marked(connection)
    run_steps(connection, as_of=AS_OF)
    assert connection.execute("select time_zone from staging.listening_events").fetchall() == [("Asia/Tokyo",)]


def test_a_new_listener_without_plays_marks_nothing(connection):
    connection.execute("insert into listeners (user_id, display_name, time_zone) values ('eve', 'Eve', 'Asia/Tokyo')")
    connection.execute("update listeners set time_zone = 'Europe/Paris'")
    assert marked(connection) == set()


def test_an_unknown_zone_is_refused_where_it_is_entered(connection):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="Mars/Base"):
        connection.execute(
            "insert into listeners (user_id, display_name, time_zone) values ('eve', 'Eve', 'Mars/Base')"
        )


def test_a_second_run_without_news_writes_nothing(connection):
    insert(
        connection, [extended(BEGIN), api(BEGIN + timedelta(minutes=4), "b"), account(BEGIN + timedelta(days=1), "c")]
    )
    run_steps(connection, as_of=AS_OF)
    connection.execute("select * from staging.publish()")
    connection.commit()
    connection.execute("select staging.count_changes()")
    connection.execute("select mark_days('ada', '-infinity', 'infinity')")
    connection.commit()
    run_steps(connection, as_of=AS_OF)
    assert connection.execute("select count(*) from staging.layer_changes").fetchone() == (0,)
    for table in TABLES:
        if table != "track_names":
            assert connection.execute(f"select count(*) from staging.changed_{table}").fetchone() == (0,)


def test_sessions_merge_when_a_late_play_fills_the_silence(connection):
    insert(connection, [extended(BEGIN, "a"), extended(BEGIN + timedelta(minutes=50), "b")])
    run_steps(connection, as_of=AS_OF)
    sessions = "select plays from staging.listening_sessions order by session_id"
    assert connection.execute(sessions).fetchall() == [(1,), (1,)]
    insert(connection, [extended(BEGIN + timedelta(minutes=25), "c")])
    run_steps(connection, as_of=AS_OF)
    assert connection.execute(sessions).fetchall() == [(3,)]


@pytest.mark.parametrize(
    ("played_at", "local"),
    [
        ("2026-03-29T00:59:59+00:00", "2026-03-29 01:59:59"),
        ("2026-03-29T01:00:00+00:00", "2026-03-29 03:00:00"),
        ("2026-10-25T00:30:00+00:00", "2026-10-25 02:30:00"),
        ("2026-10-25T01:30:00+00:00", "2026-10-25 02:30:00"),
        ("2026-12-31T23:30:00+00:00", "2027-01-01 00:30:00"),
    ],
)
def test_local_time_across_summer_time(connection, played_at, local):
    connection.execute(
        "insert into listeners (user_id, display_name, time_zone) values ('ada', 'Ada', 'Europe/Berlin')"
    )
    insert(connection, [extended(datetime.fromisoformat(played_at), ms=None)], ingested_at="2027-02-01T00:00:00Z")
    run_steps(connection, as_of="2027-02-01T00:00:00Z")
    row = connection.execute("select local_started_at::text, local_date::text from staging.listening_events").fetchone()
    assert row == (local, local[:10])
