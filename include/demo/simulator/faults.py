"""Planned faults: what tests ask the simulator to do wrong, in order, a counted number of times.

The kinds:
  rate_limit   429 with Retry-After (default 5 s)
  quota        429 with reason QUOTA_EXCEEDED and a Retry-After of hours (default 50 000 s)
  status       any status with Spotify's error body (default 503)
  slow         answers properly after `delay` seconds (default 30)
  reset        the connection is reset before any answer
  non_json     200 with a page of HTML
  cut          an answer that ends in the middle of its body
  lost_answer  does what was asked, then resets the connection
"""

from __future__ import annotations

import threading
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["rate_limit", "quota", "status", "slow", "reset", "non_json", "cut", "lost_answer"]
KINDS: tuple[str, ...] = get_args(Kind)


class Fault(BaseModel):
    """`match` is the beginning of a path (or `METHOD path`): after `after_calls` good calls, `count` calls fail."""

    model_config = ConfigDict(extra="forbid")

    match: str = "/"
    kind: Kind
    status: int = 503
    retry_after: int | None = None
    delay: float = 30.0
    count: int = Field(default=1, ge=1)
    after_calls: int = Field(default=0, ge=0)
    user_id: str | None = None
    reason: str | None = None
    message: str | None = None

    def concerns(self, method: str, path: str, user_id: str | None) -> bool:
        if self.user_id is not None and self.user_id != user_id:
            return False
        return path.startswith(self.match) or f"{method} {path}".startswith(self.match)

    @property
    def retry_after_s(self) -> int:
        if self.retry_after is not None:
            return self.retry_after
        return 50_000 if self.kind == "quota" else 5


class FaultPlan:
    """The planned faults, consumed in order: each call meets the first one that concerns it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, faults: list[Fault]) -> None:
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def pending(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.model_dump() for fault in self._faults]

    def next_for(self, method: str, path: str, user_id: str | None) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if not fault.concerns(method, path, user_id):
                    continue
                if fault.after_calls > 0:
                    fault.after_calls -= 1
                    return None
                fault.count -= 1
                if fault.count == 0:
                    self._faults.remove(fault)
                return fault
        return None
