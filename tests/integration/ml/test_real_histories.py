"""The judge on export files: they go through the pipeline's own rules, and its lists never know what comes later."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from include.demo.exports import write_account_data, write_extended_history
from include.demo.listeners import invent_listener
from include.demo.listening_history import build_history
from ml.evaluation.evaluate import OURS, CountScorer, day_of, judged_playlists, stored
from ml.evaluation.real_histories import AsOf, histories_of, imported
from ml.playlists.playlists import KINDS
from ml.playlists.recommender import TrackScorer

BORN, UNTIL = date(2024, 6, 1), datetime(2024, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """One listener's account data, and another's account data and extended history together."""
    folder = tmp_path_factory.mktemp("exports")
    (folder / "both").mkdir()
    for number, name in enumerate(("one", "both")):
        life = build_history(invent_listener(name, 51 + number, first_day=BORN, busyness=0.5), until=UNTIL)
        where = folder / "both" / "account.zip" if name == "both" else folder / "one.zip"
        write_account_data(where, life)
        if name == "both":
            write_extended_history(folder / "both" / "extended.zip", life)
    return [f"{folder}/one.zip", f"{folder}/both@Asia/Tokyo"]


def test_files_are_read_by_the_pipelines_rules_and_lists_know_nothing_later(words):
    with imported(histories_of(words)) as connection:
        listeners = stored(connection, histories_of(words))
        one, both = listeners
        assert [plays.name for plays in listeners] == ["one", "both"]
        # An account row and an extended one of the same play are one play.
        sources = dict(
            connection.execute(
                "select source, count(*) from staging.listening_events where user_id = 'both' group by source"
            ).fetchall()
        )
        [(account_rows,)] = connection.execute(
            "select count(*) from raw_listening_events where user_id = 'both' and source = 'account_history'"
        ).fetchall()
        assert sources.get("account_history", 0) < 0.05 * account_rows
        assert len(both.track) == sum(sources.values())
        zones = dict(connection.execute("select user_id, time_zone from listeners").fetchall())
        assert zones["both"] == "Asia/Tokyo"
        assert zones["one"].startswith(("Etc/GMT", "UTC"))
        assert 0 < one.skipped.mean() < one.heard.mean() < 1
        days = connection.execute(
            "select bool_and(local_date = (started_at at time zone 'Asia/Tokyo')::date) from staging.listening_events"
            " where user_id = 'both'"
        ).fetchone()
        assert days == (True,)

        assert one.cutoffs
        judged = judged_playlists(
            connection, listeners, lambda plays: {"random": CountScorer("random"), OURS: TrackScorer()}
        )
        assert {"all", *KINDS} <= set(judged)
        assert all(0 <= value <= 1 for lists in judged.values() for of in lists.values() for value in of.values())
        assert set(judged["all"][OURS]) == {"one", "both"}
        assert sum(judged["all"][OURS].values()) > sum(judged["all"]["random"].values())


def newest(connection: psycopg.Connection, table: str, user_id: str) -> date | None:
    row = connection.execute(f"select max(local_date) from staging.{table} where user_id = %s", [user_id]).fetchone()
    assert row
    return row[0]


def test_nothing_is_known_before_its_day(words):
    with imported(histories_of(words)) as connection:
        listeners = stored(connection, histories_of(words))
        as_of = AsOf(connection)
        assert newest(connection, "listening_events", "one") is None
        for turn in range(2):
            until = {plays.name: day_of(plays.cutoffs[turn]) for plays in listeners}
            as_of.give_out(until)
            for user_id, day in until.items():
                for table in ("listening_events", "listening_sessions", "track_days", "session_features"):
                    newest_day = newest(connection, table, user_id)
                    assert newest_day is not None
                    assert day - timedelta(days=28) < newest_day < day
        [(given,)] = connection.execute("select count(*) from staging.listening_events").fetchall()
        known = sum(int((plays.day < plays.cutoffs[1]).sum()) for plays in listeners)
        assert given == known
