"""Random draws that give the same numbers on every supported Python and machine.

Only `random.Random.random()` is used underneath: the one method whose sequence Python guarantees for a seed. Everything
else is arithmetic on it. Each day and each thing drawn has a stream of its own, named by text, so that drawing more of
one never shifts another.
"""

from __future__ import annotations

import bisect
import hashlib
import math
import random
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")

_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TO_BASE62 = bytes(_BASE62[byte % 62] for byte in range(256))


class RandomDraws:
    """A stream of draws named by its key, such as `Draws(7, "ada", "2024-05-01")`."""

    __slots__ = ("random",)

    def __init__(self, *key: object) -> None:
        self.random = random.Random("/".join(map(str, key))).random

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        return int(self.random() * n)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def normal(self, mean: float, deviation: float) -> float:
        """A nearly normal draw (sum of 12 uniform ones), never more than 6 deviations out."""
        draw = self.random
        total = (
            draw() + draw() + draw() + draw() + draw() + draw() + draw() + draw() + draw() + draw() + draw() + draw()
        )
        return mean + deviation * (total - 6.0)

    def lognormal(self, median: float, sigma: float) -> float:
        return median * math.exp(self.normal(0.0, sigma))

    def power_law_lag(self, n: int) -> int:
        """How far back to reach among n things: 1 is the latest, probability falls a little faster than 1 / lag."""
        return min(n, int(math.exp(self.random() ** 1.25 * math.log(n + 1))))

    def pick(self, things: Sequence[T]) -> T:
        return things[int(self.random() * len(things))]

    def weighted(self, things: Sequence[T], weights: Sequence[float]) -> T:
        return self.from_cumulative(things, list(accumulate(weights)))

    def from_cumulative(self, things: Sequence[T], cumulative: Sequence[float]) -> T:
        place = bisect.bisect_right(cumulative, self.random() * cumulative[-1])
        return things[min(place, len(things) - 1)]

    def shuffled(self, things: Sequence[T]) -> list[T]:
        rest = list(things)
        for i in range(len(rest) - 1, 0, -1):
            j = self.below(i + 1)
            rest[i], rest[j] = rest[j], rest[i]
        return rest


def hashed(*key: object) -> int:
    """A fixed 64-bit number for a key."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest())


def base62(*key: object) -> str:
    """A Spotify-like id, 22 characters of base 62, fixed for a key."""
    return hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=22).digest().translate(_TO_BASE62).decode()
