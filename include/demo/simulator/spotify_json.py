"""Spotify's JSON shapes as a development-mode app gets them since March 2026: without the removed fields."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from include.demo.catalog import Album, Artist, Track, audio_features_of, catalog
from include.demo.random_draws import hashed

Json = dict[str, Any]

PLAYLIST_PAGE = 100


def iso_ms(moment_ms: int) -> str:
    """Unix milliseconds as 2026-05-01T12:34:56.789Z."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment_ms % 1000:03}Z"


def _links(base: str, kind: str, identifier: str) -> Json:
    return {
        "external_urls": {"spotify": f"https://open.spotify.com/{kind}/{identifier}"},
        "href": f"{base}/v1/{kind}s/{identifier}",
        "id": identifier,
        "type": kind,
        "uri": f"spotify:{kind}:{identifier}",
    }


def simple_artist(base: str, artist: Artist) -> Json:
    return {**_links(base, "artist", artist.artist_id), "name": artist.name}


def full_artist(base: str, artist: Artist) -> Json:
    return {**simple_artist(base, artist), "genres": list(artist.genre.tags), "images": _images(artist.artist_id)}


def _images(identifier: str) -> list[Json]:
    return [
        {"height": size, "url": f"https://i.scdn.co/image/{identifier}{size}", "width": size} for size in (640, 300, 64)
    ]


def album(base: str, album: Album) -> Json:
    return {
        **_links(base, "album", album.album_id),
        "album_type": album.album_type,
        "artists": [simple_artist(base, album.artist)],
        "images": _images(album.album_id),
        "name": album.name,
        "release_date": album.release_date,
        "release_date_precision": "day",
        "total_tracks": len(album.tracks),
    }


def full_track(base: str, track: Track) -> Json:
    return {
        **_links(base, "track", track.track_id),
        "album": album(base, track.album),
        "artists": [simple_artist(base, track.artist)],
        "disc_number": 1,
        "duration_ms": track.duration_ms,
        "explicit": track.artist.genre.name == "hip hop" and track.number % 2 == 0,
        "external_ids": {"isrc": track.isrc},
        "is_local": False,
        "name": track.name,
        "preview_url": None,
        "track_number": track.number,
    }


def context(base: str, uri: str | None) -> Json | None:
    if uri is None:
        return None
    _, kind, identifier = uri.split(":")
    links = _links(base, kind, identifier)
    return {key: links[key] for key in ("type", "href", "external_urls", "uri")}


@lru_cache(maxsize=4096)
def _track_text(base: str, track: Track) -> str:
    return json.dumps(full_track(base, track))


def play_history_text(base: str, track: Track, played_at_ms: int, context_uri: str | None) -> str:
    """One item of recently played as JSON text: encoding the track is most of a poll's cost, so it is cached."""
    rest = json.dumps({"played_at": iso_ms(played_at_ms), "context": context(base, context_uri)})
    return f'{{"track": {_track_text(base, track)}, {rest[1:]}'


def simple_playlist(base: str, row: Json, owner_name: str) -> Json:
    """row: playlist_id, user_id, name, description, public, snapshot_id, items (URIs)."""
    owner = {**_links(base, "user", row["user_id"]), "display_name": owner_name}
    return {
        **_links(base, "playlist", row["playlist_id"]),
        "collaborative": False,
        "description": row["description"],
        "images": [],
        "items": {"href": playlist_items_url(base, row), "total": len(row["items"])},
        "name": row["name"],
        "owner": owner,
        "public": bool(row["public"]),
        "snapshot_id": row["snapshot_id"],
    }


def full_playlist(base: str, row: Json, owner_name: str) -> Json:
    """With the first page of its items."""
    return {**simple_playlist(base, row, owner_name), "items": playlist_items(base, row, PLAYLIST_PAGE, 0)}


def playlist_items_url(base: str, row: Json) -> str:
    return f"{base}/v1/playlists/{row['playlist_id']}/items"


def playlist_items(base: str, row: Json, limit: int, offset: int) -> Json:
    tracks = [catalog().tracks[uri.removeprefix("spotify:track:")] for uri in row["items"][offset : offset + limit]]
    page = [playlist_item(base, row, track) for track in tracks]
    return paging(playlist_items_url(base, row), page, len(row["items"]), limit, offset)


def error(status: int, message: str, reason: str | None = None) -> Json:
    body: Json = {"status": status, "message": message}
    if reason is not None:
        body["reason"] = reason
    return {"error": body}


def user(base: str, user_id: str, display_name: str) -> Json:
    return {**_links(base, "user", user_id), "account_id": user_id, "display_name": display_name, "images": []}


def playlist_item(base: str, row: Json, track: Track) -> Json:
    added_by = _links(base, "user", row["user_id"])
    return {
        "added_at": iso_ms(row["created_ms"]),
        "added_by": added_by,
        "is_local": False,
        "item": full_track(base, track),
    }


def paging(url: str, items: list[Json], total: int, limit: int, offset: int) -> Json:
    def at(place: int) -> str:
        return f"{url}?offset={place}&limit={limit}"

    return {
        "href": at(offset),
        "items": items,
        "limit": limit,
        "next": at(offset + limit) if offset + limit < total else None,
        "offset": offset,
        "previous": at(max(0, offset - limit)) if offset > 0 else None,
        "total": total,
    }


def search(base: str, query: str, kinds: list[str], limit: int, offset: int) -> Json:
    """Everything whose name, or artist's name, contains all the words; of `artist:word` the word counts."""
    words = [word.split(":", 1)[-1].strip('"') for word in query.lower().split()]
    music, answer = catalog(), {}
    if "track" in kinds:
        tracks = [
            t for t in music.tracks.values() if _matches(words, f"{t.name} {t.artist.name} {t.album.name} {t.isrc}")
        ]
        page = [full_track(base, track) for track in tracks[offset : offset + limit]]
        answer["tracks"] = paging(f"{base}/v1/search", page, len(tracks), limit, offset)
    if "artist" in kinds:
        artists = [artist for artist in music.artists if _matches(words, artist.name)]
        page = [full_artist(base, artist) for artist in artists[offset : offset + limit]]
        answer["artists"] = paging(f"{base}/v1/search", page, len(artists), limit, offset)
    return answer


def _matches(words: list[str], text: str) -> bool:
    text = text.lower()
    return all(word in text for word in words)


def audio_features(base: str, track: Track) -> Json:
    """Spotify's own shape, for apps that still may."""
    return {
        **audio_features_of(track),
        "type": "audio_features",
        "id": track.track_id,
        "uri": track.uri,
        "track_href": f"{base}/v1/tracks/{track.track_id}",
        "analysis_url": f"{base}/v1/audio-analysis/{track.track_id}",
        "duration_ms": track.duration_ms,
        "time_signature": 4,
    }


def reccobeats_features(track: Track) -> Json:
    identifier = UUID(int=hashed("reccobeats id", track.recording) << 64 | hashed("reccobeats", track.recording))
    return {
        "id": str(identifier),
        "href": f"https://open.spotify.com/track/{track.track_id}",
        **audio_features_of(track),
    }
