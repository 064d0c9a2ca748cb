"""Whether and when a task that failed at Spotify is retried."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from include.ingestion.errors import QuotaExceeded, RateLimited, ScopeMissing, SpotifyRefused, TokenDead


class SpotifyRetryPolicy(RetryPolicy):
    """Waits as long as Spotify asks, fails at once if only a person can help, else follows the task's own settings.

    :param longest_wait: seconds; a longer Retry-After fails the task instead of blocking its retries.
    """

    def __init__(self, longest_wait: float = 600.0) -> None:
        self.longest_wait = longest_wait

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Any | None = None
    ) -> RetryDecision:
        """Retry, fail, or follow the task's own settings, depending on the error."""
        if isinstance(exception, (TokenDead, ScopeMissing, SpotifyRefused, QuotaExceeded)):
            return RetryDecision.fail(str(exception))
        if isinstance(exception, RateLimited):
            if exception.retry_after > self.longest_wait:
                return RetryDecision.fail(str(exception))
            return RetryDecision.retry(timedelta(seconds=exception.retry_after + 1), str(exception))
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        return {"longest_wait": self.longest_wait}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> SpotifyRetryPolicy:
        return cls(**data)
