"""What can go wrong with a call to Spotify, one class for each way to react."""

from __future__ import annotations

from datetime import datetime


class SpotifyError(Exception):
    """Base of every error that a call to Spotify can end in.

    :cvar status_name: ingestion_state.status of an account whose last attempt ended in it (constraint known_status).
    """

    status_name = "error"


class TokenDead(SpotifyError):
    """There is no usable authorization: a person has to authorize the account again. Retrying does not help."""

    status_name = "not_authorized"


class ScopeMissing(SpotifyError):
    """The authorization lacks the scope that the call needs. Retrying does not help."""

    status_name = "not_authorized"


class SpotifyRefused(SpotifyError):
    """Spotify refuses the request (4xx): the app may not use this endpoint, or the id does not exist.

    :ivar status: the HTTP status.
    """

    status_name = "refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RateLimited(SpotifyError):
    """Too many requests in Spotify's rolling window.

    :ivar retry_after: seconds to wait before the next request.
    """

    status_name = "rate_limited"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaExceeded(SpotifyError):
    """The app's daily quota is used up for hours, too long to wait in a worker.

    :ivar retry_at: when Spotify answers again, UTC.
    """

    status_name = "quota"

    def __init__(self, message: str, retry_at: datetime) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class SpotifyUnavailable(SpotifyError):
    """Spotify did not answer properly: 5xx, a reset, a timeout, or a body that the endpoint should not return."""

    status_name = "unavailable"
