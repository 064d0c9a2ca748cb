"""Calls to Spotify's Web API for one account, through spotipy; every failure is raised as one of `errors`.

spotipy's own retries are off: it sleeps for any Retry-After, repeats writes, and reports 5xx as 429. Here reads are
retried a few times within seconds, writes never, and longer waits are left to the caller.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from include.ingestion.errors import (
    QuotaExceeded,
    RateLimited,
    ScopeMissing,
    SpotifyRefused,
    SpotifyUnavailable,
    TokenDead,
)
from include.ingestion.json_values import decode_answer

if TYPE_CHECKING:
    import requests
    import spotipy

API_URL = "https://api.spotify.com/v1/"
WINDOW = 50  # plays: all that Spotify lists
TIMEOUT = (5.0, 20.0)  # seconds to connect, and between two bytes of an answer
READ_TRIES = 3
READ_PAUSE_SECONDS = 1.0
RATE_WINDOW_SECONDS = 30.0  # Spotify's rolling window: the wait if a 429 does not name one
MAX_WAIT_SECONDS = 600.0  # a longer Retry-After means the quota, whatever the body says
QUOTA_SECONDS = 24 * 3600.0  # the quota's rolling window: a longer Retry-After is not believed
MAX_PLAYLIST_PAGES = 200

# At DEBUG spotipy logs request headers, with the token.
logging.getLogger("spotipy.client").setLevel(logging.INFO)


class SpotifyClient:
    """The Web API for one account. Its methods return Spotify's JSON objects.

    :param access_token: returns a valid access token, other than the one it is called with (one that Spotify has just
        refused, or None).
    :param count_call: called with the endpoint's name before each request.
    :param api_url: the API's address, with or without /v1/.
    :param now: the clock for the end of a used-up quota, UTC.
    :param sleep: waits between two tries of a read.
    """

    def __init__(
        self,
        *,
        access_token: Callable[[str | None], str],
        count_call: Callable[[str], None],
        api_url: str = API_URL,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access_token = access_token
        self._count_call = count_call
        self._api_url = api_url.rstrip("/").removesuffix("/v1") + "/v1/"
        self._now = now
        self._sleep = sleep
        self._last_response: requests.Response | None = None

    # reads -----------------------------------------------------------------------------------------------------------

    def recently_played(self, before_ms: int | None = None) -> dict[str, Any]:
        """A page of plays, newest first, at most 50; `before_ms` (unix ms, exclusive) asks for older ones."""
        page = self._read(
            "recently_played", lambda api: api.current_user_recently_played(limit=WINDOW, before=before_ms)
        )
        if not isinstance(page.get("items"), list):
            raise SpotifyUnavailable("Spotify's answer to recently-played has no list of items.")
        return page

    def me(self) -> dict[str, Any]:
        """The account's own profile."""
        return self._read("me", lambda api: api.me())

    def track(self, track_id: str) -> dict[str, Any]:
        """A track's metadata."""
        return self._read("track", lambda api: api.track(track_id))

    def artist(self, artist_id: str) -> dict[str, Any]:
        """An artist's metadata."""
        return self._read("artist", lambda api: api.artist(artist_id))

    def audio_features(self, track_ids: list[str]) -> dict[str, Any]:
        """Audio features of at most 100 tracks; Spotify refuses new apps (403)."""
        return self._read("audio_features", lambda api: api._get("audio-features", ids=",".join(track_ids)))

    def my_playlists(self) -> list[dict[str, Any]]:
        """All playlists the account owns or follows."""
        playlists: list[dict[str, Any]] = []
        shown = 0
        for _ in range(MAX_PLAYLIST_PAGES):
            page = self._read("playlists", partial(_playlists_page, offset=shown))
            items = page.get("items")
            if not isinstance(items, list):
                raise SpotifyUnavailable("Spotify's answer to playlists has no list of items.")
            playlists += [playlist for playlist in items if isinstance(playlist, dict)]
            shown += len(items)
            if not page.get("next") or not items:
                break
        return playlists

    # writes ----------------------------------------------------------------------------------------------------------

    def create_playlist(self, name: str, description: str) -> dict[str, Any]:
        """Create a private playlist; the answer has an `id`."""
        created = self._call(
            "create_playlist",
            lambda api: api.current_user_playlist_create(name, public=False, description=description),
        )
        if not isinstance(created, dict) or not isinstance(created.get("id"), str) or not created["id"]:
            raise SpotifyUnavailable("Spotify's answer to the new playlist has no id.")
        return created

    def describe_playlist(self, playlist_id: str, name: str, description: str) -> None:
        """Set name and description, and make the playlist private."""
        self._call(
            "change_playlist",
            lambda api: api.playlist_change_details(playlist_id, name=name, public=False, description=description),
        )

    def replace_playlist_items(self, playlist_id: str, track_ids: list[str]) -> None:
        """Replace the content by these tracks, in order; at most 100."""
        self._call("replace_playlist_items", lambda api: api.playlist_replace_items(playlist_id, track_ids))

    # one call --------------------------------------------------------------------------------------------------------

    def _read(self, endpoint: str, send: Callable[[spotipy.Spotify], Any]) -> dict[str, Any]:
        for tries_left in reversed(range(READ_TRIES)):
            try:
                answer = self._call(endpoint, send)
                if not isinstance(answer, dict):
                    raise SpotifyUnavailable(f"Spotify's answer to {endpoint} is not a JSON object.")
                return answer
            except SpotifyUnavailable:
                if not tries_left:
                    raise
                self._sleep(READ_PAUSE_SECONDS * (READ_TRIES - tries_left) * random.uniform(0.5, 1.0))
        raise AssertionError("the loop returns or raises")

    def _call(self, endpoint: str, send: Callable[[spotipy.Spotify], Any]) -> Any:
        token = self._access_token(None)
        try:
            return self._send(endpoint, send, token)
        except _TokenExpired:
            try:
                return self._send(endpoint, send, self._access_token(token))
            except _TokenExpired:
                raise TokenDead(
                    "Spotify refuses a token that it has just issued (401): authorize the account again."
                ) from None

    def _send(self, endpoint: str, send: Callable[[spotipy.Spotify], Any], token: str) -> Any:
        import requests
        import spotipy

        self._last_response = None
        with requests.Session() as session:
            session.hooks["response"].append(self._remember)
            api = spotipy.Spotify(auth=token, requests_session=session, requests_timeout=TIMEOUT)
            api.prefix = self._api_url
            self._count_call(endpoint)
            try:
                send(api)
            except requests.RequestException as error:
                raise SpotifyUnavailable(
                    f"Spotify did not answer {endpoint}: {type(error).__name__}: {error}"
                ) from None
            except (spotipy.SpotifyException, AttributeError, TypeError, RecursionError) as error:
                # spotipy fails on an error body that is not {"error": {…}}; the response has all that is needed.
                if self._last_response is None:
                    raise
                if not self._last_response.ok:
                    raise self._error_of(endpoint, self._last_response) from error
            # Not spotipy's own result: it fails on numbers that do not matter here.
            return None if self._last_response is None else decode_answer(self._last_response.content)

    def _remember(self, response: requests.Response, **_: Any) -> None:
        self._last_response = response

    def _error_of(self, endpoint: str, response: requests.Response) -> Exception:
        status = response.status_code
        reason, message = _error_body(response)
        said = f"{status} {reason or ''} {message or response.reason or ''}".strip()
        if status == 401:
            return _TokenExpired()
        if status == 429:
            seconds = retry_after(response.headers.get("Retry-After"), self._now())
            if reason == "QUOTA_EXCEEDED" or seconds > MAX_WAIT_SECONDS:
                retry_at = self._now() + timedelta(seconds=seconds)
                return QuotaExceeded(
                    f"Spotify's quota for this app is used up; it answers again at {retry_at:%Y-%m-%d %H:%M} UTC.",
                    retry_at,
                )
            return RateLimited(f"Spotify asks to wait {seconds:.0f} s before calling {endpoint} again.", seconds)
        if status == 403 and "scope" in (message or "").lower():
            return ScopeMissing(
                f"The authorization lacks the scope that {endpoint} needs ({said}): run `make authorize` again for "
                f"this account."
            )
        if status >= 500:
            return SpotifyUnavailable(f"Spotify answers {endpoint} with {said}.")
        return SpotifyRefused(f"Spotify refuses {endpoint}: {said}.", status)


class _TokenExpired(Exception):
    pass


def _playlists_page(api: spotipy.Spotify, offset: int) -> Any:
    return api.current_user_playlists(limit=50, offset=offset)


def _error_body(response: requests.Response) -> tuple[str | None, str | None]:
    """Reason and message in Spotify's error body, in either of its forms."""
    body = decode_answer(response.content)
    if body is None:
        return None, response.text[:200] or None
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        reason = error.get("reason")
        return reason if isinstance(reason, str) else None, str(error.get("message"))[:200]
    return None, str(error)[:200] if error else None


def retry_after(header: str | None, now: datetime) -> float:
    """Seconds to wait, from either form of the Retry-After header (RFC 9110, 10.2.3), at most the quota's window.

    Without a usable header it is the rolling window of Spotify's rate limit.
    """
    if header:
        try:
            seconds = float(header)
        except ValueError:
            try:
                seconds = (parsedate_to_datetime(header) - now).total_seconds()
            except (TypeError, ValueError, OverflowError, IndexError):
                seconds = math.nan
        if not math.isnan(seconds):
            return min(max(seconds, 0.0), QUOTA_SECONDS)
    return RATE_WINDOW_SECONDS
