"""Playlists in Spotify's Web API: create, list, read, change, and their items."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from include.demo.catalog import catalog
from include.demo.simulator import spotify_json
from include.demo.simulator.database import Grant
from include.demo.simulator.simulated_spotify import (
    SimulatedSpotify,
    SpotifyError,
    authorized,
    base_url,
    integer_parameter,
)

PLAYLIST_WRITE = ("playlist-modify-private", "playlist-modify-public")


def add_routes(app: FastAPI, spotify: SimulatedSpotify) -> None:
    def own(request: Request, grant: Grant, playlist_id: str) -> dict[str, Any]:
        found = spotify.database.playlist(playlist_id)
        if found is None:
            raise SpotifyError(404, "Resource not found")
        if found["user_id"] != grant.user_id:
            raise SpotifyError(403, "You cannot use a playlist you don't own")
        return found

    def owner_of(row: dict[str, Any]) -> str:
        return spotify.simulation.listeners[row["user_id"]].display_name

    async def uris_of(request: Request) -> list[str]:
        try:
            body = await request.json() if await request.body() else {}
        except ValueError:
            raise SpotifyError(400, "Error parsing JSON.") from None
        uris = body.get("uris", request.query_params.get("uris", "").split(",")) if isinstance(body, dict) else None
        uris = [uri for uri in uris if uri] if isinstance(uris, list) else None
        if uris is None:
            raise SpotifyError(400, "No uris provided")
        if len(uris) > 100:
            raise SpotifyError(400, "You can add a maximum of 100 tracks per request.")
        for uri in uris:
            if not isinstance(uri, str) or uri.removeprefix("spotify:track:") not in catalog().tracks:
                raise SpotifyError(400, f"Invalid track uri: {uri}")
        return uris

    @app.post("/v1/me/playlists")
    async def create(request: Request) -> Response:
        try:
            body = await request.json()
        except ValueError:
            raise SpotifyError(400, "Error parsing JSON.") from None
        if not isinstance(body, dict) or not body.get("name"):
            raise SpotifyError(400, "Missing required field: name")
        public = body.get("public", True)
        grant = authorized(request, spotify, "playlist-modify-public" if public else "playlist-modify-private")
        row = spotify.database.create_playlist(
            grant.user_id, body["name"], body.get("description") or "", bool(public), spotify.now_ms
        )
        return JSONResponse(spotify_json.full_playlist(base_url(request), row, owner_of(row)), 201)

    @app.get("/v1/me/playlists")
    async def mine(request: Request) -> Response:
        grant = authorized(request, spotify)
        limit = integer_parameter(request, "limit", 20, 1, 50)
        offset = integer_parameter(request, "offset", 0, 0, 100_000)
        private = "playlist-read-private" in grant.scope
        rows = [row for row in spotify.database.playlists(grant.user_id) if private or row["public"]]
        base = base_url(request)
        page = [spotify_json.simple_playlist(base, row, owner_of(row)) for row in rows[offset : offset + limit]]
        return JSONResponse(spotify_json.paging(f"{base}/v1/me/playlists", page, len(rows), limit, offset))

    @app.get("/v1/playlists/{playlist_id}")
    async def one(request: Request, playlist_id: str) -> Response:
        grant = authorized(request, spotify)
        row = own(request, grant, playlist_id)
        return JSONResponse(spotify_json.full_playlist(base_url(request), row, owner_of(row)))

    @app.put("/v1/playlists/{playlist_id}")
    async def change(request: Request, playlist_id: str) -> Response:
        grant = authorized(request, spotify, *PLAYLIST_WRITE)
        own(request, grant, playlist_id)
        spotify.database.change_playlist(playlist_id, await request.json())
        return Response(status_code=200)

    @app.get("/v1/playlists/{playlist_id}/items")
    async def items(request: Request, playlist_id: str) -> Response:
        grant = authorized(request, spotify)
        row = own(request, grant, playlist_id)
        limit = integer_parameter(request, "limit", 20, 1, 100)
        offset = integer_parameter(request, "offset", 0, 0, 100_000)
        return JSONResponse(spotify_json.playlist_items(base_url(request), row, limit, offset))

    @app.put("/v1/playlists/{playlist_id}/items")
    async def replace(request: Request, playlist_id: str) -> Response:
        grant = authorized(request, spotify, *PLAYLIST_WRITE)
        own(request, grant, playlist_id)
        return JSONResponse({"snapshot_id": spotify.database.set_playlist_items(playlist_id, await uris_of(request))})

    @app.post("/v1/playlists/{playlist_id}/items")
    async def append(request: Request, playlist_id: str) -> Response:
        grant = authorized(request, spotify, *PLAYLIST_WRITE)
        row = own(request, grant, playlist_id)
        uris = await uris_of(request)
        return JSONResponse({"snapshot_id": spotify.database.set_playlist_items(playlist_id, row["items"] + uris)}, 201)
