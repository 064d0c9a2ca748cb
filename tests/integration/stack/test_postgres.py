"""The embedded server: survives kills, deep paths, left-over files; stops when its last user leaves."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from include.stack.local import postgres


@pytest.fixture
def folder():
    """Not pytest's, which only its user may enter: as root, the server runs as another."""
    with tempfile.TemporaryDirectory(prefix="listening-") as folder:
        yield Path(folder)


@pytest.fixture
def data_dir(folder):
    data_dir = folder / "data"
    yield data_dir
    postgres.stop_server(data_dir)


def postmaster_pid(data_dir):
    return int((data_dir / "postmaster.pid").read_text().split()[0])


def rows(socket_dir):
    with psycopg.connect(postgres.conninfo(socket_dir)) as connection:
        return connection.execute("select n from numbers").fetchall()


def insert_number(socket_dir):
    with psycopg.connect(postgres.conninfo(socket_dir)) as connection:
        connection.execute("create table numbers as select 7 as n")


def test_a_killed_server_comes_back_with_what_was_committed(data_dir):
    insert_number(postgres.start_server(data_dir))
    os.kill(postmaster_pid(data_dir), signal.SIGKILL)
    assert rows(postgres.start_server(data_dir)) == [(7,)]


def test_a_pid_file_that_names_another_program_does_not_fool_it(data_dir):
    insert_number(postgres.start_server(data_dir))
    lines = (data_dir / "postmaster.pid").read_text().splitlines()
    postgres.stop_server(data_dir)
    (data_dir / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert rows(postgres.start_server(data_dir)) == [(7,)]


def test_a_torn_pid_file(data_dir):
    insert_number(postgres.start_server(data_dir))
    postgres.stop_server(data_dir)
    (data_dir / "postmaster.pid").write_text("")
    assert rows(postgres.start_server(data_dir)) == [(7,)]


def test_a_half_made_data_directory_is_made_anew(data_dir):
    unfinished = data_dir.with_name("data.new")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    insert_number(postgres.start_server(data_dir))


def test_a_path_too_long_for_a_socket_with_spaces_and_quotes(folder):
    data_dir = folder / "it's a deep path" / ("x" * 100) / "data"
    try:
        socket_dir = postgres.start_server(data_dir)
        assert len(str(socket_dir)) < 100
        insert_number(socket_dir)
        assert rows(postgres.start_server(data_dir)) == [(7,)]
    finally:
        postgres.stop_server(data_dir)


def test_only_its_owner_may_connect_and_only_over_the_socket(data_dir):
    socket_dir = postgres.start_server(data_dir)
    assert (socket_dir / ".s.PGSQL.5432").stat().st_mode & 0o077 == 0
    with psycopg.connect(postgres.conninfo(socket_dir)) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)


def test_lower_knows_letters_beyond_ascii_whatever_the_locale(data_dir, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    with psycopg.connect(postgres.conninfo(postgres.start_server(data_dir))) as connection:
        assert connection.execute("select lower('BJÖRK'), 'Z' < 'a'").fetchone() == ("björk", True)


def test_the_last_user_stops_the_server(data_dir):
    with postgres.server(data_dir) as socket_dir:
        with postgres.server(data_dir):
            pass
        psycopg.connect(postgres.conninfo(socket_dir)).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.conninfo(socket_dir))


def test_a_killed_user_does_not_keep_the_server_forever(data_dir):
    user = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from include.stack.local import postgres\n"
            f"with postgres.server(Path({str(data_dir)!r})): print('in', flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
    )
    assert user.stdout.readline() == b"in\n"
    user.kill()
    user.wait()
    with postgres.server(data_dir) as socket_dir:
        psycopg.connect(postgres.conninfo(socket_dir)).close()
    assert not (data_dir / "postmaster.pid").exists()


def test_starting_at_once_from_several_places_starts_one_server(data_dir):
    found = []
    threads = [threading.Thread(target=lambda: found.append(postgres.start_server(data_dir))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
