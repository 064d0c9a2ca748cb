"""Counts the calls to the simulated services and commits the faults that were planned for them."""

from __future__ import annotations

import asyncio
import socket
import struct
from datetime import UTC, datetime

from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.demo.simulator.faults import Fault
from include.demo.simulator.simulated_spotify import SimulatedSpotify, SpotifyError


class FaultMiddleware:
    """ASGI middleware around everything but the control desk: counts calls and commits the planned faults."""

    def __init__(self, app: ASGIApp, spotify: SimulatedSpotify) -> None:
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
                await self._commit_fault(fault, scope, receive, counting_send, _transport(send))
        finally:
            day = datetime.fromtimestamp(spotify.now_ms / 1000, UTC).date().isoformat()
            spotify.database.count_call(
                scope.get("simulated_user") or user_id or "", day, _endpoint(method, path), status
            )

    def _user_of(self, scope: Scope) -> str | None:
        for name, value in scope["headers"]:
            if name == b"authorization" and value.lower().startswith(b"bearer "):
                grant = self.spotify.database.grant(value[7:].decode("latin-1"))
                return None if grant is None else grant.user_id
        return None

    async def _commit_fault(
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
