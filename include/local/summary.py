"""What the data look like after a run: rows, personas, the newest playlist, the checks' outcome."""

from __future__ import annotations

from collections.abc import Callable


def print_summary(owner_conninfo: str, say: Callable[[str], None]) -> None:
    raise NotImplementedError
