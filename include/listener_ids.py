"""Listeners' ids in places that do not allow every character: folders, Airflow connections, URLs, shell commands.

Ids come from Spotify; old ones hold characters like ! # + @ |.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, TypeGuard
from urllib.parse import quote, unquote

MAX_BYTES = 256  # the id is the first column of every key
MAX_CONNECTION_ID = 250  # characters, of Airflow's


def is_listener_id(value: Any) -> TypeGuard[str]:
    """Whether it can be a listener's id: printable text without spaces at its ends."""
    return isinstance(value, str) and value.isprintable() and value == value.strip() and 0 < _size(value) <= MAX_BYTES


def escaped(user_id: str) -> str:
    """The id as a folder's name or a word in a shell: percent-encoded (RFC 3986) except letters, digits, and - _ .

    A leading dot is encoded too: it would hide the folder, or mean another one.
    """
    text = quote(user_id, safe="").replace("~", "%7E")
    return "%2E" + text[1:] if text.startswith(".") else text


def unescaped(name: str) -> str:
    """The id that a folder's name stands for."""
    return unquote(name)


def connection_id_of(user_id: str) -> str:
    """The id of the listener's Airflow connection. Airflow allows no % in it; it has `:` instead."""
    connection_id = "spotify_" + escaped(user_id).replace("%", ":")
    if len(connection_id) > MAX_CONNECTION_ID:
        return "spotify_" + sha256(user_id.encode()).hexdigest()
    return connection_id


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
