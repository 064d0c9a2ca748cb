"""The control routes (/control/…) for tests and the demo: clock, true plays, planned faults, counted calls, limits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from fastapi import Body, FastAPI, Query

from include.demo.simulator import spotify_json
from include.demo.simulator.faults import Fault
from include.demo.simulator.simulated_spotify import CLIENT_ID, CLIENT_SECRET, SCOPES, SimulatedSpotify, SpotifyError


def moment_ms(text: str) -> int:
    """Unix milliseconds of an ISO moment; one without an offset is UTC."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def add_routes(app: FastAPI, spotify: SimulatedSpotify) -> None:
    def clock() -> dict[str, Any]:
        return {"now": spotify_json.iso_ms(spotify.now_ms), "running": spotify.simulation.clock.running}

    def known(user_id: str) -> str:
        if user_id not in spotify.simulation.listeners:
            raise SpotifyError(404, f"no listener {user_id!r}; there are: {', '.join(spotify.simulation.listeners)}")
        return user_id

    @app.get("/control/clock")
    async def read_clock() -> dict[str, Any]:
        return clock()

    @app.post("/control/clock")
    async def set_clock(now: str = Body(), running: bool = Body(False)) -> dict[str, Any]:
        spotify.simulation.clock.set(moment_ms(now), running=running)
        spotify.database.set_setting("clock", json.dumps({"now_ms": spotify.now_ms, "running": running}))
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
            for listener in spotify.simulation.listeners.values()
        ]

    @app.get("/control/truth/{user_id}")
    def truth(
        user_id: str, since: str | None = Query(None, alias="from"), to: str | None = None
    ) -> list[dict[str, Any]]:
        return spotify.simulation.truth(
            known(user_id), moment_ms(since) if since else None, moment_ms(to) if to else None
        )

    @app.get("/control/calls")
    async def calls() -> list[dict[str, Any]]:
        return spotify.database.calls()

    @app.delete("/control/calls")
    async def forget_calls() -> list[dict[str, Any]]:
        spotify.database.forget_calls()
        return []

    @app.get("/control/refresh-token/{user_id}")
    async def refresh_token(user_id: str, scope: str = SCOPES, authorized_at: str | None = None) -> dict[str, Any]:
        authorized_ms = spotify.now_ms if authorized_at is None else moment_ms(authorized_at)
        return {
            "user_id": known(user_id),
            "refresh_token": spotify.database.issue_refresh_token(user_id, scope, authorized_ms),
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
        spotify.database.revoke(known(user_id))
        return {"revoked": user_id}

    @app.post("/control/expire-access-tokens")
    async def expire_access_tokens() -> dict[str, bool]:
        spotify.database.expire_access_tokens()
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
        return spotify.database.playlists(user_id)

    @app.delete("/control/playlists/{playlist_id}")
    async def delete_playlist(playlist_id: str) -> dict[str, str]:
        spotify.database.delete_playlist(playlist_id)
        return {"deleted": playlist_id}
