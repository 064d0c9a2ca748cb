"""Sessions of one listener grouped by behaviour with KMeans: arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted
from threadpoolctl import threadpool_limits

from ml.centroids import DIGITS, MIN_CLUSTER_SESSIONS, Centroids, scaled

SEED = 20260101
# How many of the sample k is chosen on, and how many of those the silhouette, which compares all pairs, is taken over.
CHOICE_SIZE = 1500
SILHOUETTE_SIZE = 1000
SPLITS = 5
# Starts of KMeans, the best of which counts. With few, stability would measure the starts.
INITS = 10
MAX_CLUSTERS = 8
# A k is nearly as good as the best while what it falls short of the highest silhouette, as a share, and of the highest
# stability, each over its tolerance, add up to at most 1.
SILHOUETTE_TOLERANCE = 0.2
STABILITY_TOLERANCE = 0.03
# The k of the model before may fall short by more, for when a persona goes, its sessions lose their name.
KEEP_SHORTFALL = 3.0
MIN_SILHOUETTE = 0.1
MIN_STABILITY = 0.6


class SessionClusterer(ClusterMixin, BaseEstimator):
    """KMeans on robustly scaled features, k chosen by silhouette and stability.

    :param max_clusters: largest k tried.
    :param min_cluster_size: a k whose smallest cluster is smaller is not chosen.
    :param previous_k: the k of the model before, kept unless another is clearly better.
    :param random_state: seed of every draw.

    Fitted: `centroids_`, `n_clusters_`, `silhouette_`, `stability_` (None for one cluster), `candidates_` (one dict
    per k tried), `training_distance_`.
    """

    def __init__(
        self,
        max_clusters: int = MAX_CLUSTERS,
        min_cluster_size: int = MIN_CLUSTER_SESSIONS,
        previous_k: int | None = None,
        random_state: int = SEED,
    ):
        self.max_clusters = max_clusters
        self.min_cluster_size = min_cluster_size
        self.previous_k = previous_k
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: None = None) -> SessionClusterer:
        """:param X: (sessions, features) from `transform`, nan where unknown.
        :raises ValueError: no session, or infinite values.
        """
        X = check_array(X, ensure_all_finite="allow-nan")
        center, scale = robust_scale(X)
        points = scaled(X, center, scale)
        # One thread: how sums are split over threads changes their last bits.
        with threadpool_limits(limits=1):
            self.candidates_ = self._candidates(points)
            chosen = choose_k(self.candidates_, self.previous_k)
            k = chosen["k"] if chosen else 1
            model = self._kmeans(k).fit(points)
        self.n_clusters_ = k
        # Clusters in a fixed order: the largest first.
        sizes = np.bincount(model.labels_, minlength=k)
        centers = np.round(model.cluster_centers_, DIGITS)
        order = sorted(range(k), key=lambda c: (-sizes[c], tuple(centers[c])))
        self.centroids_ = Centroids(center, scale, centers[order])
        self.silhouette_ = chosen["silhouette"] if chosen else None
        self.stability_ = chosen["stability"] if chosen else None
        self.training_distance_ = round(float(self.centroids_.distances(X).min(axis=1).mean()), DIGITS)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Nearest centroid of each session; the first of equals."""
        check_is_fitted(self)
        return self.centroids_.nearest(X)

    def _kmeans(self, k: int) -> KMeans:
        return KMeans(k, n_init=INITS, random_state=self.random_state)

    def _candidates(self, points: np.ndarray) -> list[dict[str, Any]]:
        """What speaks for each k: the silhouette (Rousseeuw 1987), and how alike the clusterings learnt from two
        halves of the sessions are (Lange et al. 2004), as their adjusted Rand index on all."""
        random = check_random_state(self.random_state)
        sample = points[random.permutation(len(points))[:CHOICE_SIZE]]
        halves = [np.array_split(random.permutation(len(sample)), 2) for _ in range(SPLITS)]
        distinct = len(np.unique(np.round(sample, DIGITS), axis=0))
        largest = min(self.max_clusters, len(points) // self.min_cluster_size, distinct - 1, len(sample) // 4)
        smallest_share = self.min_cluster_size / len(points)
        result = []
        for k in range(2, largest + 1):
            labels = self._kmeans(k).fit_predict(sample)
            silhouette = float(silhouette_score(sample[:SILHOUETTE_SIZE], labels[:SILHOUETTE_SIZE]))
            agreements = []
            for one, other in halves:
                learnt = [self._kmeans(k).fit(sample[half]).predict(sample) for half in (one, other)]
                agreements.append(adjusted_rand_score(*learnt))
            stability = max(float(np.mean(agreements)), 0.0)
            share = float(np.bincount(labels, minlength=k).min()) / len(sample)
            result.append(
                {
                    "k": k,
                    "silhouette": round(silhouette, 4),
                    "stability": round(stability, 4),
                    "smallest_share": round(share, 4),
                    "accepted": share >= smallest_share and silhouette >= MIN_SILHOUETTE and stability >= MIN_STABILITY,
                }
            )
        return result


def choose_k(candidates: Sequence[dict[str, Any]], previous_k: int | None = None) -> dict[str, Any] | None:
    """`previous_k` while it is about as good as the best; else the largest k that nearly is, since of groups that
    separate and come back alike the finer say more; None when no k is accepted: one cluster."""
    accepted = [candidate for candidate in candidates if candidate["accepted"]]
    silhouette = max((candidate["silhouette"] for candidate in accepted), default=0.0)
    stability = max((candidate["stability"] for candidate in accepted), default=0.0)

    def shortfall(candidate: dict[str, Any]) -> float:
        return (1 - candidate["silhouette"] / silhouette) / SILHOUETTE_TOLERANCE + (
            stability - candidate["stability"]
        ) / STABILITY_TOLERANCE

    for candidate in accepted:
        if candidate["k"] == previous_k and shortfall(candidate) <= KEEP_SHORTFALL:
            return candidate
    near = [candidate for candidate in accepted if shortfall(candidate) <= 1]
    if near:
        return max(near, key=lambda candidate: candidate["k"])
    return min(accepted, key=shortfall, default=None)


def robust_scale(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median, and standard deviation of the values drawn in to the 2nd and 98th percentile, of each column. (An
    interquartile range would be 0 for a rate that is 0 in most sessions.) 0 and 1 for a column without values, scale
    1 for a constant one."""
    center, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    for column in range(X.shape[1]):
        values = X[~np.isnan(X[:, column]), column]
        if len(values):
            low, middle, high = np.percentile(values, [2, 50, 98])
            deviation = np.clip(values, low, high).std()
            center[column], scale[column] = middle, deviation if deviation > 1e-6 else 1.0
    return np.round(center, DIGITS), np.round(scale, DIGITS)


def match_personas(old: np.ndarray, new: np.ndarray) -> dict[int, int]:
    """Which new cluster stands for which old persona: the one-to-one matching with the most sessions in common.

    :param old: persona id of each session under the old model.
    :param new: cluster of the same sessions under the new model.
    :return: cluster → persona id; a cluster that shares less than half of its sessions with the persona, and the
    persona
        than half with it, is a new behaviour and missing.
    """
    personas, clusters = np.unique(old), np.unique(new)
    overlap = np.array([[np.sum((old == p) & (new == c)) for p in personas] for c in clusters], dtype=float)
    rows, columns = linear_sum_assignment(-overlap)
    matched = {}
    for row, column in zip(rows, columns, strict=True):
        smaller = min(overlap[row].sum(), overlap[:, column].sum())
        if overlap[row, column] > 0.5 * smaller:
            matched[int(clusters[row])] = int(personas[column])
    return matched
