"""A client of the simulator's control routes, for tests and for the stack that runs the demo."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import requests


class SimulatorClient:
    """Calls /control/… of the simulator at `url`. Moments are ISO texts or aware datetimes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.api_url = f"{url}/v1/"
        self.reccobeats_url = f"{url}/reccobeats"
        self._session = requests.Session()

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self._session.request(method, f"{self.url}/control/{path}", timeout=60, **arguments)
        if answer.status_code >= 400:
            raise ValueError(f"simulator refused {method} /control/{path}: {answer.text}")
        return answer.json()

    def clock(self) -> dict[str, Any]:
        return self._call("GET", "clock")

    def set_clock(self, now: str | datetime, *, running: bool = False) -> None:
        self._call("POST", "clock", json={"now": _iso(now), "running": running})

    def plan_faults(self, *faults: dict[str, Any]) -> None:
        """Each as faults.Fault: match, kind, and what else the kind needs. Consumed in order."""
        self._call("POST", "faults", json=list(faults))

    def pending_faults(self) -> list[dict[str, Any]]:
        return self._call("GET", "faults")

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def truth(
        self, user_id: str, since: str | datetime | None = None, to: str | datetime | None = None
    ) -> list[dict[str, Any]]:
        """True plays that ended in [since, to) and not after the clock, as simulation.describe_play returns them."""
        return self._call("GET", f"truth/{user_id}", params={"from": _iso(since), "to": _iso(to)})

    def calls(self, user_id: str | None = None) -> list[dict[str, Any]]:
        """Counted calls: user_id ('' when unknown), day, endpoint, status (0: no answer), calls."""
        calls = self._call("GET", "calls")
        return [call for call in calls if user_id is None or call["user_id"] == user_id]

    def forget_calls(self) -> None:
        self._call("DELETE", "calls")

    def refresh_token(
        self, user_id: str, *, scope: str | None = None, authorized_at: str | datetime | None = None
    ) -> dict[str, Any]:
        """A new authorization: user_id, refresh_token, authorized_at, scope, client_id, client_secret."""
        return self._call(
            "GET", f"refresh-token/{user_id}", params={"scope": scope, "authorized_at": _iso(authorized_at)}
        )

    def rotate_refresh_tokens(self, count: int = 1, *, keep_former: bool = False) -> None:
        self._call("POST", "rotate", json={"count": count, "keep_former": keep_former})

    def revoke(self, user_id: str) -> None:
        self._call("POST", f"revoke/{user_id}")

    def expire_access_tokens(self) -> None:
        self._call("POST", "expire-access-tokens")

    def sign_in(self, user_id: str, *, consents: bool = True) -> None:
        self._call("POST", "sign-in", json={"user_id": user_id, "consents": consents})

    def set_limits(
        self, *, calls_per_30s: int | None = None, calls_per_day: int | None = None, extended_quota: bool = False
    ) -> None:
        limits = {"calls_per_30s": calls_per_30s, "calls_per_day": calls_per_day, "extended_quota": extended_quota}
        self._call("POST", "limits", json=limits)

    def playlists(self, user_id: str | None = None) -> list[dict[str, Any]]:
        return self._call("GET", "playlists", params={"user_id": user_id})


def _iso(moment: str | datetime | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment
