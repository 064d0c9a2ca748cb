"""The folder that holds everything a local stack keeps: `.local/`, or the one in LISTENING_STATE_DIR."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


class SetupError(Exception):
    """Why the stack cannot start or do this, and what the user can do about it."""


@dataclass(frozen=True)
class StateFolder:
    """The folders and files of one local installation, which holds either the demo's data or real listeners'."""

    folder: Path

    @classmethod
    def from_environment(cls) -> StateFolder:
        return cls(Path(os.environ.get("LISTENING_STATE_DIR") or PROJECT / ".local").resolve())

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres" / "data"

    @property
    def airflow_home(self) -> Path:
        return self.folder / "airflow"

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def simulator(self) -> Path:
        return self.folder / "simulator"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def run_lock(self) -> Path:
        """Locked by the running stack; contains its process id."""
        return self.folder / "stack.lock"

    @property
    def ports(self) -> Path:
        return self.folder / "ports.json"

    @property
    def clock(self) -> Path:
        """The demo's simulated time: the first moment and the current one."""
        return self.folder / "clock.json"

    @property
    def everything(self) -> tuple[Path, ...]:
        """What `make clean` removes: all state, not the virtual environment."""
        return (
            self.postgres.parent,
            self.airflow_home,
            self.exports,
            self.simulator,
            self.logs,
            self.folder / "secrets",
            self.ports,
            self.clock,
            self.folder / "kind",
        )

    @property
    def kind(self) -> str | None:
        """`demo`, `real`, or None before the first start."""
        file = self.folder / "kind"
        return file.read_text().strip() if file.exists() else None

    def claim(self, kind: str) -> None:
        """Record that this folder is for the demo or for real listeners; it stays so until `make clean`.

        :raises SetupError: it already holds the other kind's data.
        """
        if self.kind not in (None, kind):
            held, wanted = (
                ("the demo's data", "real listeners'") if kind == "real" else ("real listeners' data", "the demo's")
            )
            raise SetupError(
                f"{self.folder} holds {held}, which must not mix with {wanted}.\n"
                "Either `make clean` first, or keep both: set LISTENING_STATE_DIR to another folder."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_private(self.folder / "kind", kind)

    def secret(self, name: str, generate: Callable[[], str] = lambda: secrets.token_hex(64)) -> str:
        """A secret of this installation, generated at first use, in a file only its owner can read."""
        file = self.folder / "secrets" / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(file, generate())
        return file.read_text()


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read; if the process is killed, it is written completely or not at all."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)  # mkstemp creates the file with mode 0600
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    Path(name).replace(file)
