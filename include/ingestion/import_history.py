"""Loading the export folder: each file once, in one transaction, with an account of every row."""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

import psycopg
from psycopg.copy import Copy, QueuedLibpqWriter
from psycopg.types.json import Jsonb

from include.ingestion.export_files import ExportFile, Member, list_files, open_members
from include.ingestion.json_rows import BrokenFile, ByteStream, read_rows
from include.ingestion.recently_played import store_state
from include.ingestion.statements import statement
from include.ingestion.streaming_history import RowReader, source_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PIPELINE = "streaming_history"
PROGRESS_ROWS = 250_000
MANY_ROWS = 10_000
CLOCKS_DIFFER = timedelta(days=1)
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

# What Postgres may find in a file that we did not: that file's problem alone. Other errors are nobody's file's.
ERRORS_OF_CONTENT = (
    psycopg.DataError,
    psycopg.errors.StatementTooComplex,
    psycopg.errors.ProgramLimitExceeded,
)

log = logging.getLogger(__name__)


@dataclass
class FileReport:
    """What became of one export file; the columns of ingested_files."""

    status: str
    message: str | None = None
    rows_loaded: int = 0
    rows_already_known: int = 0
    rows_read: int = 0
    skipped_rows: Counter[str] = field(default_factory=Counter)
    members: list[dict[str, Any]] = field(default_factory=list)
    first_played_at: datetime | None = None
    last_played_at: datetime | None = None


def import_history(
    connection: psycopg.Connection,
    exports: ObjectStoragePath,
    *,
    run_id: str,
    now: datetime,
    keep_ip_addresses: bool = False,
) -> dict[str, Any]:
    """Load every file below `exports` that is not loaded yet; return counts over all files.

    :param exports: holds one folder per listener, named by user_id.
    :param now: a play that claims to be more than a day later is not believed.
    :raises FileNotFoundError: the export folder does not exist.
    """
    if not exports.is_dir():
        raise FileNotFoundError(
            f"The export folder {exports} (LISTENING_EXPORTS) does not exist: create it, with a folder per listener."
        )
    files, astray = list_files(exports)
    for name in astray:
        log.warning("%s lies outside any listener's folder: move it to <user_id>/%s", name, name)
    listeners = {row[0] for row in connection.execute(statement("list_listeners"))}
    connection.rollback()
    for user_id in sorted({file.user_id for file in files} - listeners):
        log.warning("No listener is called %s: its files are left alone until there is one (make authorize)", user_id)

    totals: Counter[str] = Counter()
    for file in files:
        if file.user_id not in listeners:
            totals["files_without_listener"] += 1
            continue
        report = import_file(connection, file, run_id=run_id, now=now, keep_ip_addresses=keep_ip_addresses)
        if report is None:
            totals["files_already_loaded"] += 1
            continue
        totals[f"files_{report.status}"] += 1
        totals["rows_read"] += report.rows_read
        totals["rows_loaded"] += report.rows_loaded
        totals["rows_already_known"] += report.rows_already_known
        totals["rows_skipped"] += report.skipped_rows.total()
    with connection.transaction():
        totals["gaps_closed"] = connection.execute(
            statement("close_gaps"), {"user_ids": sorted(listeners), "closed_at": now}
        ).rowcount
    if totals["rows_loaded"] >= MANY_ROWS:
        # The steps that come next would plan for an empty table: autovacuum is minutes away.
        connection.execute(statement("analyze_raw"))
        connection.commit()
    log.info("Export folder: %s", ", ".join(f"{name} {count:,}" for name, count in sorted(totals.items())))
    return dict(totals)


