"""Queries kept in files: `query("ingestion", "store_state")` is the one below `-- name: store_state` in a file of
`include/sql/ingestion`. A file without such a line is one query, called as the file is.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def query(folder: str, name: str) -> bytes:
    """The text of a query, to be executed with bound parameters.

    :raises KeyError: the folder has no query of this name.
    """
    return _queries(folder)[name]


@cache
def _queries(folder: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for file in sorted((HERE / folder).glob("*.sql")):
        start, *parts = _NAME.split(file.read_text())
        for name, text in zip(parts[::2], parts[1::2], strict=True) if parts else [(file.stem, start)]:
            if name in found:
                raise ValueError(f"{folder} has two queries called {name}; the second is in {file.name}")
            found[name] = text.strip().encode()
    return found
