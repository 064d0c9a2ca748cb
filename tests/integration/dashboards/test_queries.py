"""The queries: what holds for any of them; the role against writing. Each figure is recounted in test_figures.py."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest

from dashboards import queries
from dashboards.queries import reader as reader_module
from tests.support.pipeline import AS_OF, LISTENERS

FIRST = dt.date(2025, 1, 1)


def period(key: str) -> queries.Period:
    return queries.period_of(key, FIRST, AS_OF)


def test_trend_adds_up_whatever_the_granularity():
    chosen = period("2026")
    sums = {
        queries.trend("ada", chosen, granularity)["ms_played"].sum()
        for granularity in ("day", "week", "month", "quarter", "year")
    }
    assert sums == {queries.period_totals("ada", chosen)["ms_played"]}


def test_an_unknown_listener_has_nothing():
    assert queries.listener("nobody' or 'a'='a") == {}
    assert queries.top("nobody", "track", period("all")).empty
    assert queries.period_totals("nobody", period("28d"))["plays"] == 0


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
        reader_module._connection().execute(statement)


def test_every_statement_is_bound(reader, monkeypatch):
    """Texts from outside reach the database as parameters: a quote in any of them changes nothing."""
    hostile = "x'; select pg_sleep(5); --"
    assert queries.playlist_tracks(hostile, hostile).empty
    assert queries.checks(hostile).empty
    assert queries.artist_months("ada", [hostile], period("28d"), "month").empty
    with pytest.raises(psycopg.Error):
        queries.trend("ada", period("28d"), hostile)


def test_a_lost_connection_is_opened_again(reader):
    queries.listeners()
    reader_module._local.connection.close()
    assert len(queries.listeners()) == len(LISTENERS) + 1  # and the one of whom nothing is known


def test_without_a_database_the_error_says_what_to_set(monkeypatch):
    monkeypatch.delenv("LISTENING_READER_DSN")
    with pytest.raises(queries.DatabaseNotConfiguredError, match="LISTENING_READER_DSN"):
        queries.listeners()
