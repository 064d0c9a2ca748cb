"""Sessions as points, and their nearest centroids. Only numpy: most runs assign sessions to centroids that were found
earlier, and importing scikit-learn would take them longer than the work.

A point has three blocks of numbers: what is played (from the vectors of the session's artists), how it is listened to,
and when. How much each block weighs is chosen for each listener, see `ml.personas.clustering`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

# Columns of staging.session_features that the clustering reads, and how much each weighs within its block once scaled.
# plays, minutes and unique_artists say nearly the same, so they share a weight.
BEHAVIOUR = {
    "plays": 0.5,
    "minutes": 0.8,
    "unique_artists": 0.5,
    "artist_entropy": 0.8,
    "repeat_rate": 0.7,
    "discovery_rate": 0.6,
    "skip_rate": 0.8,
    "shuffle_rate": 0.4,
    "album_run_rate": 1.0,
}
TIME = {"start_hour_sin": 1.4, "start_hour_cos": 1.4, "is_weekend": 0.5}
FEATURES = (*BEHAVIOUR, *TIME)
# Dimensions of an artist's vector. More separate people's personas no better and make them less stable.
CONTENT = tuple(f"content_{i + 1}" for i in range(4))
POINT = (*FEATURES, *CONTENT)
COUNTS = ("plays", "minutes", "unique_artists")
RATES = ("repeat_rate", "discovery_rate", "skip_rate", "shuffle_rate", "album_run_rate")

# Fewer sessions are no kind of session, and no reason to look for one.
MIN_CLUSTER_SESSIONS = 8
# A smaller share of a listener's sessions, or of their time, is no persona.
MIN_CLUSTER_SHARE = 0.03
# Stored numbers are rounded, so that the last bits of a sum, which differ between builds of numpy, never decide
# anything.
DIGITS = 6
# A session leaves the persona it has for one whose centroid is nearer by more than this, as a ratio of distances.
KEEP_RATIO = 1.1


def transform(features: np.ndarray) -> np.ndarray:
    """Features on scales where equal differences mean equally much.

    Counts and minutes on a log scale: twice as long is as far off at every length. Rates through arcsin √p, which
    evens out their variance (Anscombe 1948). Entropy over its maximum log2(plays): variety apart from length.

    :param features: (sessions, len(FEATURES)), nan where unknown.
    """
    column = {name: features[:, i] for i, name in enumerate(FEATURES)}
    column["artist_entropy"] = column["artist_entropy"] / np.log2(np.maximum(column["plays"], 2))
    for name in RATES:
        column[name] = np.arcsin(np.sqrt(np.clip(column[name], 0, 1)))
    for name in COUNTS:
        column[name] = np.log1p(column[name])
    return np.column_stack([column[name] for name in FEATURES])


@dataclass
class Heard:
    """Who was heard in some sessions.

    :ivar artists: the artists of the first session, then of the second, …
    :ivar plays: (len(artists),) how often each.
    :ivar lengths: (sessions,) how many of the artists are the first session's, the second's, …
    """

    artists: list[str]
    plays: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, artists: Sequence[Sequence[str]], plays: Sequence[Sequence[int]]) -> Heard:
        """:param artists, plays: one entry a session."""
        return cls(
            [artist for session in artists for artist in session],
            np.array([count for session in plays for count in session], dtype=float),
            np.array([len(session) for session in artists], dtype=int),
        )

    @property
    def session(self) -> np.ndarray:
        """(len(artists),) the row of each entry's session."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


@dataclass
class ArtistVectors:
    """What stands for an artist among numbers: artists of the same sessions lie near each other.

    :ivar artists: those who have a vector.
    :ivar vectors: (len(artists), len(CONTENT)).
    """

    artists: Sequence[str]
    vectors: np.ndarray
    code: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.code = {artist: i for i, artist in enumerate(self.artists)}

    def content(self, heard: Heard) -> np.ndarray:
        """(sessions, len(CONTENT)): Σ w·vector / √Σ w² over a session's artists, w = ln(1 + plays); artists without a
        vector count in the divisor alone, so that a session of unknown artists lies at 0, like one of every sort."""
        code = np.fromiter(map(self.code.get, heard.artists, repeat(-1)), dtype=int, count=len(heard.artists))
        weight, session, known = np.log1p(heard.plays), heard.session, code >= 0
        sessions = len(heard.lengths)
        length = np.sqrt(np.bincount(session, weights=weight**2, minlength=sessions))
        summed = [
            np.bincount(session[known], weights=weight[known] * column[code[known]], minlength=sessions)
            for column in self.vectors.T
        ]
        return np.round(np.column_stack(summed) / np.maximum(length, 1e-9)[:, None], DIGITS) + 0.0


@dataclass
class Centroids:
    """Where the clusters lie.

    :ivar center, scale, weights: (len(POINT),): a feature's value less its center, over its scale, times its weight.
    :ivar points: (k, len(POINT)) in those units.
    """

    center: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    points: np.ndarray

    def distances(self, X: np.ndarray) -> np.ndarray:
        """Euclidean distances (sessions, k) in scaled units; unknown values count as the center.

        :param X: (sessions, len(POINT)), columns from `transform` and `ArtistVectors.content`.
        """
        scaled = np.nan_to_num((X - self.center) / self.scale) * self.weights
        return np.round(np.sqrt(((scaled[:, None, :] - self.points[None, :, :]) ** 2).sum(axis=2)), DIGITS)

    def nearest(self, X: np.ndarray) -> np.ndarray:
        """Nearest centroid of each session; the first of equals."""
        return self.distances(X).argmin(axis=1)


def clusters_from(distances: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The cluster of each session: the one it has unless another is clearly nearer.

    :param distances: (sessions, k) to the centroids.
    :param before: (sessions,) the cluster that each has, -1 for none.
    """
    rows, nearest = np.arange(len(distances)), distances.argmin(axis=1)
    own, best = distances[rows, before], distances[rows, nearest]
    return np.where((before >= 0) & (own <= KEEP_RATIO * np.maximum(best, 10.0**-DIGITS)), before, nearest)
