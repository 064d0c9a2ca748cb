"""A server with passwords, as containers have it: every role needs its own, and gets no further."""

from __future__ import annotations

import psycopg
import pytest

from include.stack.compose.listening_init import prepare
from include.stack.local import postgres

PASSWORDS = {
    "listening_owner": "o'wner\\secret",
    "listening_writer": "writer secret",
    "listening_reader": "reader-secret",
}


@pytest.fixture
def server(tmp_path):
    """A server of its own that wants passwords from everybody but its superuser."""
    data_dir = tmp_path / "server" / "data"
    socket_dir = postgres.start_server(data_dir)
    (data_dir / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
    with psycopg.connect(postgres.conninfo(socket_dir), autocommit=True) as connection:
        connection.execute("select pg_reload_conf()")
    yield socket_dir
    postgres.stop_server(data_dir)


def test_preparing_twice_gives_a_database_that_opens_to_the_three_passwords_only(server):
    superuser = f"host={server} user=postgres"
    before, after = prepare(superuser, PASSWORDS)
    assert (before, after is not None) == (None, True)
    assert prepare(superuser, PASSWORDS) == (after, after)
    for role, password in PASSWORDS.items():
        with psycopg.connect(host=str(server), dbname="listening", user=role, password=password) as connection:
            assert connection.execute("select current_user").fetchone() == (role,)
        for wrong in ("", "listening", role, PASSWORDS["listening_reader"] + "x"):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(host=str(server), dbname="listening", user=role, password=wrong, connect_timeout=5)
    with psycopg.connect(host=str(server), dbname="postgres", user="postgres") as connection:
        connection.execute("create role stranger login")
        assert connection.execute("select has_database_privilege('stranger', 'listening', 'connect')").fetchone() == (
            False,
        )
        stored = connection.execute(
            "select rolname, rolpassword from pg_authid where rolname like 'listening%'"
        ).fetchall()
    for role, hashed in stored:
        assert hashed.startswith("SCRAM-SHA-256$")
        assert PASSWORDS[role] not in hashed


def test_a_new_password_replaces_the_old(server):
    superuser = f"host={server} user=postgres"
    prepare(superuser, PASSWORDS)
    prepare(superuser, PASSWORDS | {"listening_reader": "changed"})
    psycopg.connect(host=str(server), dbname="listening", user="listening_reader", password="changed").close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host=str(server), dbname="listening", user="listening_reader", password=PASSWORDS["listening_reader"]
        )
