"""Loading the export folder: each file once, in one transaction, with an account of every row."""

from __future__ import annotations

import contextlib
import logging
import sys
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from include.ingestion.export_files import ExportFile, Member, list_files, open_members
from include.ingestion.json_rows import BrokenFile, ByteStream, read_rows
from include.ingestion.json_values import storable_text
from include.ingestion.state import STREAMING_HISTORY, store_state
from include.ingestion.streaming_history import CLOCKS_DIFFER, Block, RowReader, source_of
from include.sql.holding import ERRORS_OF_CONTENT, ERRORS_OF_NOBODY
from include.sql.queries import query

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PROGRESS_ROWS = 250_000
MANY_ROWS = 10_000
COPY_BYTES = 4 << 20  # fewer, larger statements cost the server less
PARTS_AHEAD = 4  # a member ends with parts that take no time
SWITCH_SECONDS = 0.0002
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

T = TypeVar("T")
_END: Any = object()
# What parsing yields of a member: blocks of rows and, at the end, their reader, or what is wrong with it; or just None,
# when it holds no streaming history.
Part = Block | RowReader | BrokenFile | None

log = logging.getLogger(__name__)


@dataclass
class FileReport:
    """What became of one export file; the columns of ingested_files.

    :ivar rows_already_known: stored before, from another file or from an earlier row of this one.
    """

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
    :raises OSError: files that the store does not give out, after all others were dealt with.
    """
    if not exports.is_dir():
        raise FileNotFoundError(
            f"The export folder {exports} (LISTENING_EXPORTS) does not exist: create it, with a folder per listener."
        )
    listeners = {row[0] for row in connection.execute(query("ingestion", "list_listeners"))}
    connection.rollback()
    files, astray, unreadable_folders = list_files(exports, listeners)
    for name in astray:
        log.warning("%s lies outside any listener's folder: move it to <user_id>/%s", name, name)
    for user_id in sorted({file.user_id for file in files} - listeners):
        log.warning("No listener is called %s: its files are left alone until there is one (make authorize)", user_id)

    totals: Counter[str] = Counter()
    unreadable = [f"{name} ({reason})" for name, reason in unreadable_folders.items()]
    for file in files:
        if file.user_id not in listeners:
            totals["files_without_listener"] += 1
            continue
        try:
            report = import_file(connection, file, run_id=run_id, now=now, keep_ip_addresses=keep_ip_addresses)
        except OSError as error:
            log.warning("%s/%s: cannot be opened or read: %s", file.user_id, file.name, error)
            unreadable.append(f"{file.user_id}/{file.name} ({error})")
            continue
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
            query("ingestion", "close_gaps"), {"user_ids": sorted(listeners), "closed_at": now}
        ).rowcount
    if totals["rows_loaded"] >= MANY_ROWS:
        # The steps that come next would plan for an empty table: autovacuum is minutes away.
        connection.execute(query("ingestion", "analyze_raw"))
        connection.commit()
    log.info("Export folder: %s", ", ".join(f"{name} {count:,}" for name, count in sorted(totals.items())))
    if unreadable:
        raise OSError(f"These files could not be read, all others were dealt with: {'; '.join(unreadable)}")
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
                # One file of a listener at a time: a second run waits, then sees what the first one stored.
                connection.execute(query("ingestion", "lock_listener"), {"user_id": file.user_id})
                known = connection.execute(query("ingestion", "read_file_status"), key).fetchone()
                if known is not None and known[0] != "rejected":
                    log.info("%s/%s: already %s", file.user_id, file.name, known[0])
                    return None
                log.info("%s/%s: reading %s bytes", file.user_id, file.name, f"{size:,}")
                report = _Import(connection, file, run_id, now + CLOCKS_DIFFER, keep_ip_addresses).load(content)
                _record(connection, file, digest, size, run_id, report)
        except (BrokenFile, *ERRORS_OF_CONTENT) as error:
            broken = _first_line(error)
        except (*ERRORS_OF_NOBODY, OSError):
            raise
        except Exception as error:
            # A fault of ours that this file has met: the other files are not to wait until it is mended.
            log.exception("%s/%s", file.user_id, _printable(file.name))
            broken = f"cannot be read: {type(error).__name__}"
        else:
            _log(file, report)
            return report
        report = FileReport("rejected", broken)
        with connection.transaction():
            _record(connection, file, digest, size, run_id, report)
    _log(file, report)
    return report


class _Import:
    """One file's way into raw_listening_events, within the caller's transaction.

    Rows are parsed in a thread of its own, ahead of being stored: the server works on one block while the next one is
    parsed, of whichever member it is.
    """

    def __init__(
        self, connection: psycopg.Connection, file: ExportFile, run_id: str, latest: datetime, keep_ip_addresses: bool
    ) -> None:
        self.connection = connection
        self.file = file
        self.run_id = run_id
        self.latest = latest
        self.keep_ip_addresses = keep_ip_addresses
        self.report = FileReport("loaded")
        self.rows_parsed = 0
        self.all_are_new = True  # as far as seen

    def load(self, content: IO[bytes]) -> FileReport:
        self.connection.execute(query("ingestion", "create_arrived_rows"))
        self.connection.execute(query("ingestion", "create_loaded_plays"))
        with (
            open_members(self.file, content) as (members, archive),
            _eager_threads(),
            contextlib.closing(_read_ahead(self._parse(members, archive, content))) as parsed,
        ):
            for member, parts in groupby(parsed, key=itemgetter(0)):
                self._store_member(member, (part for _, part in parts))
        report = self.report
        report.status, report.message = _verdict(report.members)
        if report.rows_loaded:
            self.connection.execute(query("ingestion", "mark_loaded_plays"), {"user_id": self.file.user_id})
        if report.last_played_at is not None:
            store_state(
                self.connection,
                self.file.user_id,
                pipeline=STREAMING_HISTORY,
                run_id=self.run_id,
                last_played_at=report.last_played_at,
            )
        return report

    def _parse(
        self, members: Iterable[Member], archive: zipfile.ZipFile | None, content: IO[bytes]
    ) -> Iterator[tuple[Member, Part]]:
        """The parts of each member in turn."""
        for member in members:
            try:
                if member.refused is not None:
                    raise BrokenFile(member.refused)
                if not member.name.lower().endswith(".json"):
                    yield member, None
                    continue
                opened = archive.open(member.entry) if archive and member.entry else contextlib.nullcontext(content)
                with opened as stream:
                    for part in self._parse_rows(member, stream):
                        yield member, part
            except BrokenFile as error:
                yield member, error
            # NotImplementedError and RuntimeError: of zipfile, for a compression or encryption it cannot undo.
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
                yield member, BrokenFile(f"cannot be unpacked: {error}")

    def _parse_rows(self, member: Member, stream: ByteStream) -> Iterator[Part]:
        blocks = read_rows(stream)
        try:
            first = next(blocks)
        except BrokenFile:
            if member.is_named_as_history:
                raise
            yield None
            return
        source = next(filter(None, map(source_of, first)), None)
        if source is None and (first or not member.is_named_as_history):
            if member.is_named_as_history:
                raise BrokenFile("has the name of a streaming history, but none of its rows is one")
            yield None
            return
        reader = RowReader(
            self.file.user_id,
            source or "",
            self.run_id,
            self.latest,
            member.is_video,
            keep_ip_addresses=self.keep_ip_addresses,
        )
        for rows in chain([first], blocks):
            reader.read(rows)
            self._tell_progress(len(rows))
            if reader.bytes_packed >= COPY_BYTES:
                yield reader.take()
        yield reader.take()
        yield reader

    def _store_member(self, member: Member, parts: Iterator[Part]) -> None:
        about: dict[str, Any] = {"name": _printable(member.name), "status": "ignored"}
        loaded = 0
        try:
            # The savepoint: a member that turns out to be broken leaves no rows.
            with self.connection.transaction():
                for part in parts:
                    if isinstance(part, BrokenFile):
                        raise part
                    if isinstance(part, Block):
                        loaded += self._store(part)
                    elif part is not None:
                        about |= self._account_for(part, loaded)
        except BrokenFile as error:
            about |= {"status": "rejected", "message": _first_line(error)}
        except ERRORS_OF_CONTENT as error:
            about |= {"status": "rejected", "message": f"is refused by the database: {_first_line(error)}"}
        self.report.members.append(about)

    def _store(self, block: Block) -> int:
        """Add the rows that are not stored yet; return how many.

        Either all rows of a file are new, or most of them are known. So they are copied straight to where they stay,
        which costs the server half as much, until one of them is there already.
        """
        if not block.rows:
            return 0
        if self.all_are_new:
            try:
                with self.connection.transaction():
                    self._copy("copy_raw_events", COPY_HEADER + block.packed + COPY_TRAILER)
                    days = [f"{day}\t\\N\t\\N\n" for day in block.days]
                    tracks = [f"\\N\t{track}\t{rows}\n" for track, rows in block.tracks.items()]
                    self._copy("copy_loaded_plays", "".join(days + tracks))
                return block.rows
            except psycopg.errors.UniqueViolation:
                self.all_are_new = False
        self._copy("copy_arrived_rows", COPY_HEADER + block.packed + COPY_TRAILER)
        [(added,)] = self.connection.execute(query("ingestion", "insert_arrived_rows")).fetchall()
        self.connection.execute(query("ingestion", "empty_arrived_rows"))
        return added

    def _copy(self, name: str, rows: bytes | str) -> None:
        with self.connection.cursor() as cursor, cursor.copy(query("ingestion", name)) as copy:
            copy.write(rows)

    def _tell_progress(self, rows: int) -> None:
        before = self.rows_parsed // PROGRESS_ROWS
        self.rows_parsed += rows
        if self.rows_parsed // PROGRESS_ROWS > before:
            log.info("%s/%s: %s rows read so far", self.file.user_id, self.file.name, f"{self.rows_parsed:,}")

    def _account_for(self, reader: RowReader, loaded: int) -> dict[str, Any]:
        """Add a member that was read to the end to the report; return what `members` says of it."""
        report = self.report
        report.rows_read += reader.rows_read
        report.rows_loaded += loaded
        report.rows_already_known += reader.rows_good - loaded
        report.skipped_rows += reader.skipped
        known = [moment for moment in (report.first_played_at, report.last_played_at) if moment is not None]
        known += reader.played_at or ()
        report.first_played_at, report.last_played_at = min(known, default=None), max(known, default=None)
        return {
            "status": "loaded",
            "source": reader.source,
            "rows_read": reader.rows_read,
            "skipped_rows": dict(reader.skipped),
        }


def _read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items; the next `PARTS_AHEAD` are made, in another thread, while the caller works on one."""
    with ThreadPoolExecutor(1) as thread:
        coming = deque(thread.submit(next, items, _END) for _ in range(PARTS_AHEAD))
        while (item := coming.popleft().result()) is not _END:
            coming.append(thread.submit(next, items, _END))
            yield item


@contextlib.contextmanager
def _eager_threads() -> Iterator[None]:
    """Let a waiting thread have the interpreter soon: sending a block takes a dozen turns, which would otherwise each
    wait 5 ms for the parsing to pause.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _verdict(members: list[dict[str, Any]]) -> tuple[str, str | None]:
    loaded = [member for member in members if member["status"] == "loaded"]
    rejected = [member for member in members if member["status"] == "rejected"]
    message = "; ".join(f"{member['name']} {member['message']}" for member in rejected[:3]) or None
    if len(rejected) > 3:
        message = f"{message}; and {len(rejected) - 3} more"
    if rejected:
        return ("partial" if loaded else "rejected"), message
    return ("loaded", None) if loaded else ("ignored", "holds no streaming history")


def _record(
    connection: psycopg.Connection, file: ExportFile, digest: str, size: int, run_id: str, report: FileReport
) -> None:
    connection.execute(
        query("ingestion", "record_file"),
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


def _first_line(error: Exception) -> str:
    return storable_text((str(error).splitlines() or [type(error).__name__])[0])


def _printable(name: str) -> str:
    """A name from an archive as a log and a jsonb can bear it."""
    return "".join(char if char.isprintable() else "?" for char in name)[:300]
