"""The schema as the database enforces it: migrations apply once, raw is append-only, publish() copies what changed."""

import psycopg
import pytest
import sqlalchemy as sa

from include.sql.schema.migrate import migrate
from include.stack.local import postgres
from tests.integration.analytics.raw_rows import AS_OF, BEGIN, extended, insert, minutes
from tests.support.steps import run_steps


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


def test_publish_copies_exactly_what_changed(writer_conninfo):
    hours = "select user_id, hour, plays, ms_played from analytics.listening_hours order by 1"
    ada, bob = extended(BEGIN), extended(BEGIN, "b")
    with psycopg.connect(writer_conninfo, autocommit=True) as connection:
        for user_id, row in (("ada", ada), ("bob", bob)):
            insert(connection, [row], user_id)
        run_steps(connection, as_of=AS_OF)
        assert connection.execute(hours).fetchall() == []
        connection.execute("select * from staging.publish()")
        assert connection.execute(hours).fetchall() == [("ada", 9, 1, 200_000), ("bob", 9, 1, 200_000)]
        connection.execute(
            "insert into raw_quarantine (user_id, source, event_key, reason) values ('ada', %s, %s, 'wrong')",
            [ada["source"], ada["event_key"]],
        )
        insert(connection, [extended(BEGIN + minutes(-10), "b")], "bob")
        run_steps(connection, as_of=AS_OF)
        connection.execute("select * from staging.publish()")
        assert connection.execute(hours).fetchall() == [("bob", 9, 2, 400_000)]


def test_reader_sees_published_tables_and_nothing_raw(reader_conninfo):
    with psycopg.connect(reader_conninfo, autocommit=True) as reader:
        reader.execute("select * from analytics.analytics_listening_events")
        for hidden in ("raw_listening_events", "spotify_tokens", "staging.listening_events"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"select * from {hidden}")
