"""The application: Spotify's accounts service and Web API, ReccoBeats, and the control routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.types import ASGIApp

from include.demo.simulator import accounts_service, control, playlists, reccobeats, web_api
from include.demo.simulator.fault_middleware import FaultMiddleware
from include.demo.simulator.simulated_spotify import SimulatedSpotify, SpotifyError


def create_app(spotify: SimulatedSpotify) -> ASGIApp:
    """The application with all routes, behind the middleware that commits planned faults."""
    app = FastAPI(title="Spotify simulator", docs_url=None, redoc_url=None, openapi_url=None)

    app.add_exception_handler(SpotifyError, _refuse)
    for routes in (accounts_service, web_api, playlists, control):
        routes.add_routes(app, spotify)
    reccobeats.add_routes(app)
    return FaultMiddleware(app, spotify)


async def _refuse(request: Request, error: Any) -> Response:
    return error.response()
