"""Sessions as points, and their nearest centroids. Only numpy: most runs assign sessions to centroids that were found
earlier, and importing scikit-learn would take them longer than the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Columns of staging.session_features that the clustering reads, and how much each weighs once scaled. plays, minutes
# and unique_artists say nearly the same, so they share a weight; the hour says most of what a session is for.
FEATURE_WEIGHTS = {
    "plays": 0.5,
    "minutes": 0.8,
    "unique_artists": 0.5,
    "artist_entropy": 0.8,
    "repeat_rate": 0.7,
    "discovery_rate": 0.6,
    "skip_rate": 0.8,
    "shuffle_rate": 0.4,
    "album_run_rate": 1.0,
    "start_hour_sin": 1.4,
    "start_hour_cos": 1.4,
    "is_weekend": 0.5,
}
FEATURES = tuple(FEATURE_WEIGHTS)
COUNTS = ("plays", "minutes", "unique_artists")
RATES = ("repeat_rate", "discovery_rate", "skip_rate", "shuffle_rate", "album_run_rate")

# Fewer sessions are no kind of session, and no reason to look for one.
MIN_CLUSTER_SESSIONS = 8
# Stored numbers are rounded, so that the last bits of a sum, which differ between builds of numpy, never decide
# anything.
DIGITS = 6


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
class Centroids:
    """Where the clusters lie.

    :ivar center, scale: (n_features,), of the features from `transform`.
    :ivar points: (k, n_features) in scaled units.
    """

    center: np.ndarray
    scale: np.ndarray
    points: np.ndarray

    def distances(self, X: np.ndarray) -> np.ndarray:
        """Euclidean distances (sessions, k) in scaled units."""
        differences = scaled(X, self.center, self.scale)[:, None, :] - self.points[None, :, :]
        return np.round(np.sqrt((differences**2).sum(axis=2)), DIGITS)

    def nearest(self, X: np.ndarray) -> np.ndarray:
        """Nearest centroid of each session; the first of equals."""
        return self.distances(X).argmin(axis=1)


def scaled(X: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Weighted robust z-scores; unknown values become the centre."""
    return np.nan_to_num((X - center) / scale) * np.array(list(FEATURE_WEIGHTS.values()))