def import_file(
    connection: psycopg.Connection,
    file: ExportFile,
    *,
    run_id: str,
    now: datetime,
    keep_ip_addresses: bool = False,
) -> FileReport | None:
    """Load one export file in one transaction; None if its content was loaded before.

    A file that cannot be read is reported as `rejected`, never raised.
    """
    with file.open() as (content, digest, size):
        key = {"user_id": file.user_id, "sha256": digest}
        try:
            with connection.transaction():
                # Two runs at once: the second waits, then sees the first one's work.
                connection.execute(statement("lock_file"), key)
                known = connection.execute(statement("read_file_status"), key).fetchone()
                if known is not None and known[0] != "rejected":
                    log.info("%s/%s: already %s", file.user_id, file.name, known[0])
                    return None
                log.info("%s/%s: reading %s bytes", file.user_id, file.name, f"{size:,}")
                report = _Import(connection, file, run_id, now + CLOCKS_DIFFER, keep_ip_addresses).load(content, size)
                _record(connection, file, digest, size, run_id, report)
        except (BrokenFile, *ERRORS_OF_CONTENT) as error:
            report = FileReport("rejected", str(error).splitlines()[0])
            with connection.transaction():
                _record(connection, file, digest, size, run_id, report)
    _log(file, report)
    return report


class _Import:
    """One file's way into raw_listening_events, within the caller's transaction."""

    def __init__(
        self, connection: psycopg.Connection, file: ExportFile, run_id: str, latest: datetime, keep_ip_addresses: bool
    ) -> None:
        self.connection = connection
        self.file = file
        self.run_id = run_id
        self.latest = latest
        self.keep_ip_addresses = keep_ip_addresses
        self.readers: list[RowReader] = []
        self.members: list[dict[str, Any]] = []
        self.rows_read = 0

    def load(self, content: IO[bytes], size: int) -> FileReport:
        self.connection.execute(statement("create_arrived_rows"))
        with (
            open_members(self.file, content, size) as (members, archive),
            self.connection.cursor() as cursor,
            # Its own thread: the server works on one block while the next one is being parsed.
            cursor.copy(statement("copy_arrived_rows"), writer=QueuedLibpqWriter(cursor)) as copy,
        ):
            copy.write(COPY_HEADER)
            for member in members:
                self._read_member(member, archive, content, copy)
            copy.write(COPY_TRAILER)
        return self._insert()

    def _read_member(self, member: Member, archive: zipfile.ZipFile | None, content: IO[bytes], copy: Copy) -> None:
        about: dict[str, Any] = {"name": _printable(member.name)}
        try:
            if member.refused is not None:
                raise BrokenFile(member.refused)
            if not member.name.lower().endswith(".json"):
                about["status"] = "ignored"
            elif archive is None or member.info is None:
                about |= self._read_rows(member, content, copy)
            else:
                with archive.open(member.info) as stream:
                    about |= self._read_rows(member, stream, copy)
        except BrokenFile as error:
            about |= {"status": "rejected", "message": str(error)}
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            about |= {"status": "rejected", "message": f"cannot be unpacked: {error}"}
        self.members.append(about)

    def _read_rows(self, member: Member, stream: ByteStream, copy: Copy) -> dict[str, Any]:
        blocks = read_rows(stream)
        try:
            first = next(blocks)
        except BrokenFile:
            if member.is_named_as_history:
                raise
            return {"status": "ignored"}
        source = next(filter(None, map(source_of, first)), None)
        if source is None and (first or not member.is_named_as_history):
            if member.is_named_as_history:
                raise BrokenFile("has the name of a streaming history, but none of its rows is one")
            return {"status": "ignored"}
        reader = RowReader(
            member.number, source or "", self.latest, member.is_video, keep_ip_addresses=self.keep_ip_addresses
        )
        copy.write(reader.read(first))
        del first
        for rows in blocks:
            copy.write(reader.read(rows))
            self._tell_progress(len(rows))
        self.readers.append(reader)
        return {
            "status": "loaded",
            "source": source,
            "rows_read": reader.rows_read,
            "skipped_rows": dict(reader.skipped),
        }

    def _tell_progress(self, rows: int) -> None:
        before = self.rows_read // PROGRESS_ROWS
        self.rows_read += rows
        if self.rows_read // PROGRESS_ROWS > before:
            log.info("%s/%s: %s rows read so far", self.file.user_id, self.file.name, f"{self.rows_read:,}")

    def _insert(self) -> FileReport:
        """Move the rows of the members that could be read to the end, and account for all of them."""
        good = sum(reader.rows_good for reader in self.readers)
        parameters = {
            "user_id": self.file.user_id,
            "run_id": self.run_id,
            "members": [reader.member for reader in self.readers],
            "sources": [reader.source for reader in self.readers],
        }
        loaded = distinct = _count(self.connection, "insert_arrived_rows", parameters) if good else 0
        if loaded < good:
            distinct = _count(self.connection, "count_arrived_rows", parameters)
        skipped: Counter[str] = Counter()
        for reader in self.readers:
            skipped += reader.skipped
        if distinct < good:
            skipped["repeated"] = good - distinct
        status, message = _verdict(self.members)
        report = FileReport(
            status=status,
            message=message,
            rows_read=sum(reader.rows_read for reader in self.readers),
            rows_loaded=loaded,
            rows_already_known=distinct - loaded,
            skipped_rows=skipped,
            members=self.members,
            first_played_at=min(filter(None, (reader.first_played_at for reader in self.readers)), default=None),
            last_played_at=max(filter(None, (reader.last_played_at for reader in self.readers)), default=None),
        )
        if report.last_played_at is not None:
            store_state(
                self.connection,
                self.file.user_id,
                pipeline=PIPELINE,
                run_id=self.run_id,
                last_played_at=report.last_played_at,
            )
        return report


