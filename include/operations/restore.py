"""Puts a backup in place of the listening database: `make restore`, or
`python -m include.operations.restore FILE|- --yes`.

All of it in one transaction: when anything fails, the database is as it was. Then rows and checksums of every table are
compared with the backup's manifest, and the schema is brought to the newest revision. Stop the runs first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

import psycopg
import sqlalchemy as sa

from include.operations.backup import DUMP, MANIFEST
from include.operations.checksums import SCHEMAS, checksums, differences
from include.operations.postgres_programs import postgres_program
from include.sql.schema.migrate import migrate

EMPTY = f"""
set lock_timeout = '30s';
drop schema if exists {", ".join(SCHEMAS)} cascade;
create schema public authorization pg_database_owner;
grant usage on schema public to public;
reset lock_timeout;
"""


class RestoreError(Exception):
    """What is wrong with the backup, or stands in the way, and what to do."""


def restore(file: IO[bytes], conninfo: str) -> dict[str, Any]:
    """Replace everything in the database by the backup; return its manifest.

    :param conninfo: the database, as its owner; empty: from the environment.
    :raises RestoreError: not a backup, the database is in use, or what was restored is not what was backed up.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with tarfile.open(fileobj=file, mode="r|") as archive:
                archive.extractall(folder, filter="data")
            manifest = json.loads((folder / MANIFEST).read_text())
            script = folder / "restore.sql"
            subprocess.run([postgres_program("pg_restore"), f"--file={script}", folder / DUMP], check=True)
        except (tarfile.TarError, OSError, ValueError, subprocess.CalledProcessError) as error:
            raise RestoreError(f"This is no whole backup ({error}). The database was not touched.") from error
        (folder / "empty.sql").write_text(EMPTY)
        command = [postgres_program("psql"), "--no-psqlrc", "--quiet", "--no-password", "--single-transaction"]
        command += ["--set=ON_ERROR_STOP=1", "--output=/dev/null", f"--dbname={conninfo}"]
        done = subprocess.run(
            [*command, f"--file={folder / 'empty.sql'}", f"--file={script}"],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RestoreError(
                f"{done.stderr.strip()}\nNothing was changed. Where it timed out on a lock: stop Airflow and try again."
            )
    with psycopg.connect(conninfo) as connection:
        wrong = differences(manifest["tables"], checksums(connection))
    if wrong:
        raise RestoreError("\n".join(["What was restored is not what was backed up:", *wrong]))
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=sa.NullPool)
    migrate(engine)
    return manifest


def main() -> int:
    parser = argparse.ArgumentParser(prog="make restore", description="Restore the listening database from a backup.")
    parser.add_argument("file", help="as `make backup` wrote it; - reads standard input")
    parser.add_argument("--yes", action="store_true", help="do replace what the database holds now")
    options = parser.parse_args()
    if not options.yes:
        print("This replaces everything in the listening database. Say YES=1 (--yes) to go on.", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryFile() if options.file == "-" else Path(options.file).open("rb") as file:
            if options.file == "-":
                shutil.copyfileobj(sys.stdin.buffer, file)
                file.seek(0)
            manifest = restore(file, "")
    except (RestoreError, OSError, psycopg.Error) as error:
        print(error, file=sys.stderr)
        return 1
    rows = sum(table["rows"] for table in manifest["tables"].values())
    print(f"Restored {rows} rows of {len(manifest['tables'])} tables, all checksums equal to {manifest['created_at']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
