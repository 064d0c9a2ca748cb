"""Spotify (and ReccoBeats) on loopback, as a development-mode app meets them: `python -m include.demo.simulator`.

One server plays the accounts service (/authorize, /api/token), the Web API (/v1/…), ReccoBeats (/reccobeats/v1/…) and,
for whoever runs it, the world's control desk (/control/…): its clock, its truth, its planned faults, its counted calls.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import socket
import struct
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import uvicorn
from fastapi import Body, FastAPI, Form, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.demo import spotify_json
from include.demo.accounts import ACCESS_TOKEN_MS, Accounts, Grant, InvalidGrant
from include.demo.catalog import catalog
from include.demo.client import SimulatorClient
from include.demo.draws import hashed
from include.demo.faults import Fault, FaultPlan
from include.demo.habits import Listener
from include.demo.listeners import DEMO_LISTENERS
from include.demo.world import Clock, World

CLIENT_ID = "listening-demo"
CLIENT_SECRET = "listening-demo-secret"
SCOPES = "user-read-recently-played playlist-modify-private playlist-read-private"
RECCOBEATS_COVERAGE = 67  # percent of tracks

logger = logging.getLogger(__name__)


class SpotifyError(Exception):
    """An answer in Spotify's error shape."""

    def __init__(self, status: int, message: str, reason: str | None = None, retry_after: int | None = None) -> None:
        self.status, self.message, self.reason, self.retry_after = status, message, reason, retry_after

    def response(self) -> JSONResponse:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse(spotify_json.error(self.status, self.message, self.reason), self.status, headers)


class Spotify:
    """Everything behind the endpoints: the world, what the service remembers, and what it is told to do wrong."""

    def __init__(self, world: World, accounts: Accounts) -> None:
        self.world = world
        self.accounts = accounts
        self.faults = FaultPlan()
        self.signed_in = next(iter(world.listeners))
        self.denies_consent = False
        self.rotates = 0  # so many of the next refreshes carry a new refresh token; -1: all
        self.keeps_former = False  # whether the one before stays valid
        self.extended_quota = False
        self.calls_per_30s: int | None = None
        self.calls_per_day: int | None = None
        self._recent_calls: deque[float] = deque()
        self._quota_calls: dict[int, int] = defaultdict(int)

    @property
    def now_ms(self) -> int:
        return self.world.clock.now_ms()

    def grant_of(self, authorization: str | None) -> Grant:
        """Whose access token it is. Raises SpotifyError 401."""
        if not authorization:
            raise SpotifyError(401, "No token provided")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise SpotifyError(400, "Only valid bearer authentication supported")
        grant = self.accounts.grant(token)
        if grant is None:
            raise SpotifyError(401, "Invalid access token")
        if grant.expires_ms <= self.now_ms:
            raise SpotifyError(401, "The access token expired")
        return grant

    def check_limits(self) -> None:
        """The app's rolling 30 s of real time, and its calls per simulated day. Raises SpotifyError 429."""
        now = time.monotonic()
        if self.calls_per_30s is not None:
            while self._recent_calls and self._recent_calls[0] <= now - 30:
                self._recent_calls.popleft()
            if len(self._recent_calls) >= self.calls_per_30s:
                raise SpotifyError(429, "API rate limit exceeded", retry_after=int(31 - (now - self._recent_calls[0])))
            self._recent_calls.append(now)
        if self.calls_per_day is not None:
            day = self.now_ms // 86_400_000
            if self._quota_calls[day] >= self.calls_per_day:
                rest = 86_400 - self.now_ms // 1000 % 86_400
                raise SpotifyError(429, "Too many requests", "QUOTA_EXCEEDED", retry_after=max(rest, 13 * 3600))
            self._quota_calls[day] += 1


# Transport: counting, faults -----------------------------------------------------------------------------------------


