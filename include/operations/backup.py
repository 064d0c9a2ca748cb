"""Backs the listening database up into one file: `python -m include.operations.backup FOLDER|-` (`make backup`).

The file is a tar of `listening.dump` (pg_dump's custom format) and `manifest.json`: when, which schema revision, and
rows and checksum of every table in the very snapshot that was dumped, which the restore is proven against. Connects by
the PG* variables, as the owner. Runs may go on meanwhile.

Spotify tokens in it are encrypted with Airflow's Fernet key, which is no part of the backup: without that key a
restored installation asks for `make authorize` again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psycopg

from include.operations.checksums import checksums
from include.operations.postgres_programs import postgres_program

DUMP = "listening.dump"
MANIFEST = "manifest.json"


def backup(conninfo: str, file: IO[bytes]) -> dict[str, Any]:
    """Write the backup to `file`; return its manifest.

    :param conninfo: the database, as its owner; empty: from the environment.
    :raises psycopg.Error, subprocess.CalledProcessError: the server refused; the file is useless.
    """
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(conninfo) as connection:
        connection.execute("set transaction isolation level repeatable read read only")
        snapshot, server = connection.execute("select pg_export_snapshot(), version()").fetchone() or ("", "")
        (revision,) = connection.execute("select version_num from alembic_version").fetchone() or (None,)
        dump = Path(folder) / DUMP
        command = [postgres_program("pg_dump"), "--format=custom", f"--snapshot={snapshot}", f"--file={dump}"]
        subprocess.run([*command, "--no-password", f"--dbname={conninfo}"], check=True)
        manifest = {
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": revision,
            "server": server,
            "tables": checksums(connection),
        }
        about = Path(folder) / MANIFEST
        about.write_text(json.dumps(manifest, indent=1))
        with tarfile.open(fileobj=file, mode="w|") as archive:
            archive.add(about, MANIFEST)
            archive.add(dump, DUMP)
    return manifest


def main() -> None:
    parser = argparse.ArgumentParser(prog="make backup", description="Back the listening database up.")
    parser.add_argument("folder", help="where listening-<time>.tar is written; - writes it to standard output")
    where = parser.parse_args().folder
    with tempfile.TemporaryFile() if where == "-" else tempfile.NamedTemporaryFile(dir=_folder(where)) as unfinished:
        manifest = backup("", unfinished)
        rows = sum(table["rows"] for table in manifest["tables"].values())
        unfinished.seek(0)
        if where == "-":
            shutil.copyfileobj(unfinished, sys.stdout.buffer)
            place = "standard output"
        else:
            moment = datetime.fromisoformat(manifest["created_at"])
            place = str(Path(where) / f"listening-{moment:%Y%m%dT%H%M%SZ}.tar")
            Path(place).hardlink_to(unfinished.name)  # whole or not at all; the temporary name goes away
    print(f"Backed up {rows} rows of {len(manifest['tables'])} tables to {place}", file=sys.stderr)


def _folder(name: str) -> Path:
    folder = Path(name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


if __name__ == "__main__":
    main()
