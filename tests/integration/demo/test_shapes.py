"""The simulator's answers have the shapes of Spotify's documentation: its OpenAPI document of 2026-05-31.

Written from the documentation, without what development-mode apps no longer get (`available_markets`, `popularity`,
`followers`, `linked_from`, `label`, and of users `country`, `email`, `product`). A type of None beside others says that
the field may be null.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Api

Shape = dict[str, Any]
LINKS: Shape = {"external_urls": {"spotify": str}, "href": str, "id": str, "uri": str}
IMAGES = [{"url": str, "height": (int, None), "width": (int, None)}]
SIMPLE_ARTIST = {**LINKS, "type": "artist", "name": str}
ARTIST = {**SIMPLE_ARTIST, "genres": [str], "images": IMAGES}
ALBUM = {
    **LINKS, "type": "album", "name": str, "album_type": ("album", "single", "compilation"), "artists": [SIMPLE_ARTIST],
    "images": IMAGES, "release_date": str, "release_date_precision": ("year", "month", "day"), "total_tracks": int,
}  # fmt: skip
TRACK = {
    **LINKS, "type": "track", "name": str, "album": ALBUM, "artists": [SIMPLE_ARTIST], "disc_number": int,
    "duration_ms": int, "explicit": bool, "external_ids": {"isrc": str}, "is_local": bool, "preview_url": (str, None),
    "track_number": int,
}  # fmt: skip
CONTEXT = {"type": ("artist", "playlist", "album", "show"), "href": str, "external_urls": {"spotify": str}, "uri": str}
PLAY_HISTORY = {"track": TRACK, "played_at": str, "context": (CONTEXT, None)}
OWNER = {**LINKS, "type": "user", "display_name": (str, None)}
USER = {**OWNER, "account_id": str, "images": []}


def page(item: Shape) -> Shape:
    urls = {"href": str, "next": (str, None), "previous": (str, None)}
    return {**urls, "limit": int, "offset": int, "total": int, "items": [item]}


RECENTLY_PLAYED = {
    "href": str, "limit": int, "next": (str, None), "items": [PLAY_HISTORY],
    "cursors": ({"after": str, "before": str}, None),
}  # fmt: skip
PLAYLIST_ITEM = {"added_at": str, "added_by": {**LINKS, "type": "user"}, "is_local": bool, "item": TRACK}
SIMPLE_PLAYLIST = {
    **LINKS, "type": "playlist", "collaborative": bool, "description": (str, None), "images": [], "name": str,
    "owner": OWNER, "public": (bool, None), "snapshot_id": str, "items": {"href": str, "total": int},
}  # fmt: skip
PLAYLIST = {**SIMPLE_PLAYLIST, "items": page(PLAYLIST_ITEM)}


def differences(value: Any, shape: Any, place: str = "") -> list[str]:
    """Where the value is not of the shape: a type, a constant, an object, a list, or several of them."""
    if isinstance(shape, tuple):
        found = [differences(value, one, place) for one in shape]
        return [] if [] in found else min(found, key=len)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{place}: no object"]
        odd = [f"{place}.{name}: missing" for name in shape.keys() - value.keys()]
        odd += [f"{place}.{name}: not documented" for name in value.keys() - shape.keys()]
        return odd + [
            line
            for name in shape.keys() & value.keys()
            for line in differences(value[name], shape[name], f"{place}.{name}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{place}: no list"]
        return [line for item in value for line in (differences(item, shape[0], f"{place}[]") if shape else [place])]
    if isinstance(shape, type):
        return [] if type(value) is shape else [f"{place}: {value!r} is no {shape.__name__}"]
    return [] if value == shape else [f"{place}: {value!r} is not {shape!r}"]


def test_objects_are_those_of_the_documentation(api_of: Callable[..., Api]) -> None:
    api = api_of("ada")
    recent = api("GET", "/v1/me/player/recently-played", params={"limit": 50}).json()
    track = recent["items"][0]["track"]
    created = api("POST", "/v1/me/playlists", json={"name": "Shapes", "public": False})
    playlist = f"/v1/playlists/{created.json()['id']}"
    api("PUT", f"{playlist}/items", json={"uris": [track["uri"]]})
    answers = {
        "recently played": (recent, RECENTLY_PLAYED),
        "track": (api("GET", f"/v1/tracks/{track['id']}").json(), TRACK),
        "artist": (api("GET", f"/v1/artists/{track['artists'][0]['id']}").json(), ARTIST),
        "search": (
            api("GET", "/v1/search", params={"q": track["name"], "type": "track,artist"}).json(),
            {"tracks": page(TRACK), "artists": page(ARTIST)},
        ),
        "me": (api("GET", "/v1/me").json(), USER),
        "created playlist": (created.json(), PLAYLIST),
        "playlist": (api("GET", playlist).json(), PLAYLIST),
        "items of a playlist": (api("GET", f"{playlist}/items").json(), page(PLAYLIST_ITEM)),
        "playlists": (api("GET", "/v1/me/playlists").json(), page(SIMPLE_PLAYLIST)),
    }
    assert {name: odd for name, (value, shape) in answers.items() if (odd := differences(value, shape))} == {}
    assert len(answers["playlist"][0]["items"]["items"]) == 1


@pytest.mark.parametrize(
    ("value", "shape", "odd"),
    [
        ({"a": 1}, {"a": int, "b": int}, [".b: missing"]),
        ({"a": 1, "b": 2}, {"a": int}, [".b: not documented"]),
        ({"a": True}, {"a": int}, [".a: True is no int"]),
        ([{"a": None}], [{"a": (str, None)}], []),
    ],
)
def test_differences_are_found(value: Any, shape: Any, odd: list[str]) -> None:
    assert differences(value, shape) == odd
