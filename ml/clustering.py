"""Sessions of one listener grouped by behaviour with KMeans: `staging.clustering_models`, `staging.session_clusters`.

`SessionClusterer` is the estimator (arrays in, numbers out). `cluster_sessions` keeps one model per listener: new
sessions are assigned to the centroids there are; the model is fitted again only when new sessions are many or no
longer fit, and the new centroids take over the persona ids of the old ones they stand for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from psycopg.types.json import Json
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted
from threadpoolctl import threadpool_limits

from ml.tables import Work, mark_days, replace_rows, statement, take_work

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

SEED = 20260101
SETTLING_DAYS = 90
SAMPLE_SIZE = 4000
# How many of the sample k is chosen on, and how many of those the silhouette, which compares all pairs, is taken over.
CHOICE_SIZE = 1500
SILHOUETTE_SIZE = 1000
SPLITS = 5
# Starts of KMeans, the best of which counts. With few, stability would measure the starts.
INITS = 10
# Fewer sessions than this have one persona: a silhouette over less says nothing.
MIN_SESSIONS = 40
MIN_CLUSTER_SESSIONS = 8
MIN_CLUSTER_SHARE = 0.025
MAX_CLUSTERS = 8
# A k is nearly as good as the best while what it falls short of the highest silhouette, as a share, and of the highest
# stability, each over its tolerance, add up to at most 1.
SILHOUETTE_TOLERANCE = 0.2
STABILITY_TOLERANCE = 0.03
# The k of the model before may fall short by more.
KEEP_SHORTFALL = 2.0
MIN_SILHOUETTE = 0.1
MIN_STABILITY = 0.6
# A model is fitted again when the history grew by this share …
REFIT_GROWTH = 0.25
# … or when this many new sessions lie this much further from their centroids than the training sessions did.
DRIFT_SESSIONS = 60
DRIFT_RATIO = 1.3
# Stored numbers are rounded, so that the last bits of a sum, which differ between builds of numpy, never decide
# anything.
DIGITS = 6
CHUNK_ROWS = 20_000


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


class SessionClusterer(ClusterMixin, BaseEstimator):
    """KMeans on robustly scaled features, k chosen by silhouette and stability.

    :param max_clusters: largest k tried.
    :param min_cluster_size: a k whose smallest cluster is smaller is not chosen.
    :param previous_k: the k of the model before, kept unless another is clearly better.
    :param random_state: seed of every draw.

    Fitted: `center_`, `scale_` (n_features,), `centroids_` (k, n_features) in scaled units, `n_clusters_`,
    `silhouette_`, `stability_` (None for one cluster), `candidates_` (one dict per k tried), `training_distance_`.
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
        self.center_, self.scale_ = robust_scale(X)
        scaled = self.scale(X)
        # One thread: how sums are split over threads changes their last bits.
        with threadpool_limits(limits=1):
            self.candidates_ = self._candidates(scaled)
            chosen = choose_k(self.candidates_, self.previous_k)
            k = chosen["k"] if chosen else 1
            model = self._kmeans(k).fit(scaled)
        self.n_clusters_ = k
        # Clusters in a fixed order: the largest first.
        sizes = np.bincount(model.labels_, minlength=k)
        centers = np.round(model.cluster_centers_, DIGITS)
        order = sorted(range(k), key=lambda c: (-sizes[c], tuple(centers[c])))
        self.centroids_ = centers[order]
        self.silhouette_ = chosen["silhouette"] if chosen else None
        self.stability_ = chosen["stability"] if chosen else None
        self.training_distance_ = round(float(self.distances(X).min(axis=1).mean()), DIGITS)
        return self

    def scale(self, X: np.ndarray) -> np.ndarray:
        """Weighted robust z-scores; unknown values become the centre."""
        return np.nan_to_num((X - self.center_) / self.scale_) * np.array(list(FEATURE_WEIGHTS.values()))

    def distances(self, X: np.ndarray) -> np.ndarray:
        """Euclidean distances (sessions, k) in scaled units."""
        check_is_fitted(self)
        differences = self.scale(X)[:, None, :] - self.centroids_[None, :, :]
        return np.sqrt((differences**2).sum(axis=2))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Nearest centroid of each session; the first of equals."""
        return np.round(self.distances(X), DIGITS).argmin(axis=1)

    def _kmeans(self, k: int) -> KMeans:
        return KMeans(k, n_init=INITS, random_state=self.random_state)

    def _candidates(self, scaled: np.ndarray) -> list[dict[str, Any]]:
        """What speaks for each k: the silhouette (Rousseeuw 1987), and how alike the clusterings learnt from two
        halves of the sessions are (Lange et al. 2004), as their adjusted Rand index on all."""
        random = check_random_state(self.random_state)
        sample = scaled[random.permutation(len(scaled))[:CHOICE_SIZE]]
        halves = [np.array_split(random.permutation(len(sample)), 2) for _ in range(SPLITS)]
        distinct = len(np.unique(np.round(sample, DIGITS), axis=0))
        largest = min(self.max_clusters, len(scaled) // self.min_cluster_size, distinct - 1, len(sample) // 4)
        smallest_share = self.min_cluster_size / len(scaled)
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


@dataclass
class Model:
    """A row of `clustering_models`."""

    version: int
    clusterer: SessionClusterer
    persona_ids: list[int]
    training_sessions: int


def load_model(connection: psycopg.Connection, user_id: str) -> Model | None:
    """The listener's current model, None before the first."""
    row = connection.execute(
        "select version, k, center, scale, centroids, persona_ids, training_sessions, training_distance, feature_names"
        " from staging.clustering_models where user_id = %s and is_current",
        [user_id],
    ).fetchone()
    if row is None or tuple(row[8]) != FEATURES:
        return None
    clusterer = SessionClusterer()
    clusterer.n_clusters_ = row[1]
    clusterer.center_, clusterer.scale_ = np.array(row[2]), np.array(row[3])
    clusterer.centroids_ = np.array(row[4]).reshape(row[1], -1)
    clusterer.training_distance_ = row[7]
    return Model(row[0], clusterer, list(row[5]), row[6])


