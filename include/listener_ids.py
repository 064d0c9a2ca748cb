"""A listener's id where not every character may stand: folders, Airflow connections, addresses, words of a shell.

Ids come from Spotify; old ones hold characters like ! # + @ |.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, TypeGuard
from urllib.parse import quote, unquote

LONGEST_ID = 256  # bytes: it leads every key
LONGEST_CONNECTION_ID = 250  # Airflow's


def is_listener_id(value: Any) -> TypeGuard[str]:
    """Whether it can be a listener's id: something that a person can read and write again."""
    return isinstance(value, str) and value.isprintable() and value == value.strip() and 0 < _size(value) <= LONGEST_ID


def escaped(user_id: str) -> str:
    """The id as a folder's name or a shell's word: percent-encoded (RFC 3986) but for letters, digits, and - _ .

    A leading dot would hide a folder, or mean another one.
    """
    text = quote(user_id, safe="").replace("~", "%7E")
    return "%2E" + text[1:] if text.startswith(".") else text


def unescaped(name: str) -> str:
    """The id that a folder's name stands for."""
    return unquote(name)


def connection_id_of(user_id: str) -> str:
    """The id of the listener's Airflow connection, which may hold no %: `:` stands for it there."""
    connection_id = "spotify_" + escaped(user_id).replace("%", ":")
    if len(connection_id) > LONGEST_CONNECTION_ID:
        return "spotify_" + sha256(user_id.encode()).hexdigest()
    return connection_id


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