def _verdict(members: list[dict[str, Any]]) -> tuple[str, str | None]:
    loaded = [member for member in members if member["status"] == "loaded"]
    rejected = [member for member in members if member["status"] == "rejected"]
    message = "; ".join(f"{member['name']} {member['message']}" for member in rejected[:3]) or None
    if len(rejected) > 3:
        message = f"{message}; and {len(rejected) - 3} more"
    if rejected:
        return ("partial" if loaded else "rejected"), message
    return ("loaded", None) if loaded else ("ignored", "holds no streaming history")


def _count(connection: psycopg.Connection, name: str, parameters: dict[str, Any]) -> int:
    row = connection.execute(statement(name), parameters).fetchone()
    assert row is not None
    return row[0]


def _record(
    connection: psycopg.Connection, file: ExportFile, digest: str, size: int, run_id: str, report: FileReport
) -> None:
    connection.execute(
        statement("record_file"),
        {
            "sha256": digest,
            "user_id": file.user_id,
            "file_name": _printable(file.name),
            "status": report.status,
            "message": report.message,
            "size_bytes": size,
            "rows_read": report.rows_read,
            "rows_loaded": report.rows_loaded,
            "rows_already_known": report.rows_already_known,
            "skipped_rows": Jsonb(dict(report.skipped_rows)),
            "members": Jsonb(report.members),
            "first_played_at": report.first_played_at,
            "last_played_at": report.last_played_at,
            "run_id": run_id,
        },
    )


def _log(file: ExportFile, report: FileReport) -> None:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.skipped_rows.items()))
    level = logging.INFO if report.status in ("loaded", "ignored") else logging.WARNING
    log.log(
        level,
        "%s/%s: %s%s; %s rows read, %s loaded, %s already known%s",
        file.user_id,
        _printable(file.name),
        report.status,
        f" ({report.message})" if report.message else "",
        f"{report.rows_read:,}",
        f"{report.rows_loaded:,}",
        f"{report.rows_already_known:,}",
        f", skipped: {reasons}" if reasons else "",
    )


def _printable(name: str) -> str:
    """A name from an archive as a log and a jsonb can bear it."""
    return "".join(char if char.isprintable() else "?" for char in name)[:300]
