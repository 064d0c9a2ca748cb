"""`make check-exports FILES="a.zip b.zip"`: real export files through everything, each as a listener of its own.

Import, raw scan, analytics, scan, models, scan, publishing, pages. Prints an account of each file and exits 1 when
something is wrong: a scan that fails, a page that cannot be made, a row unaccounted for, a playlist with a track never
heard. Nothing is kept: the database and the pages go with the temporary folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from dashboards.queries.reader import DSN_VARIABLE
from include.stack.local import postgres
from tests.support.pipeline import create_migrated, pipeline, prepare

DATABASE = "listening"
NEVER_HEARD = """
    select count(*) from ml.playlist_tracks p
    where not exists (
        select from analytics.listening_events e
        where e.user_id = p.user_id and e.track_id = p.track_id and not e.skipped and e.ms_played >= 30000
    )
"""
UNACCOUNTED = """
    select user_id, source, count(*) from raw_listening_events r
    where not exists (select from analytics.listening_events e where e.user_id = r.user_id and e.event_id = r.event_key)
        and not exists (
            select from analytics.excluded_events x
            where x.user_id = r.user_id and x.source = r.source and x.event_key = r.event_key
        )
    group by user_id, source
"""
FILES = """
    select user_id, status, rows_read, rows_loaded, rows_already_known, skipped_rows,
        rows_read - rows_loaded - rows_already_known
            - (select coalesce(sum(rows::bigint), 0) from jsonb_each_text(skipped_rows) s (reason, rows)) as missing
    from ingested_files order by user_id
"""
WARNINGS = """
    select scan, outcome, check_name, measured_value from qa_validation_results where outcome <> 'PASS' order by 1, 3
"""


def main(files: list[str]) -> int:
    wrong: list[str] = []
    moment = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="listening-real-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server may run as another user
        for file in map(Path, files):
            (folder / "exports" / file.stem).mkdir(parents=True)
            shutil.copy(file, folder / "exports" / file.stem)
        with postgres.server(folder / "data") as socket_dir:
            prepare(socket_dir)
            create_migrated(socket_dir, DATABASE)
            with psycopg.connect(postgres.conninfo(socket_dir, DATABASE, "listening_writer"), autocommit=True) as rows:
                for file in map(Path, files):
                    rows.execute("insert into listeners (user_id, display_name) values (%s, %s)", [file.stem] * 2)
                with pipeline(socket_dir, DATABASE) as run:
                    run.import_exports(folder / "exports")
                    if not run.scan_build_publish(moment):
                        wrong.append("a scan failed: nothing was published")
                for check in rows.execute(WARNINGS):
                    print("scan {}: {} {} ({})".format(*check))
                for user_id, status, read, loaded, known, skipped, missing in rows.execute(FILES):
                    print(f"{user_id}: {status}, {read} rows read, {loaded} loaded, {known} known, skipped: {skipped}")
                    if status != "loaded" or missing:
                        wrong.append(f"{user_id}: {status}, {missing} rows unaccounted for")
                wrong += [
                    f"{n} raw {source} rows of {user} unaccounted for" for user, source, n in rows.execute(UNACCOUNTED)
                ]
                (never_heard,) = rows.execute(NEVER_HEARD).fetchone() or (0,)
                if never_heard:
                    wrong.append(f"{never_heard} tracks of playlists were never heard")
            reader = postgres.conninfo(socket_dir, DATABASE, "listening_reader")
            wrong += pages_that_fail(reader, [Path(file).stem for file in files], folder / "report")
    print("\n".join(wrong) or "Nothing is wrong.")
    return bool(wrong)


def pages_that_fail(reader: str, listeners: list[str], folder: Path) -> list[str]:
    os.environ[DSN_VARIABLE] = reader
    from dashboards.report import write_report

    wrong = []
    for listener in listeners:
        for period in ("28d", "all"):
            try:
                write_report(folder / listener / period, {"listener": listener, "period": period})
            except Exception as error:  # whatever it is: the other pages are tried too
                wrong.append(f"pages of {listener}, {period}: {type(error).__name__}: {error}")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
