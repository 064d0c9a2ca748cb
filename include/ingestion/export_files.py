"""What lies in the export folder: files by listener, and the streams of JSON within them, never unpacked to disk.

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
MOST_MEMBERS = 10_000
MOST_UNPACKED_BYTES = 16 << 30
MOST_RATIO = 200  # JSON of plays packs 10 to 40 times smaller; deflate's limit is 1032
SMALL_BYTES = 10 << 20  # below this, no ratio is a danger

# What systems leave beside files: macOS' AppleDouble twins and folder settings, Windows' thumbnails and settings.
_LEFTOVER_FOLDERS = ("__macosx",)
_LEFTOVER_NAMES = ("thumbs.db", "desktop.ini")
_HISTORY_NAME = re.compile(r"(streaming_?history|endsong)", re.IGNORECASE)
_VIDEO_NAME = re.compile(r"streaming_?history_video", re.IGNORECASE)


@dataclass(frozen=True)
class ExportFile:
    """A zip or a loose JSON in a listener's folder.

    :ivar name: path below the listener's folder.
    :ivar is_local: it can be read in place.
    """

    user_id: str
    name: str
    path: ObjectStoragePath

    @property
    def export(self) -> str:
        """What belongs together: a zip is an export, and so are the loose files of one folder."""
        return self.name if self.is_zip else str(PurePosixPath(self.name).parent)

    @property
    def is_zip(self) -> bool:
        return self.name.lower().endswith(".zip")

    @contextmanager
    def open(self) -> Iterator[tuple[IO[bytes], str, int]]:
        """The content, seekable, with its sha256 and its size. A remote file is copied to a temporary one."""
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
    """One JSON in an export file.

    :ivar entry: its place in the zip (two entries may bear one name); None: the file itself, a loose one.
    :ivar refused: why it is not opened at all.
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

    A folder bears a listener's id, or the id escaped (include/listener_ids.py); one that bears neither is taken for the
    id itself.

    :return: the files; what lies outside any listener's folder; folders that cannot be read, with the reason.
    """
    files: list[ExportFile] = []
    astray: list[str] = []
    unreadable: dict[str, str] = {}
    for folder in sorted(exports.iterdir(), key=lambda path: path.name):
        if not folder.is_dir():
            if not is_leftover(folder.name):
                astray.append(folder.name)
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
    return files, astray, unreadable


def is_leftover(name: str) -> bool:
    """Whether the path is none of the export's, but something that a system left beside it."""
    parts = name.replace("\\", "/").lower().split("/")
    return parts[-1].startswith(".") or parts[-1] in _LEFTOVER_NAMES or any(part in _LEFTOVER_FOLDERS for part in parts)


@contextmanager
def open_members(file: ExportFile, content: IO[bytes]) -> Iterator[tuple[list[Member], zipfile.ZipFile | None]]:
    """The JSON members of an export file.

    :raises BrokenFile: no zip, or one that is built to do harm.
    """
    if not file.is_zip:
        yield [Member(file.name)], None
        return
    try:
        archive = zipfile.ZipFile(content)
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, EOFError) as error:
        raise BrokenFile(f"is no readable zip ({error}): an interrupted download?") from None
    with archive:
        infos = [info for info in archive.infolist() if not info.is_dir() and not is_leftover(info.filename)]
        if len(infos) > MOST_MEMBERS:
            raise BrokenFile(f"holds {len(infos):,} files; an export holds a few dozen")
        unpacked = sum(info.file_size for info in infos)
        if unpacked > MOST_UNPACKED_BYTES:
            raise BrokenFile(f"unpacks to {unpacked:,} bytes, more than {MOST_UNPACKED_BYTES:,}")
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
    elif info.file_size > SMALL_BYTES and info.file_size > MOST_RATIO * max(1, info.compress_size):
        refused = (
            f"unpacks to {info.file_size:,} bytes from {info.compress_size:,}: more than {MOST_RATIO} times its size"
        )
    return Member(name, info, refused)