def cluster_sessions(connection: psycopg.Connection, *, as_of: datetime) -> dict[str, int]:
    """Assign the marked days' sessions to a persona, fitting the listener's model when that is due; marks `personas`
    and `playlists`; commits.

    :return: `listeners` looked at, models `fitted`, rows `written` and `removed`.
    """
    summary = {"listeners": 0, "fitted": 0, "written": 0, "removed": 0}
    with connection.transaction():
        for work in take_work(connection, "session_clusters", as_of):
            summary["listeners"] += 1
            model = load_model(connection, work.user_id)
            reason = why_fit(connection, work, model)
            if reason:
                model = fit_model(connection, work, model, reason)
                summary["fitted"] += 1
            if model is None:
                continue
            counts = assign(connection, work, model, everything=bool(reason))
            summary["written"] += counts["written"]
            summary["removed"] += counts["removed"]
            if reason or any(counts.values()):
                mark_days(connection, "personas", work.user_id, [work.reference_day])
                mark_days(connection, "playlists", work.user_id, [work.reference_day])
    connection.commit()
    return summary


def why_fit(connection: psycopg.Connection, work: Work, model: Model | None) -> str | None:
    """The reason to fit the listener's model now, in a sentence; None when the one there is still serves."""
    [(sessions,)] = connection.execute(
        "select count(*) from staging.session_features where user_id = %s", [work.user_id]
    ).fetchall()
    if sessions == 0:
        return None
    if model is None:
        return f"first model, of {sessions} sessions"
    grown = sessions - model.training_sessions
    if grown >= max(REFIT_GROWTH * model.training_sessions, MIN_CLUSTER_SESSIONS):
        return f"the history grew from {model.training_sessions} to {sessions} sessions"
    [(count, distance)] = connection.execute(
        "select count(*), avg(distance) from"
        " (select distance from staging.session_clusters where user_id = %s"
        " and model_version = %s and local_date > (select trained_to from staging.clustering_models where"
        " user_id = %s and"
        " version = %s) order by session_id desc limit %s) newest",
        [work.user_id, model.version, work.user_id, model.version, DRIFT_SESSIONS],
    ).fetchall()
    if count >= DRIFT_SESSIONS and distance > DRIFT_RATIO * model.clusterer.training_distance_:
        return (
            f"the newest {count} sessions lie {distance:.2f} from their centroids on average, the training sessions"
            f" {model.clusterer.training_distance_:.2f}"
        )
    return None


