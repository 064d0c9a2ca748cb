"""For each step, a listener whose data make it fail: the others' tables come out right, and so do the listener's own
once the cause is gone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from listening.operators.soda import SodaScanOperator
from listening.operators.steps import ListenersHeldOperator

from include.stack.local import postgres
from tests.integration.analytics.raw_rows import extended, insert
from tests.integration.quality.conftest import AS_OF, build, history, track, use
from tests.support.steps import STAGES, run_steps

NEXT_DAY = AS_OF + timedelta(days=1)
# step: a table it writes
TABLE_OF = {
    "listening_events": "listening_events",
    "sessions": "listening_sessions",
    "artist_stats": "artist_days",
    "track_stats": "track_totals",
    "album_stats": "album_days",
    "listening_clock": "listening_hours",
    "daily_trends": "daily_trends",
    "user_metrics": "analytics_user_metrics",
    "session_features": "session_features",
    "user_features": "user_features",
    "session_clusters": "session_clusters",
    "personas": "personas",
    "artist_cooccurrence": "artist_cooccurrence",
    "playlists": "playlist_tracks",
}
# Each is named like the step that fails on their data.
LISTENERS = ("ada", *TABLE_OF, "zoe")
Published = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def first_run(pg_socket: Path, template_database: str) -> str:
    """A database to copy: everybody's first month is published."""
    name = "listening_first_run"
    postgres.create_database(pg_socket, name, owner="listening_owner", template=template_database)
    with psycopg.connect(postgres.conninfo(pg_socket, name, "listening_writer"), autocommit=True) as writer:
        for user_id in LISTENERS:
            writer.execute("insert into listeners (user_id, display_name) values (%s, 'Somebody')", [user_id])
            insert(writer, history()[-12 * 30 :], user_id)
        build(writer)
        publish_unscanned(writer)
    return name


