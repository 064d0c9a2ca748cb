"""The schema as the database enforces it: migrations apply once, raw is append-only, publish() copies what changed."""

import psycopg
import pytest
import sqlalchemy as sa

from include.local import postgres
from include.sql.schema.migrate import migrate


def test_migrating_again_changes_nothing(pg_socket, database):
    engine = sa.create_engine(postgres.sqlalchemy_url(pg_socket, database, "listening_owner"))
    before, after = migrate(engine)
    engine.dispose()
    assert before == after


def insert_raw(connection: psycopg.Connection) -> None:
    connection.execute(
        "insert into raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)"
        " values ('ada', 'api', gen_random_uuid(), now(), 'track', 't1', '{}', 'test')"
    )
    connection.commit()


@pytest.mark.parametrize(
    "statement", ["update raw_listening_events set track_id = null", "delete from raw_listening_events"]
)
@pytest.mark.parametrize("role", ["owner", "writer"])
def test_raw_is_append_only(owner_conninfo, connection, role, statement, request):
    insert_raw(connection)
    with psycopg.connect(request.getfixturevalue(f"{role}_conninfo")) as other, pytest.raises(psycopg.Error) as error:
        other.execute(statement)
    assert "append-only" in str(error.value) or "permission denied" in str(error.value)


def test_publish_copies_exactly_what_changed(connection):
    connection.execute("insert into staging.listening_hours values ('ada', '2026-01-01', 8, 3, 500)")
    connection.execute("insert into staging.listening_hours values ('bob', '2026-01-01', 9, 1, 100)")
    assert connection.execute("select count(*) from analytics.listening_hours").fetchone() == (0,)
    connection.execute("select * from staging.publish()")
    connection.execute("delete from staging.listening_hours where user_id = 'ada'")
    connection.execute("update staging.listening_hours set plays = 2")
    connection.execute("select * from staging.publish()")
    rows = connection.execute("select * from analytics.listening_hours").fetchall()
    assert rows == connection.execute("select * from staging.listening_hours").fetchall()
    assert [(row[0], row[3]) for row in rows] == [("bob", 2)]


def test_reader_sees_published_tables_and_nothing_raw(reader_conninfo):
    with psycopg.connect(reader_conninfo, autocommit=True) as reader:
        reader.execute("select * from analytics.analytics_listening_events")
        for hidden in ("raw_listening_events", "spotify_tokens", "staging.listening_events"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"select * from {hidden}")