class Misbehaving:
    """ASGI middleware around everything but the control desk: counts calls and commits the planned faults."""

    def __init__(self, app: ASGIApp, spotify: Spotify) -> None:
        self.app, self.spotify = app, spotify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/control"):
            await self.app(scope, receive, send)
            return
        spotify, method, path = self.spotify, scope["method"], scope["path"]
        user_id = self._user_of(scope)
        fault = spotify.faults.next_for(method, path, user_id)
        status = 0

        async def counting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if fault is None:
                await self.app(scope, receive, counting_send)
            else:
                await self._misbehave(fault, scope, receive, counting_send, _transport(send))
        finally:
            day = datetime.fromtimestamp(spotify.now_ms / 1000, UTC).date().isoformat()
            spotify.accounts.count_call(
                scope.get("simulated_user") or user_id or "", day, _endpoint(method, path), status
            )

    def _user_of(self, scope: Scope) -> str | None:
        for name, value in scope["headers"]:
            if name == b"authorization" and value.lower().startswith(b"bearer "):
                grant = self.spotify.accounts.grant(value[7:].decode("latin-1"))
                return None if grant is None else grant.user_id
        return None

    async def _misbehave(
        self, fault: Fault, scope: Scope, receive: Receive, send: Send, transport: asyncio.Transport
    ) -> None:
        match fault.kind:
            case "rate_limit":
                answer = SpotifyError(429, "API rate limit exceeded", None, fault.retry_after_s).response()
                await answer(scope, receive, send)
            case "quota":
                answer = SpotifyError(429, "Too many requests", "QUOTA_EXCEEDED", fault.retry_after_s).response()
                await answer(scope, receive, send)
            case "status":
                message = fault.message or {401: "Invalid access token", 403: "Forbidden"}.get(
                    fault.status, "Server error"
                )
                await SpotifyError(fault.status, message, fault.reason, fault.retry_after).response()(
                    scope, receive, send
                )
            case "slow":
                await asyncio.sleep(fault.delay)
                await self.app(scope, receive, send)
            case "non_json":
                page = "<html><body><h1>502 Bad Gateway</h1></body></html>"
                await Response(page, 200, media_type="text/html")(scope, receive, send)
            case "reset":
                _reset(transport)
            case "lost_answer":
                await self.app(scope, receive, _swallow)
                _reset(transport)
            case "cut":
                body = bytearray()
                start: Message = {"type": "http.response.start", "status": 200, "headers": []}

                async def keep(message: Message) -> None:
                    nonlocal start
                    if message["type"] == "http.response.start":
                        start = message
                    else:
                        body.extend(message.get("body", b""))

                await self.app(scope, receive, keep)
                await send(start)
                await send({"type": "http.response.body", "body": bytes(body[: len(body) // 2]), "more_body": True})
                transport.close()


async def _swallow(message: Message) -> None:
    """Drops an answer that nobody is to see."""


def _transport(send: Send) -> asyncio.Transport:
    """The connection's transport: uvicorn's `send` is a method of its request cycle, which holds it."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("Connection faults need uvicorn's own send(): keep Misbehaving the outermost middleware.")
    return transport


def _reset(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
    transport.abort()


def _endpoint(method: str, path: str) -> str:
    """The call's name for counting: ids replaced, such as `GET /v1/tracks/{id}`."""
    parts = ["{id}" if len(part) == 22 and part.isalnum() else part for part in path.split("/")]
    return f"{method} {'/'.join(parts)}"


# The application -----------------------------------------------------------------------------------------------------


def create_app(spotify: Spotify) -> ASGIApp:
    app = FastAPI(title="Spotify simulator", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(SpotifyError)
    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, SpotifyError)
        return error.response()

    _add_accounts_service(app, spotify)
    _add_listening(app, spotify)
    _add_catalog(app, spotify)
    _add_playlists(app, spotify)
    _add_removed(app, spotify)
    _add_reccobeats(app)
    _add_control(app, spotify)
    return Misbehaving(app, spotify)


def _authorized(request: Request, spotify: Spotify, *scopes: str) -> Grant:
    """The caller's grant, checked for one of the scopes. Raises SpotifyError 401, 403, 429."""
    grant = spotify.grant_of(request.headers.get("authorization"))
    spotify.check_limits()
    if scopes and not grant.scope & set(scopes):
        raise SpotifyError(403, "Insufficient client scope")
    return grant


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _integer(request: Request, name: str, default: int | None, low: int, high: int) -> int | None:
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    try:
        value = int(text)
    except ValueError:
        raise SpotifyError(400, f"Invalid {name}") from None
    if not low <= value <= high:
        raise SpotifyError(400, f"Invalid {name}")
    return value


def _add_accounts_service(app: FastAPI, spotify: Spotify) -> None:
    @app.get("/authorize")
    async def authorize(
        client_id: str = "",
        response_type: str = "",
        redirect_uri: str = "",
        scope: str = "",
        state: str | None = None,
        code_challenge: str | None = None,
    ) -> Response:
        """Consents at once, as the signed-in listener."""
        if client_id != CLIENT_ID:
            return Response("INVALID_CLIENT: Invalid client", 400)
        target = urlsplit(redirect_uri)
        if target.scheme != "https" and not (target.scheme == "http" and target.hostname in ("127.0.0.1", "::1")):
            return Response("INVALID_CLIENT: Insecure redirect URI", 400)
        if response_type != "code":
            return Response("response_type must be code", 400)
        if spotify.denies_consent:
            answer = {"error": "access_denied"}
        else:
            code = spotify.accounts.issue_code(spotify.signed_in, redirect_uri, scope, code_challenge, spotify.now_ms)
            answer = {"code": code}
        if state is not None:
            answer["state"] = state
        return RedirectResponse(f"{redirect_uri}{'&' if target.query else '?'}{urlencode(answer)}", 302)

    @app.post("/api/token")
    async def token(
        request: Request,
        grant_type: str = Form(""),
        code: str = Form(""),
        redirect_uri: str = Form(""),
        refresh_token: str = Form(""),
        client_id: str = Form(""),
        client_secret: str = Form(""),
        code_verifier: str | None = Form(None),
    ) -> Response:
        def refused(error: str, description: str) -> JSONResponse:
            return JSONResponse({"error": error, "error_description": description}, 400)

        if not _is_our_app(request.headers.get("authorization"), client_id, client_secret, code_verifier):
            return refused("invalid_client", "Invalid client")
        challenge = None if code_verifier is None else _challenge(code_verifier)
        try:
            if grant_type == "authorization_code":
                user_id, scope, new_token = spotify.accounts.redeem_code(code, redirect_uri, challenge, spotify.now_ms)
            elif grant_type == "refresh_token":
                rotate = spotify.rotates != 0
                user_id, scope, rotated = spotify.accounts.refresh(
                    refresh_token, spotify.now_ms, rotate, spotify.keeps_former
                )
                new_token = rotated or ""
                if rotate and spotify.rotates > 0:
                    spotify.rotates -= 1
            else:
                return refused("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")
        except InvalidGrant as error:
            return refused("invalid_grant", str(error))
        request.scope["simulated_user"] = user_id
        answer = {
            "access_token": spotify.accounts.issue_access_token(user_id, scope, spotify.now_ms),
            "token_type": "Bearer",
            "expires_in": ACCESS_TOKEN_MS // 1000,
            "scope": scope,
        }
        if new_token:
            answer["refresh_token"] = new_token
        return JSONResponse(answer)


def _is_our_app(authorization: str | None, client_id: str, client_secret: str, verifier: str | None) -> bool:
    if authorization is None:
        return client_id == CLIENT_ID and (client_secret == CLIENT_SECRET or verifier is not None)
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        return base64.b64decode(credentials, validate=True).decode() == f"{CLIENT_ID}:{CLIENT_SECRET}"
    except ValueError:
        return False


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _add_listening(app: FastAPI, spotify: Spotify) -> None:
    @app.get("/v1/me")
    async def me(request: Request) -> Response:
        grant = _authorized(request, spotify)
        user = spotify_json.user(_base(request), grant.user_id, spotify.world.listeners[grant.user_id].display_name)
        return JSONResponse(user)

    @app.get("/v1/me/player/recently-played")
    async def recently_played(request: Request) -> Response:
        grant = _authorized(request, spotify, "user-read-recently-played")
        limit = _integer(request, "limit", 20, 1, 50)
        after = _integer(request, "after", None, 0, 10**15)
        before = _integer(request, "before", None, 0, 10**15)
        if after is not None and before is not None:
            raise SpotifyError(400, "Only one of after or before can be specified")
        assert limit is not None
        now_ms = spotify.now_ms
        life = await asyncio.to_thread(spotify.world.recently_played, grant.user_id)
        page = life.page(now_ms, limit, after, before)
        base = f"{_base(request)}/v1/me/player/recently-played"
        answer: dict[str, Any] = {"items": [], "next": None, "cursors": None, "limit": limit, "href": str(request.url)}
        if page:
            newest, oldest = page[0].played_at_ms, page[-1].played_at_ms
            onward = {"before": oldest} if after is None else {"after": newest}
            answer["cursors"] = {"after": str(newest), "before": str(oldest)}
            answer["next"] = f"{base}?{urlencode({**onward, 'limit': limit})}" if len(page) == limit else None
            root = _base(request)
            items = [spotify_json.play_history_text(root, p.track, p.played_at_ms, p.context) for p in page]
            del answer["items"]
            text = f'{{"items": [{", ".join(items)}], {json.dumps(answer)[1:]}'
            return Response(text, media_type="application/json")
        return JSONResponse(answer)


def _add_catalog(app: FastAPI, spotify: Spotify) -> None:
    @app.get("/v1/tracks/{track_id}")
    async def track(request: Request, track_id: str) -> Response:
        _authorized(request, spotify)
        found = catalog().tracks.get(track_id)
        if found is None:
            raise SpotifyError(404, "Resource not found")
        return JSONResponse(spotify_json.full_track(_base(request), found))

    @app.get("/v1/artists/{artist_id}")
    async def artist(request: Request, artist_id: str) -> Response:
        _authorized(request, spotify)
        found = catalog().artists_by_id.get(artist_id)
        if found is None:
            raise SpotifyError(404, "Resource not found")
        return JSONResponse(spotify_json.full_artist(_base(request), found))

    @app.get("/v1/search")
    async def search(request: Request, q: str = "", type: str = "") -> Response:
        _authorized(request, spotify)
        limit = _integer(request, "limit", 5, 1, 10)
        offset = _integer(request, "offset", 0, 0, 1000)
        assert limit is not None
        assert offset is not None
        if not q or not set(type.split(",")) <= {"track", "artist"}:
            raise SpotifyError(400, "No search query" if not q else "Bad search type field")
        return JSONResponse(spotify_json.search(_base(request), q, type.split(","), limit, offset))

    @app.get("/v1/audio-features")
    async def audio_features(request: Request, ids: str = "") -> Response:
        _authorized(request, spotify)
        if not spotify.extended_quota:
            raise SpotifyError(403, "Forbidden")
        wanted = ids.split(",")
        if len(wanted) > 100:
            raise SpotifyError(400, "Too many ids requested")
        found = [catalog().tracks.get(track_id) for track_id in wanted]
        return JSONResponse(
            {"audio_features": [None if t is None else spotify_json.audio_features(_base(request), t) for t in found]}
        )


PLAYLIST_WRITE = ("playlist-modify-private", "playlist-modify-public")


def _add_playlists(app: FastAPI, spotify: Spotify) -> None:
    def own(request: Request, grant: Grant, playlist_id: str) -> dict[str, Any]:
        found = spotify.accounts.playlist(playlist_id)
        if found is None:
            raise SpotifyError(404, "Resource not found")
        if found["user_id"] != grant.user_id:
            raise SpotifyError(403, "You cannot use a playlist you don't own")
        return found

    def owner_of(row: dict[str, Any]) -> str:
        return spotify.world.listeners[row["user_id"]].display_name

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
        grant = _authorized(request, spotify, "playlist-modify-public" if public else "playlist-modify-private")
        row = spotify.accounts.create_playlist(
            grant.user_id, body["name"], body.get("description") or "", bool(public), spotify.now_ms
        )
        return JSONResponse(spotify_json.full_playlist(_base(request), row, owner_of(row)), 201)

    @app.get("/v1/me/playlists")
    async def mine(request: Request) -> Response:
        grant = _authorized(request, spotify)
        limit = _integer(request, "limit", 20, 1, 50)
        offset = _integer(request, "offset", 0, 0, 100_000)
        assert limit is not None
        assert offset is not None
        private = "playlist-read-private" in grant.scope
        rows = [row for row in spotify.accounts.playlists(grant.user_id) if private or row["public"]]
        base = _base(request)
        page = [spotify_json.simple_playlist(base, row, owner_of(row)) for row in rows[offset : offset + limit]]
        return JSONResponse(spotify_json.paging(f"{base}/v1/me/playlists", page, len(rows), limit, offset))

    @app.get("/v1/playlists/{playlist_id}")
    async def one(request: Request, playlist_id: str) -> Response:
        grant = _authorized(request, spotify)
        row = own(request, grant, playlist_id)
        return JSONResponse(spotify_json.full_playlist(_base(request), row, owner_of(row)))

    @app.put("/v1/playlists/{playlist_id}")
    async def change(request: Request, playlist_id: str) -> Response:
        grant = _authorized(request, spotify, *PLAYLIST_WRITE)
        own(request, grant, playlist_id)
        spotify.accounts.change_playlist(playlist_id, await request.json())
        return Response(status_code=200)

    @app.get("/v1/playlists/{playlist_id}/items")
    async def items(request: Request, playlist_id: str) -> Response:
        grant = _authorized(request, spotify)
        row = own(request, grant, playlist_id)
        limit = _integer(request, "limit", 20, 1, 100)
        offset = _integer(request, "offset", 0, 0, 100_000)
        assert limit is not None
        assert offset is not None
        return JSONResponse(spotify_json.playlist_items(_base(request), row, limit, offset))

    @app.put("/v1/playlists/{playlist_id}/items")
    async def replace(request: Request, playlist_id: str) -> Response:
        grant = _authorized(request, spotify, *PLAYLIST_WRITE)
        own(request, grant, playlist_id)
        return JSONResponse({"snapshot_id": spotify.accounts.set_playlist_items(playlist_id, await uris_of(request))})

    @app.post("/v1/playlists/{playlist_id}/items")
    async def append(request: Request, playlist_id: str) -> Response:
        grant = _authorized(request, spotify, *PLAYLIST_WRITE)
        row = own(request, grant, playlist_id)
        uris = await uris_of(request)
        return JSONResponse({"snapshot_id": spotify.accounts.set_playlist_items(playlist_id, row["items"] + uris)}, 201)


def _add_removed(app: FastAPI, spotify: Spotify) -> None:
    """What Spotify took away from development-mode apps: 403, as the documentation of February 2026 says."""

    async def removed(request: Request) -> Response:
        _authorized(request, spotify)
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


def _add_reccobeats(app: FastAPI) -> None:
    @app.get("/reccobeats/v1/audio-features")
    async def audio_features(ids: str = Query("")) -> Response:
        wanted = [track_id for track_id in ids.split(",") if track_id]
        if not wanted or len(wanted) > 40:
            problem = {
                "timestamp": datetime.now(UTC).isoformat(),
                "error": "ids must have 1 to 40 entries",
                "status": 400,
            }
            return JSONResponse(problem, 400)
        known = [track for track_id in wanted if (track := catalog().tracks.get(track_id)) is not None]
        covered = [track for track in known if hashed("reccobeats", track.recording) % 100 < RECCOBEATS_COVERAGE]
        return JSONResponse({"content": [spotify_json.reccobeats_features(track) for track in covered]})


def _moment_ms(text: str) -> int:
    """Unix milliseconds of an ISO moment; one without an offset is UTC."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _add_control(app: FastAPI, spotify: Spotify) -> None:
    def clock() -> dict[str, Any]:
        return {"now": spotify_json.iso_ms(spotify.now_ms), "running": spotify.world.clock.running}

    def known(user_id: str) -> str:
        if user_id not in spotify.world.listeners:
            raise SpotifyError(404, f"no listener {user_id!r}; there are: {', '.join(spotify.world.listeners)}")
        return user_id

    @app.get("/control/clock")
    async def read_clock() -> dict[str, Any]:
        return clock()

    @app.post("/control/clock")
    async def set_clock(now: str = Body(), running: bool = Body(False)) -> dict[str, Any]:
        spotify.world.clock.set(_moment_ms(now), running=running)
        spotify.accounts.set_setting("clock", json.dumps({"now_ms": spotify.now_ms, "running": running}))
        return clock()

    @app.get("/control/faults")
    async def planned_faults() -> list[dict[str, Any]]:
        return spotify.faults.pending()

    @app.post("/control/faults")
    async def plan_faults(faults: list[Fault]) -> dict[str, int]:
        spotify.faults.add(faults)
        return {"planned": len(faults)}

    @app.delete("/control/faults")
    async def forget_faults() -> dict[str, int]:
        spotify.faults.clear()
        return {"planned": 0}

    @app.get("/control/listeners")
    async def listeners() -> list[dict[str, Any]]:
        return [
            {"user_id": listener.user_id, "display_name": listener.display_name, "time_zone": listener.time_zone}
            for listener in spotify.world.listeners.values()
        ]

    @app.get("/control/truth/{user_id}")
    def truth(
        user_id: str, since: str | None = Query(None, alias="from"), to: str | None = None
    ) -> list[dict[str, Any]]:
        return spotify.world.truth(known(user_id), _moment_ms(since) if since else None, _moment_ms(to) if to else None)

    @app.get("/control/calls")
    async def calls() -> list[dict[str, Any]]:
        return spotify.accounts.calls()

    @app.delete("/control/calls")
    async def forget_calls() -> list[dict[str, Any]]:
        spotify.accounts.forget_calls()
        return []

    @app.get("/control/refresh-token/{user_id}")
    async def refresh_token(user_id: str, scope: str = SCOPES, authorized_at: str | None = None) -> dict[str, Any]:
        authorized_ms = spotify.now_ms if authorized_at is None else _moment_ms(authorized_at)
        return {
            "user_id": known(user_id),
            "refresh_token": spotify.accounts.issue_refresh_token(user_id, scope, authorized_ms),
            "authorized_at": spotify_json.iso_ms(authorized_ms),
            "scope": scope,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }

    @app.post("/control/rotate")
    async def rotate(count: int = Body(1), keep_former: bool = Body(False)) -> dict[str, int]:
        """The next `count` refreshes carry a new refresh token and kill the former, or keep it; -1: all of them."""
        spotify.rotates, spotify.keeps_former = count, keep_former
        return {"rotates": count}

    @app.post("/control/revoke/{user_id}")
    async def revoke(user_id: str) -> dict[str, str]:
        spotify.accounts.revoke(known(user_id))
        return {"revoked": user_id}

    @app.post("/control/expire-access-tokens")
    async def expire_access_tokens() -> dict[str, bool]:
        spotify.accounts.expire_access_tokens()
        return {"expired": True}

    @app.post("/control/sign-in")
    async def sign_in(user_id: str = Body(), consents: bool = Body(True)) -> dict[str, Any]:
        """Who /authorize consents for, and whether they do."""
        spotify.signed_in, spotify.denies_consent = known(user_id), not consents
        return {"user_id": user_id, "consents": consents}

    @app.post("/control/limits")
    async def limits(
        calls_per_30s: int | None = Body(None),
        calls_per_day: int | None = Body(None),
        extended_quota: bool = Body(False),
    ) -> dict[str, Any]:
        """How much the app may do: rolling 30 s of real time, simulated day; and whether it has extended quota."""
        spotify.calls_per_30s, spotify.calls_per_day = calls_per_30s, calls_per_day
        spotify.extended_quota = extended_quota
        return {"calls_per_30s": calls_per_30s, "calls_per_day": calls_per_day, "extended_quota": extended_quota}

    @app.get("/control/playlists")
    async def playlists(user_id: str | None = None) -> list[dict[str, Any]]:
        return spotify.accounts.playlists(user_id)

    @app.delete("/control/playlists/{playlist_id}")
    async def delete_playlist(playlist_id: str) -> dict[str, str]:
        spotify.accounts.delete_playlist(playlist_id)
        return {"deleted": playlist_id}


# Running it ----------------------------------------------------------------------------------------------------------


def open_spotify(
    state: Path, now: str | None = None, listeners: Sequence[Listener] = DEMO_LISTENERS, *, running: bool = False
) -> Spotify:
    """The service and what it remembers in `state`. Its clock: at `now`, else where it last was, else real time."""
    state.mkdir(parents=True, exist_ok=True)
    accounts = Accounts(state / "simulator.sqlite3")
    remembered = accounts.setting("clock")
    if now is not None:
        clock = Clock(_moment_ms(now), running=running)
    elif remembered is not None:
        clock = Clock(**json.loads(remembered))
    else:
        clock = Clock()
    return Spotify(World(tuple(listeners), clock), accounts)


@contextlib.contextmanager
def simulator_server(
    state: Path | None = None, now: str | None = None, listeners: Sequence[Listener] = DEMO_LISTENERS
) -> Iterator[SimulatorClient]:
    """A simulator on a free port of 127.0.0.1 in a thread of this process, and a client of its control desk.

    The clock is frozen at `now` (ISO) if given. Without `state`, what it remembers is gone afterwards.
    """
    with contextlib.ExitStack() as stack:
        if state is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        spotify = open_spotify(state, now, listeners)
        stack.callback(spotify.accounts.close)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(_config(create_app(spotify), listening.getsockname()[1]))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True, name="simulator")
        thread.start()
        _wait(lambda: server.started, "the simulator did not start")
        try:
            yield SimulatorClient(f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=10)


def _config(app: ASGIApp, port: int, host: str = "127.0.0.1") -> uvicorn.Config:
    return uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False, http="h11", lifespan="off")


def _wait(condition: Callable[[], bool], problem: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(problem)
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a simulated Spotify on 127.0.0.1.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; only a closed network may reach more")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps tokens, playlists and the clock")
    parser.add_argument("--now", help="ISO moment to freeze the clock at; default: where it last was, else real time")
    parser.add_argument("--running", action="store_true", help="let the clock run on from --now")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    spotify = open_spotify(arguments.state, arguments.now, running=arguments.running)
    threading.Thread(target=spotify.world.tell_all, daemon=True, name="stories").start()
    logger.info(
        "Spotify simulator on http://127.0.0.1:%s, clock at %s",
        arguments.port,
        spotify_json.iso_ms(spotify.now_ms),
    )
    uvicorn.Server(_config(create_app(spotify), arguments.port, arguments.host)).run()


if __name__ == "__main__":
    main()