@pytest.fixture
def open_copy(pg_socket: Path, first_run: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """Opens a copy of the first run's database as a role."""

    def open_copy(name: str, role: str = "listening_writer") -> psycopg.Connection:
        if name not in made:
            postgres.create_database(pg_socket, name, owner="listening_owner", template=first_run)
            made.append(name)
        connection = psycopg.connect(postgres.conninfo(pg_socket, name, role), autocommit=True)
        opened.append(connection)
        use(monkeypatch, pg_socket, name)
        return connection

    made: list[str] = []
    opened: list[psycopg.Connection] = []
    yield open_copy
    for connection in opened:
        connection.close()
    for name in made:
        postgres.drop_database(pg_socket, name)


def pass_scans(writer: psycopg.Connection) -> None:
    """As if all scans had passed."""
    for layer in ("raw", "analytics", "ml"):
        writer.execute("select staging.pass_scan(%(layer)s, staging.begin_scan(%(layer)s), 'test')", {"layer": layer})


def publish_unscanned(writer: psycopg.Connection) -> None:
    pass_scans(writer)
    writer.execute("select * from staging.publish_scanned()")


def hear_more(writer: psycopg.Connection) -> None:
    """A day of everybody, beside the plays of before."""
    for user_id in LISTENERS:
        plays = [extended(NEXT_DAY - timedelta(hours=3, minutes=4 * n), track(f"{'aq'[n % 2]}{n}")) for n in range(9)]
        insert(writer, plays, user_id)


def published(connection: psycopg.Connection) -> Published:
    """Every published row by listener and table."""
    rows: Published = {user_id: {} for user_id in LISTENERS}
    tables = connection.execute("select published_schema || '.' || table_name from staging.published_tables").fetchall()
    for (table,) in tables:
        for user_id, row in connection.execute(f"select user_id, t::text from {table} t order by 2"):
            rows[user_id].setdefault(table, []).append(row)
    return rows


def scan(layer: str) -> dict:
    return SodaScanOperator(task_id="scan", scan=layer, as_of=NEXT_DAY.isoformat()).execute({"run_id": layer})


def steps_of(connection: psycopg.Connection, table: str) -> set[tuple[str, str]]:
    return set(connection.execute(f"select distinct user_id, step from {table}").fetchall())


def test_a_step_that_fails_at_a_listeners_data_goes_on_without_them(open_copy):
    right = open_copy("listening_right")
    hear_more(right)
    build(right, NEXT_DAY)
    publish_unscanned(right)
    expected = published(right)

    writer, owner = open_copy("listening_poisoned"), open_copy("listening_poisoned", "listening_owner")
    before = published(writer)
    assert all(before[user_id] != expected[user_id] for user_id in LISTENERS)
    owner.execute(
        "create function poison() returns trigger language plpgsql as $$ begin"
        " if new.user_id = tg_argv[0] then raise numeric_value_out_of_range using message = 'poisoned'; end if;"
        " return new; end $$"
    )
    for step, table in TABLE_OF.items():
        owner.execute(
            f"create trigger poison before insert or update on staging.{table}"
            f" for each row execute function poison('{step}')"
        )
    hear_more(writer)
    for _ in range(2):  # as often as one likes
        build(writer, NEXT_DAY)
        assert steps_of(writer, "held_listeners") == {(step, step) for step in TABLE_OF}
        summaries = {layer: scan(layer) for layer in ("raw", "analytics", "ml")}
        assert {layer: summary["failed"] for layer, summary in summaries.items()} == {
            "raw": [],
            "analytics": [],
            "ml": [],
        }
        assert ("held_listeners", len(TABLE_OF)) in {(c["table"], c["value"]) for c in summaries["ml"]["warned"]}
        writer.execute("select * from staging.publish_scanned()")
        assert steps_of(writer, "pending_days") >= {(step, step) for step in TABLE_OF}
        now = published(writer)
        for user_id in LISTENERS:
            assert now[user_id] == (before if user_id in TABLE_OF else expected)[user_id], user_id
        with pytest.raises(AirflowFailException, match="sessions at sessions: NumericValueOutOfRange: poisoned"):
            ListenersHeldOperator(task_id="held").execute({})

    for table in TABLE_OF.values():
        owner.execute(f"drop trigger poison on staging.{table}")
    build(writer, NEXT_DAY)
    for layer in ("analytics", "ml"):
        assert scan(layer)["failed"] == []
    writer.execute("select * from staging.publish_scanned()")
    assert steps_of(writer, "held_listeners") == set()
    assert steps_of(writer, "staging.held_changes t, (values ('')) v (step)") == set()
    assert published(writer) == expected
    with pytest.raises(AirflowSkipException):
        ListenersHeldOperator(task_id="held").execute({})


def test_who_is_held_after_the_scans_waits_too(open_copy):
    """By another run, which works beside this one."""
    writer = open_copy("listening_beside")
    before = published(writer)
    hear_more(writer)
    run_steps(writer, as_of=NEXT_DAY.isoformat())
    pass_scans(writer)
    writer.execute("insert into held_listeners (user_id, step, message) values ('zoe', 'sessions', 'x')")
    writer.execute("select * from staging.publish_scanned()")
    now = published(writer)
    assert now["zoe"] == before["zoe"]
    assert now["ada"] != before["ada"]


def test_an_error_in_python_holds_one_listener_too(open_copy, monkeypatch):
    from ml.playlists import playlists

    build_playlists = playlists.build_playlists

    def fail(connection, work):
        if work.user_id == "zoe":
            raise ZeroDivisionError("no plays")
        return build_playlists(connection, work)

    writer = open_copy("listening_python")
    hear_more(writer)
    monkeypatch.setattr(playlists, "build_playlists", fail)
    build(writer, NEXT_DAY)
    held = writer.execute("select user_id, step, message from held_listeners").fetchall()
    assert held == [("zoe", "playlists", "ZeroDivisionError: no plays")]
    assert ("zoe", "playlists") in steps_of(writer, "pending_days")
    assert ("ada", "playlists") not in steps_of(writer, "pending_days")


def test_what_is_nobodys_data_fails_the_step(open_copy, monkeypatch):
    from ml.playlists import playlists

    def fail(connection, work):
        raise psycopg.OperationalError("the server closed the connection")

    writer = open_copy("listening_down")
    hear_more(writer)
    monkeypatch.setattr(playlists, "build_playlists", fail)
    with pytest.raises(psycopg.OperationalError):
        build(writer, NEXT_DAY)
    assert steps_of(writer, "held_listeners") == set()


def test_the_database_knows_the_order_of_the_steps(connection):
    place = dict(
        connection.execute("select s, staging.place_of(s) from unnest(%s::text[]) s", [list(TABLE_OF)]).fetchall()
    )
    assert [place[step] for stage in STAGES for step in stage] == [
        number for number, stage in enumerate(STAGES, start=1) for _ in stage
    ]
    models = list(TABLE_OF)[len([step for stage in STAGES for step in stage]) :]
    assert sorted(models, key=place.__getitem__) == models
    assert place["session_features"] == place["user_features"] == len(STAGES) + 1