def fit_model(connection: psycopg.Connection, work: Work, old: Model | None, reason: str) -> Model:
    """Fit on a bounded sample, hand the old persona ids on, store the model as the listener's current one."""
    parameters = {"user_id": work.user_id, "sample_size": SAMPLE_SIZE, "settling_days": SETTLING_DAYS}
    rows = connection.execute(statement("clustering_sample"), parameters).fetchall()
    features = transform(feature_array(rows))
    days = [row[1] for row in rows]
    smallest = max(MIN_CLUSTER_SESSIONS, int(MIN_CLUSTER_SHARE * len(rows)))
    clusterer = SessionClusterer(
        max_clusters=MAX_CLUSTERS if len(rows) >= MIN_SESSIONS else 1,
        min_cluster_size=smallest,
        previous_k=old.clusterer.n_clusters_ if old else None,
    )
    clusterer.fit(features)

    version, next_id, matched = 1, 1, {}
    if old is not None:
        version = old.version + 1
        [(next_id,)] = connection.execute(
            "select max(p) + 1 from staging.clustering_models, unnest(persona_ids) p where user_id = %s", [work.user_id]
        ).fetchall()
        previous = np.array(old.persona_ids)[old.clusterer.predict(features)]
        matched = match_personas(previous, clusterer.predict(features))
    persona_ids = []
    for cluster in range(clusterer.n_clusters_):
        if cluster not in matched:
            matched[cluster], next_id = next_id, next_id + 1
        persona_ids.append(matched[cluster])
    [(sessions,)] = connection.execute(
        "select count(*) from staging.session_features where user_id = %s", [work.user_id]
    ).fetchall()

    connection.execute(
        "update staging.clustering_models set is_current = false where user_id = %s and is_current",
        [work.user_id],
    )
    connection.execute(
        "insert into staging.clustering_models (user_id, version, is_current, k, seed, feature_names,"
        " center, scale, centroids,"
        " persona_ids, silhouette, stability, candidates, training_sessions, trained_from, trained_to, as_of, reason,"
        " training_distance) values (%s, %s, true, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            work.user_id,
            version,
            clusterer.n_clusters_,
            SEED,
            list(FEATURES),
            clusterer.center_.tolist(),
            clusterer.scale_.tolist(),
            clusterer.centroids_.ravel().tolist(),
            persona_ids,
            clusterer.silhouette_,
            clusterer.stability_,
            Json(clusterer.candidates_),
            sessions,
            min(days),
            max(days),
            work.reference_day,
            reason,
            clusterer.training_distance_,
        ],
    )
    return Model(version, clusterer, persona_ids, sessions)


def assign(connection: psycopg.Connection, work: Work, model: Model, *, everything: bool) -> dict[str, int]:
    """Write the cluster and persona of each session of the marked days, or of all."""
    parameters = {
        "user_id": work.user_id,
        "days": None if everything else work.days,
        "settling_days": SETTLING_DAYS,
    }
    sessions = connection.execute(statement("clustering_features"), parameters).fetchall()
    return replace_rows(
        connection,
        "session_clusters",
        ["user_id", "session_id"],
        ["user_id", "session_id", "local_date", "model_version", "cluster", "persona_id", "distance"],
        assignments(work.user_id, sessions, model),
        {"user_id": work.user_id} | ({} if everything else {"local_date": work.days}),
    )


def assignments(user_id: str, sessions: Sequence[tuple], model: Model) -> Iterator[tuple]:
    """Rows of `session_clusters` for rows of session_id, local_date, features."""
    for start in range(0, len(sessions), CHUNK_ROWS):
        chunk = sessions[start : start + CHUNK_ROWS]
        distances = np.round(model.clusterer.distances(transform(feature_array(chunk))), DIGITS)
        clusters = distances.argmin(axis=1)
        for row, cluster, distance in zip(chunk, clusters.tolist(), distances.min(axis=1).tolist(), strict=True):
            yield user_id, row[0], row[1], model.version, cluster, model.persona_ids[cluster], distance


def feature_array(rows: Sequence[tuple]) -> np.ndarray:
    """(sessions, len(FEATURES)) from rows of session_id, local_date, features; null is nan."""
    return np.array([row[2:] for row in rows], dtype=float).reshape(-1, len(FEATURES))
