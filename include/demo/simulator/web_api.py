"""Spotify's Web API (/v1/…) but its playlists: the user, recently played, the catalogue, and what Spotify removed."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from include.demo.catalog import catalog
from include.demo.simulator import spotify_json
from include.demo.simulator.simulated_spotify import (
    SimulatedSpotify,
    SpotifyError,
    authorized,
    base_url,
    integer_parameter,
    optional_integer,
)


def add_routes(app: FastAPI, spotify: SimulatedSpotify) -> None:
    """Add them to the application."""
    _add_user(app, spotify)
    _add_catalog(app, spotify)
    _add_removed(app, spotify)


def _add_user(app: FastAPI, spotify: SimulatedSpotify) -> None:
    @app.get("/v1/me")
    async def me(request: Request) -> Response:
        grant = authorized(request, spotify)
        user = spotify_json.user(
            base_url(request), grant.user_id, spotify.simulation.listeners[grant.user_id].display_name
        )
        return JSONResponse(user)

    @app.get("/v1/me/player/recently-played")
    async def recently_played(request: Request) -> Response:
        grant = authorized(request, spotify, "user-read-recently-played")
        limit = integer_parameter(request, "limit", 20, 1, 50)
        after = optional_integer(request, "after", 0, 10**15)
        before = optional_integer(request, "before", 0, 10**15)
        if after is not None and before is not None:
            raise SpotifyError(400, "Only one of after or before can be specified")
        now_ms = spotify.now_ms
        history = await asyncio.to_thread(spotify.simulation.recently_played, grant.user_id)
        page = history.page(now_ms, limit, after, before)
        base = f"{base_url(request)}/v1/me/player/recently-played"
        answer: dict[str, Any] = {"items": [], "next": None, "cursors": None, "limit": limit, "href": str(request.url)}
        if page:
            newest, oldest = page[0].played_at_ms, page[-1].played_at_ms
            onward = {"before": oldest} if after is None else {"after": newest}
            answer["cursors"] = {"after": str(newest), "before": str(oldest)}
            answer["next"] = f"{base}?{urlencode({**onward, 'limit': limit})}" if len(page) == limit else None
            root = base_url(request)
            items = [spotify_json.play_history_text(root, p.track, p.played_at_ms, p.context) for p in page]
            del answer["items"]
            text = f'{{"items": [{", ".join(items)}], {json.dumps(answer)[1:]}'
            return Response(text, media_type="application/json")
        return JSONResponse(answer)


def _add_catalog(app: FastAPI, spotify: SimulatedSpotify) -> None:
    @app.get("/v1/tracks/{track_id}")
    async def track(request: Request, track_id: str) -> Response:
        authorized(request, spotify)
        found = catalog().tracks.get(track_id)
        if found is None:
            raise SpotifyError(404, "Resource not found")
        return JSONResponse(spotify_json.full_track(base_url(request), found))

    @app.get("/v1/artists/{artist_id}")
    async def artist(request: Request, artist_id: str) -> Response:
        authorized(request, spotify)
        found = catalog().artists_by_id.get(artist_id)
        if found is None:
            raise SpotifyError(404, "Resource not found")
        return JSONResponse(spotify_json.full_artist(base_url(request), found))

    @app.get("/v1/search")
    async def search(request: Request, q: str = "", type: str = "") -> Response:
        authorized(request, spotify)
        limit = integer_parameter(request, "limit", 5, 1, 10)
        offset = integer_parameter(request, "offset", 0, 0, 1000)
        if not q or not set(type.split(",")) <= {"track", "artist"}:
            raise SpotifyError(400, "No search query" if not q else "Bad search type field")
        return JSONResponse(spotify_json.search(base_url(request), q, type.split(","), limit, offset))

    @app.get("/v1/audio-features")
    async def audio_features(request: Request, ids: str = "") -> Response:
        authorized(request, spotify)
        if not spotify.extended_quota:
            raise SpotifyError(403, "Forbidden")
        wanted = ids.split(",")
        if len(wanted) > 100:
            raise SpotifyError(400, "Too many ids requested")
        found = [catalog().tracks.get(track_id) for track_id in wanted]
        return JSONResponse(
            {
                "audio_features": [
                    None if t is None else spotify_json.audio_features(base_url(request), t) for t in found
                ]
            }
        )


def _add_removed(app: FastAPI, spotify: SimulatedSpotify) -> None:
    """What Spotify took away from development-mode apps: 403, as the documentation of February 2026 says."""

    async def removed(request: Request) -> Response:
        authorized(request, spotify)
        raise SpotifyError(403, "Forbidden")

    for path in (
        "/v1/tracks",
        "/v1/artists",
        "/v1/albums",
        "/v1/audio-features/{track_id}",
        "/v1/audio-analysis/{track_id}",
        "/v1/recommendations",
        "/v1/artists/{artist_id}/related-artists",
        "/v1/artists/{artist_id}/top-tracks",
        "/v1/users/{user_id}",
        "/v1/users/{user_id}/playlists",
        "/v1/playlists/{playlist_id}/tracks",
        "/v1/browse/{rest:path}",
        "/v1/markets",
    ):
        app.api_route(path, methods=["GET", "POST", "PUT", "DELETE"])(removed)
        app.api_route(path + "/", methods=["GET", "POST", "PUT", "DELETE"])(removed)
