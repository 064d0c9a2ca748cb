"""What the routes share: who calls, the app's limits, and how tests want the service to behave."""

from __future__ import annotations

import time
from collections import defaultdict, deque

from fastapi import Request
from fastapi.responses import JSONResponse

from include.demo.simulator import spotify_json
from include.demo.simulator.database import Grant, SimulatorDatabase
from include.demo.simulator.faults import FaultPlan
from include.demo.simulator.simulation import Simulation

CLIENT_ID = "listening-demo"
CLIENT_SECRET = "listening-demo-secret"
SCOPES = "user-read-recently-played playlist-modify-private playlist-read-private"


class SpotifyError(Exception):
    """An answer in Spotify's error shape."""

    def __init__(self, status: int, message: str, reason: str | None = None, retry_after: int | None = None) -> None:
        self.status, self.message, self.reason, self.retry_after = status, message, reason, retry_after

    def response(self) -> JSONResponse:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse(spotify_json.error(self.status, self.message, self.reason), self.status, headers)


class SimulatedSpotify:
    """What is behind the routes: the simulation, the stored tokens and playlists, and the planned faults."""

    def __init__(self, simulation: Simulation, database: SimulatorDatabase) -> None:
        self.simulation = simulation
        self.database = database
        self.faults = FaultPlan()
        self.signed_in = next(iter(simulation.listeners))
        self.denies_consent = False
        self.rotates = 0  # how many of the next refreshes return a new refresh token; -1: all
        self.keeps_former = False  # whether the old one stays valid
        self.extended_quota = False
        self.calls_per_30s: int | None = None
        self.calls_per_day: int | None = None
        self._recent_calls: deque[float] = deque()
        self._quota_calls: dict[int, int] = defaultdict(int)

    @property
    def now_ms(self) -> int:
        return self.simulation.clock.now_ms()

    def grant_of(self, authorization: str | None) -> Grant:
        """Whose access token it is. Raises SpotifyError 401."""
        if not authorization:
            raise SpotifyError(401, "No token provided")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise SpotifyError(400, "Only valid bearer authentication supported")
        grant = self.database.grant(token)
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


def authorized(request: Request, spotify: SimulatedSpotify, *scopes: str) -> Grant:
    """The caller's grant, checked for one of the scopes. Raises SpotifyError 401, 403, 429."""
    grant = spotify.grant_of(request.headers.get("authorization"))
    spotify.check_limits()
    if scopes and not grant.scope & set(scopes):
        raise SpotifyError(403, "Insufficient client scope")
    return grant


def base_url(request: Request) -> str:
    """The simulator's own address, without a path."""
    return str(request.base_url).rstrip("/")


def integer_parameter(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A query parameter between `low` and `high`, or the default if it is not there. Raises SpotifyError 400."""
    value = optional_integer(request, name, low, high)
    return default if value is None else value


def optional_integer(request: Request, name: str, low: int, high: int) -> int | None:
    """A query parameter between `low` and `high`, or None if it is not there. Raises SpotifyError 400."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    try:
        value = int(text)
    except ValueError:
        raise SpotifyError(400, f"Invalid {name}") from None
    if not low <= value <= high:
        raise SpotifyError(400, f"Invalid {name}")
    return value
