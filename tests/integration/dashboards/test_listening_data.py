"""The queries against plain recounts of the plays; the role against writing."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest

from dashboards import listening_data
from dashboards.listening_data import reader as reader_module
from tests.browser.published_life import AS_OF, LISTENERS

FIRST = dt.date(2024, 1, 1)
IDS = [listener.user_id for listener in LISTENERS]


def period(key: str) -> listening_data.Period:
    return listening_data.period_of(key, FIRST, AS_OF)


@pytest.mark.parametrize("user_id", IDS)
@pytest.mark.parametrize("key", ["28d", "2025", "all"])
def test_totals_are_a_recount(reader, user_id, key):
    chosen = period(key)
    totals = listening_data.period_totals(user_id, chosen)
    recount = reader.execute(
        "select count(*), coalesce(sum(ms_played), 0), count(distinct track_id), count(distinct artist_name)"
        " from analytics.listening_events where user_id = %s and local_date between %s and %s",
        [user_id, chosen.start, chosen.end],
    ).fetchone()
    assert (totals["plays"], totals["ms_played"], totals["tracks"], totals["artists"]) == recount


@pytest.mark.parametrize("measure", ["plays", "ms_played"])
@pytest.mark.parametrize("kind", ["artist", "track", "album"])
@pytest.mark.parametrize("key", ["90d", "all"])
def test_top_and_previous_ranks_are_a_recount(reader, key, kind, measure):
    chosen = period(key)
    columns = {"artist": "artist_name", "track": "track_id", "album": "artist_name || '/' || album_name"}[kind]
    before = (FIRST, AS_OF - dt.timedelta(days=28)) if chosen.is_all else (chosen.previous.start, chosen.previous.end)

    def amounts(start: dt.date, end: dt.date) -> dict[str, int]:
        rows = reader.execute(
            f"select {columns}, count(*), sum(ms_played) from analytics.listening_events"
            " where user_id = 'ada' and local_date between %s and %s group by 1",
            [start, end],
        ).fetchall()
        return {name: (plays if measure == "plays" else ms) for name, plays, ms in rows}

    now, then = amounts(chosen.start, chosen.end), amounts(*before)
    top = listening_data.top("ada", kind, chosen, measure=measure, limit=10)
    assert list(top[measure]) == sorted(now.values(), reverse=True)[:10]
    for row in top.to_dict("records"):
        name = {
            "artist": row["artist_name"],
            "track": row.get("track_id"),
            "album": f"{row['artist_name']}/{row.get('album_name')}",
        }[kind]
        assert now[name] == row[measure]
        if name in then:
            above = sum(amount > then[name] for amount in then.values())
            level = sum(amount == then[name] for amount in then.values())
            assert above < row["previous_rank"] <= above + level
        else:
            assert row["previous_rank"] != row["previous_rank"]


def test_trend_adds_up_whatever_the_granularity():
    chosen = period("2025")
    sums = {
        listening_data.trend("ada", chosen, granularity)["ms_played"].sum()
        for granularity in ("day", "week", "month", "quarter", "year")
    }
    assert sums == {listening_data.period_totals("ada", chosen)["ms_played"]}


def test_sessions_fall_into_their_length_classes(reader):
    chosen = period("2025")
    counted = listening_data.session_lengths("ada", chosen).groupby("length")["sessions"].sum().to_dict()
    recount = reader.execute(
        """
        select
            count(*) filter (where length_ms < 900000), count(*) filter (where length_ms between 900000 and 2699999),
            count(*) filter (where length_ms between 2700000 and 7199999), count(*) filter (where length_ms >= 7200000)
        from analytics.listening_sessions where user_id = 'ada' and extract(year from local_date) = 2025
        """
    ).fetchone()
    assert counted == {
        name: number for name, number in zip(listening_data.SESSION_LENGTHS, recount, strict=True) if number
    }


def test_persona_time_adds_up_to_the_sessions(reader):
    (ms, sessions) = reader.execute(
        "select sum(ms_played), count(*) from ml.session_clusters join analytics.listening_sessions using (user_id, "
        "session_id) where user_id = 'ada'"
    ).fetchone()
    time = listening_data.persona_time("ada", period("all"), "quarter")
    assert (time["ms_played"].sum(), time["sessions"].sum()) == (ms, sessions)


def test_movers_change_as_counted():
    chosen = period("90d")
    movers = listening_data.movers("ada", chosen)
    assert (movers["plays"] - movers["previous_plays"] == movers["change"]).all()
    assert movers["change"].is_monotonic_decreasing
    assert movers["change"].iloc[0] > 0 > movers["change"].iloc[-1]


def test_milestone_is_the_day_the_nth_play_was_heard(reader):
    for row in listening_data.milestones("ada").itertuples():
        (day,) = reader.execute(
            (
                "select local_date from analytics.listening_events where user_id = 'ada' order by local_date "
                "offset %s limit 1"
            ),
            [row.plays - 1],
        ).fetchone()
        assert row.local_date == day


def test_an_unknown_listener_has_nothing():
    assert listening_data.listener("nobody' or 'a'='a") == {}
    assert listening_data.top("nobody", "track", period("all")).empty
    assert listening_data.period_totals("nobody", period("28d"))["plays"] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "insert into listeners (user_id, display_name) values ('x', 'x')",
        "delete from analytics.daily_trends",
        "update ml.personas set label = 'x'",
        "create table analytics.mine (x int)",
        "create temp table mine (x int)",
        "select * from raw_listening_events",
        "select * from spotify_tokens",
        "set default_transaction_read_only = off; insert into listeners (user_id, display_name) values ('x', 'x')",
    ],
)
def test_the_role_can_only_read_what_is_published(statement):
    with pytest.raises(psycopg.Error):
        listening_data.read(statement)


def test_every_statement_is_bound(reader, monkeypatch):
    """Texts from outside reach the database as parameters: a quote in any of them changes nothing."""
    hostile = "x'; select pg_sleep(5); --"
    assert listening_data.playlist_tracks(hostile, hostile).empty
    assert listening_data.checks(hostile).empty
    assert listening_data.artist_months("ada", [hostile], period("28d"), "month").empty
    with pytest.raises(psycopg.Error):
        listening_data.trend("ada", period("28d"), hostile)


def test_a_lost_connection_is_opened_again(reader):
    listening_data.listeners()
    reader_module._local.connection.close()
    assert len(listening_data.listeners()) == len(LISTENERS)


def test_without_a_database_the_error_says_what_to_set(monkeypatch):
    monkeypatch.delenv("LISTENING_READER_DSN")
    with pytest.raises(listening_data.DatabaseNotConfiguredError, match="LISTENING_READER_DSN"):
        listening_data.listeners()
