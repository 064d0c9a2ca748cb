"""What each database role may do, enumerated: a right nobody thought of fails a test."""

from __future__ import annotations

import psycopg
import pytest

SCHEMAS = ("public", "staging", "analytics", "ml")
READABLE_IN_PUBLIC = {
    "listeners",
    "listener_time_zones",
    "ingestion_state",
    "ingestion_gaps",
    "ingested_files",
    "qa_validation_results",
    "spotify_api_calls",
    "published_playlists",
    "tracks",
    "artists",
    "audio_features",
}
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


def table_rights(owner_conninfo: str, role: str) -> dict[tuple[str, str], set[str]]:
    with psycopg.connect(owner_conninfo) as connection:
        rows = connection.execute(
            "select n.nspname, c.relname, p from pg_class c join pg_namespace n on n.oid = c.relnamespace,"
            " unnest(%s::text[]) p where n.nspname = any(%s) and c.relkind in ('r', 'p', 'v', 'm', 'f')"
            " and has_table_privilege(%s, c.oid, p)",
            [list(PRIVILEGES), list(SCHEMAS), role],
        ).fetchall()
    rights: dict[tuple[str, str], set[str]] = {}
    for schema, table, privilege in rows:
        rights.setdefault((schema, table), set()).add(privilege)
    return rights


def test_the_reader_only_reads_and_nothing_raw_or_secret(owner_conninfo):
    for (schema, table), rights in table_rights(owner_conninfo, "listening_reader").items():
        assert rights == {"SELECT"}, f"{schema}.{table}"
        assert schema in ("analytics", "ml") or (schema == "public" and table in READABLE_IN_PUBLIC), (
            f"{schema}.{table}"
        )


def test_the_writer_can_neither_change_raw_rows_nor_see_the_audit(owner_conninfo):
    rights = table_rights(owner_conninfo, "listening_writer")
    assert rights.pop(("public", "raw_listening_events")) == {"SELECT", "INSERT"}
    assert ("public", "forgotten_listeners") not in rights
    assert ("public", "alembic_version") not in rights
    for (schema, table), held in rights.items():
        allowed = {"SELECT", "INSERT", "UPDATE", "DELETE"} | ({"TRUNCATE"} if schema == "staging" else set())
        assert held <= allowed, f"{schema}.{table}: {held - allowed}"


@pytest.mark.parametrize("role", ["listening_writer", "listening_reader"])
def test_neither_creates_anything_nor_becomes_anybody(owner_conninfo, role):
    with psycopg.connect(owner_conninfo) as connection:
        attributes = connection.execute(
            "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles"
            " where rolname = %s",
            [role],
        ).fetchone()
        assert attributes == (False,) * 5
        memberships = connection.execute(
            "select count(*) from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname = %s", [role]
        ).fetchone()
        assert memberships == (0,)
        creates = connection.execute(
            "select nspname from pg_namespace where nspname = any(%s) and has_schema_privilege(%s, oid, 'CREATE')",
            [list(SCHEMAS), role],
        ).fetchall()
        assert creates == []
        owns = connection.execute(
            "select count(*) from pg_class where relowner = (select oid from pg_roles where rolname = %s)", [role]
        ).fetchone()
        assert owns == (0,)


def test_functions_with_the_owners_rights_are_few_and_fix_their_search_path(owner_conninfo):
    with psycopg.connect(owner_conninfo) as connection:
        functions = connection.execute(
            "select p.proname, array_to_string(p.proconfig, ' '),"
            " has_function_privilege('listening_reader', p.oid, 'EXECUTE')"
            "   and has_schema_privilege('listening_reader', n.oid, 'USAGE')"
            " from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = any(%s) and p.prosecdef"
            " and p.prorettype <> 'trigger'::regtype",
            [list(SCHEMAS)],
        ).fetchall()
    for name, configuration, reader_may in functions:
        assert "search_path" in (configuration or ""), name
        assert not reader_may, name


def test_the_reader_cannot_write_even_after_leaving_read_only_mode(reader_conninfo):
    with psycopg.connect(reader_conninfo, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        for statement in (
            "insert into listeners (user_id, display_name) values ('x', 'x')",
            "delete from analytics.daily_trends",
            "create table analytics.x (y int)",
            "select staging.publish()",
            "set role listening_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
