"""The files in the export folder, by listener, and the JSON files in each, which are never unpacked to disk.

Nothing in an archive is trusted: not its names, its sizes or its contents.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from include.ingestion.json_rows import BrokenFile
from include.listener_ids import unescaped

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

COPY_BYTES = 1 << 20
MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 16 << 30
MAX_RATIO = 200  # JSON of plays compresses 10 to 40 times; deflate's limit is 1032
SMALL_BYTES = 10 << 20  # up to this size no ratio is dangerous

# What operating systems add: macOS' AppleDouble files and folder settings, Windows' thumbnails and settings.
_LEFTOVER_FOLDERS = ("__macosx",)
_LEFTOVER_NAMES = ("thumbs.db", "desktop.ini")
_HISTORY_NAME = re.compile(r"(streaming_?history|endsong)", re.IGNORECASE)
_VIDEO_NAME = re.compile(r"streaming_?history_video", re.IGNORECASE)


@dataclass(frozen=True)
class ExportFile:
    """A zip or a loose JSON file in a listener's folder.

    :ivar name: path below the listener's folder.
    """

    user_id: str
    name: str
    path: ObjectStoragePath

    @property
    def export(self) -> str:
        """The export it belongs to: a zip is one, and so are the loose files of a folder."""
        return self.name if self.is_zip else str(PurePosixPath(self.name).parent)

    @property
    def is_zip(self) -> bool:
        return self.name.lower().endswith(".zip")

    @contextmanager
    def open(self) -> Iterator[tuple[IO[bytes], str, int]]:
        """The content, seekable, with its sha256 and its size in bytes. A remote file is copied to a temporary one."""
        digest = sha256()
        size = 0
        with self.path.open("rb") as source, TemporaryFile() as copy:
            is_local = self.path.protocol in ("file", "local", "")
            while block := source.read(COPY_BYTES):
                digest.update(block)
                size += len(block)
                if not is_local:
                    copy.write(block)
            content: IO[bytes] = source if is_local else copy
            content.seek(0)
            yield content, digest.hexdigest(), size


@dataclass(frozen=True)
class Member:
    """One JSON file in an export file.

    :ivar entry: its entry in the zip (two entries may have one name); None if the export file is itself the JSON.
    :ivar refused: why it is not opened; None if it is.
    """

    name: str
    entry: zipfile.ZipInfo | None = None
    refused: str | None = None

    @property
    def is_video(self) -> bool:
        return bool(_VIDEO_NAME.search(self._file_name))

    @property
    def is_named_as_history(self) -> bool:
        return bool(_HISTORY_NAME.search(self._file_name))

    @property
    def _file_name(self) -> str:
        return PurePosixPath(self.name.replace("\\", "/")).name


def list_files(
    exports: ObjectStoragePath, listeners: Collection[str]
) -> tuple[list[ExportFile], list[str], dict[str, str]]:
    """The export files below `exports`, by listener and name.

    A folder is named by a listener's id, plain or escaped (include/listener_ids.py); any other name is taken as an id.

    :return: the files; names of files outside any listener's folder; folders that cannot be read, with the reason.
    """
    files: list[ExportFile] = []
    misplaced: list[str] = []
    unreadable: dict[str, str] = {}
    for folder in sorted(exports.iterdir(), key=lambda path: path.name):
        if not folder.is_dir():
            if not is_leftover(folder.name):
                misplaced.append(folder.name)
            continue
        user_id = folder.name
        if user_id not in listeners and unescaped(user_id) in listeners:
            user_id = unescaped(user_id)
        try:
            for path in sorted(folder.rglob("*"), key=str):
                name = str(path)[len(str(folder)) :].lstrip("/")
                if path.name.lower().endswith((".zip", ".json")) and not is_leftover(name) and path.is_file():
                    files.append(ExportFile(user_id=user_id, name=name, path=path))
        except OSError as error:
            unreadable[folder.name] = str(error)
    return files, misplaced, unreadable


def is_leftover(name: str) -> bool:
    """Whether an operating system added the file, and it is not part of the export."""
    parts = name.replace("\\", "/").lower().split("/")
    return parts[-1].startswith(".") or parts[-1] in _LEFTOVER_NAMES or any(part in _LEFTOVER_FOLDERS for part in parts)


@contextmanager
def open_members(file: ExportFile, content: IO[bytes]) -> Iterator[tuple[list[Member], zipfile.ZipFile | None]]:
    """The JSON files in an export file, and the opened zip (None for a loose file).

    :raises BrokenFile: not a zip, or larger than any honest export.
    """
    if not file.is_zip:
        yield [Member(file.name)], None
        return
    try:
        archive = zipfile.ZipFile(content)
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, EOFError) as error:
        raise BrokenFile(f"is not a readable zip ({error}): an interrupted download?") from None
    with archive:
        infos = [info for info in archive.infolist() if not info.is_dir() and not is_leftover(info.filename)]
        if len(infos) > MAX_MEMBERS:
            raise BrokenFile(f"holds {len(infos):,} files; an export holds a few dozen")
        unpacked = sum(info.file_size for info in infos)
        if unpacked > MAX_UNPACKED_BYTES:
            raise BrokenFile(f"unpacks to {unpacked:,} bytes, more than {MAX_UNPACKED_BYTES:,}")
        yield [_member(info) for info in infos], archive


def _member(info: zipfile.ZipInfo) -> Member:
    name = info.filename
    refused = None
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        refused = "has a path that leads out of the archive"
    elif info.flag_bits & 0x1:
        refused = "is encrypted"
    elif name.lower().endswith(".zip"):
        refused = "is a zip within the zip: unpack it beside this one"
    elif info.file_size > SMALL_BYTES and info.file_size > MAX_RATIO * max(1, info.compress_size):
        refused = (
            f"unpacks to {info.file_size:,} bytes from {info.compress_size:,}: more than {MAX_RATIO} times its size"
        )
    return Member(name, info, refused)
