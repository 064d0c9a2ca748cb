"""Sessions of one listener grouped with KMeans by what is played, how and when: arrays in, numbers out.

How many groups, and how much each block of a point counts, is chosen by what personas are for: telling what is played.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import adjusted_rand_score, pairwise_distances_argmin, silhouette_score
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted
from threadpoolctl import threadpool_limits

from ml.personas.centroids import (
    BEHAVIOUR,
    CONTENT,
    DIGITS,
    FEATURES,
    MIN_CLUSTER_SESSIONS,
    MIN_CLUSTER_SHARE,
    TIME,
    ArtistVectors,
    Centroids,
    Heard,
)

SEED = 20260101
# Weights of the blocks what is played, how, and when, tried for each listener. The hour describes a persona more than
# it makes one: with more weight than this it takes over, and the groups tell less of what is played.
MIXES = {
    "what is played": (1.0, 0.4, 0.2),
    "what is played and how": (1.0, 0.8, 0.4),
    "what is played, how and when": (1.0, 1.2, 0.8),
}
MAX_CLUSTERS = 6
# Sessions an artist is heard in before it gets a vector.
MIN_ARTIST_SESSIONS = 3
# How many of the sample the choice is made on, and how many of those the silhouette, which compares all pairs, is over.
CHOICE_SIZE = 1500
SILHOUETTE_SIZE = 1000
RESAMPLES = 8
# Starts of KMeans, the best of which counts. With few, stability would measure the starts.
INITS = 10
CHOICE_INITS = 5
# The held-out lift is the mean over these: groups of the sessions up to one share of the sample, asked about those from
# there to another.
TRIALS = ((0.5, 0.75), (0.75, 1.0))
# Plays of all sessions mixed into each group's, so that a small group says little; an artist with fewer plays than
# MIN_ARTIST_PLAYS counts with all such as one.
PRIOR_PLAYS = 200.0
MIN_ARTIST_PLAYS = 5
SHUFFLES = 3
# Fewer bits a play speak for nothing.
MIN_LIFT = 0.03
MIN_STABILITY = 0.5
# Candidates that tell less than this share of the best are not looked at for how surely they come back.
WORTH = 0.5
# The groups that there were are kept while their value is this share of the best: when a persona goes, its sessions
# lose their name.
KEEP = 0.25

Mix = tuple[float, float, float]


class SessionClusterer(ClusterMixin, BaseEstimator):
    """KMeans on what is played, how and when; k and the weights of the three chosen by held-out lift and stability.

    :param max_clusters: largest k tried.
    :param random_state: seed of every draw.

    Fitted: `vectors_`, `centroids_`, `n_clusters_`, `kept_` (whether the clusters are the groups of before), `mix_`,
    `lift_`, `stability_`, `silhouette_` (None for one cluster), `candidates_` (one dict per k and mix tried),
    `training_distance_`.
    """

    def __init__(self, max_clusters: int = MAX_CLUSTERS, random_state: int = SEED):
        self.max_clusters = max_clusters
        self.random_state = random_state

    def fit(
        self, X: np.ndarray, heard: Heard, before: np.ndarray | None = None, mix: str | None = None
    ) -> SessionClusterer:
        """:param X: (sessions, len(FEATURES)) from `transform`, nan where unknown, the oldest session first.
        :param heard: the artists of the same sessions.
        :param before: (sessions,) number of the group that each has so far, from 0, and -1 for none. As many groups
            with the same `mix` are kept unless others are clearly better, and grow out of those there are.
        :raises ValueError: no session, or infinite values.
        """
        X = check_array(X, ensure_all_finite="allow-nan")
        artists, plays = play_matrix(heard)
        groups = 0 if before is None else int(before.max(initial=-1)) + 1
        # One thread: how sums are split over threads changes their last bits.
        with threadpool_limits(limits=1):
            space = Space(X, plays)
            self.candidates_ = self._candidates(X, plays, before, (mix, groups))
            chosen = choose(self.candidates_, (mix, groups))
            one: dict[str, Any] = {"k": 1, "mix": mix or next(iter(MIXES)), "lift": None, "stability": None}
            best = chosen or one
            self.n_clusters_, self.mix_ = int(best["k"]), str(best["mix"])
            self.lift_, self.stability_ = best["lift"], best["stability"]
            k = self.n_clusters_
            points = space.points(X, plays, MIXES[self.mix_])
            self.kept_ = k == groups and (k == 1 or mix == self.mix_)
            if before is not None and self.kept_:
                # The second half of a step of Lloyd's algorithm; `clusters_from` does the first with restraint.
                labels, centers = before, np.array([points[before == group].mean(axis=0) for group in range(k)])
            else:
                labels, centers = largest_first(self._kmeans(k, INITS).fit(points))
            picked = check_random_state(self.random_state).permutation(np.flatnonzero(labels >= 0))[:SILHOUETTE_SIZE]
            several = len(np.unique(labels[picked])) > 1
            self.silhouette_ = round(float(silhouette_score(points[picked], labels[picked])), 4) if several else None
        self.vectors_ = ArtistVectors([artists[i] for i in space.vocabulary], space.vectors)
        self.centroids_ = Centroids(*space.scaling(MIXES[self.mix_]), np.round(centers, DIGITS))
        distances = self.centroids_.distances(np.column_stack([X, self.vectors_.content(heard)]))
        self.training_distance_ = round(float(distances.min(axis=1).mean()), DIGITS)
        return self

    def predict(self, X: np.ndarray, heard: Heard) -> np.ndarray:
        """Nearest centroid of each session; the first of equals."""
        check_is_fitted(self)
        return self.centroids_.nearest(np.column_stack([X, self.vectors_.content(heard)]))

    def _kmeans(self, k: int, starts: int) -> KMeans:
        return KMeans(k, n_init=starts, random_state=self.random_state)

    def _candidates(
        self, X: np.ndarray, plays: sparse.csr_matrix, labels_before: np.ndarray | None, before: tuple[str | None, int]
    ) -> list[dict[str, Any]]:
        """What speaks for each k and mix: the held-out lift of groups found in the older sessions, and how alike the
        groups of resampled sessions are (as their adjusted Rand index on all, Hubert & Arabie 1985)."""
        random = check_random_state(self.random_state)
        sample = np.sort(random.permutation(len(X))[:CHOICE_SIZE])
        X, plays = X[sample], plays[sample]
        largest = min(self.max_clusters, int(len(X) / MIN_CLUSTER_SESSIONS))
        if largest < 2 or len(np.unique(np.round(np.nan_to_num(X), DIGITS), axis=0)) <= 4 * largest:
            return []
        all_of_them = Space(X, plays)
        labels_before = None if labels_before is None else labels_before[sample]
        trials = [Trial(X, plays, begin, end) for begin, end in TRIALS]
        resamples = [np.sort(random.randint(len(X), size=len(X))) for _ in range(RESAMPLES)]
        resampled = [Space(X[rows], plays[rows]) for rows in resamples]
        minutes = np.expm1(X[:, FEATURES.index("minutes")])
        result: list[dict[str, Any]] = []
        labels: list[np.ndarray] = []
        for mix, weights in MIXES.items():
            points = all_of_them.points(X, plays, weights)
            for k in range(2, largest + 1):
                found = self._kmeans(k, CHOICE_INITS).fit_predict(points)
                shares = [np.bincount(found, weights=w, minlength=k) / w.sum() for w in (np.ones(len(X)), minutes)]
                had = labels_before if (mix, k) == before else None
                lift = np.mean([trial.lift(self._kmeans(k, CHOICE_INITS), weights, had) for trial in trials])
                labels.append(found)
                result.append(
                    {
                        "mix": mix,
                        "k": k,
                        "lift": round(float(lift), 4),
                        "smallest_share": round(float(np.min(shares)), 4),
                    }
                )
        best = max((c["lift"] for c in result if c["smallest_share"] >= MIN_CLUSTER_SHARE), default=0.0)
        for candidate, found in zip(result, labels, strict=True):
            mix, k = candidate["mix"], candidate["k"]
            possible = candidate["smallest_share"] >= MIN_CLUSTER_SHARE and candidate["lift"] >= MIN_LIFT
            candidate["stability"] = None
            if (mix, k) == before or (possible and candidate["lift"] >= WORTH * best):
                agreements = []
                for rows, space in zip(resamples, resampled, strict=True):
                    model = self._kmeans(k, CHOICE_INITS).fit(space.points(X[rows], plays[rows], MIXES[mix]))
                    again = model.predict(space.points(X, plays, MIXES[mix]))
                    agreements.append(adjusted_rand_score(found, again))
                candidate["stability"] = round(max(float(np.mean(agreements)), 0.0), 4)
            candidate["accepted"] = possible and (candidate["stability"] or 0) >= MIN_STABILITY
        return result


def choose(candidates: Sequence[dict[str, Any]], before: tuple[str | None, int] = (None, 0)) -> dict[str, Any] | None:
    """The most valuable groups: what they tell, times the square of how surely they come back, for a persona that is
    gone tomorrow tells nothing. Those `before` (mix and k) while theirs is not much less; None when no groups are
    accepted: all sessions are one."""
    accepted = [candidate for candidate in candidates if candidate["accepted"]]

    def value(candidate: dict[str, Any]) -> float:
        return candidate["lift"] * candidate["stability"] ** 2

    best = max(accepted, key=value, default=None)
    for candidate in candidates:
        if (candidate["mix"], candidate["k"]) == before and candidate["lift"] > 0:
            return candidate if best is None or value(candidate) >= KEEP * value(best) else best
    return best


class Space:
    """Where sessions lie: the scaling and the artists' vectors learnt from some sessions.

    :param X: (sessions, len(FEATURES)), nan where unknown.
    :param plays: (sessions, artists).
    """

    def __init__(self, X: np.ndarray, plays: sparse.csr_matrix):
        self.center, self.scale = robust_scale(X)
        self.vocabulary, self.vectors = artist_vectors(plays)
        scaled = np.nan_to_num((X - self.center) / self.scale) * FEATURE_WEIGHTS
        behaviour, time = scaled[:, : len(BEHAVIOUR)], scaled[:, len(BEHAVIOUR) :]
        # A block whose weight is 1 has a total variance of 1, whatever its number of columns.
        self.spreads = [max(np.sqrt(b.var(axis=0).sum()), 1e-3) for b in (self.content(plays), behaviour, time)]

    def content(self, plays: sparse.csr_matrix) -> np.ndarray:
        return np.round(session_rows(plays)[:, self.vocabulary] @ self.vectors, DIGITS)

    def scaling(self, mix: Mix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """center, scale and weights of `Centroids`."""
        content, behaviour, time = (weight / spread for weight, spread in zip(mix, self.spreads, strict=True))
        blocks = np.repeat([behaviour, time], [len(BEHAVIOUR), len(TIME)])
        none = np.zeros(len(CONTENT))
        weights = np.concatenate([FEATURE_WEIGHTS * blocks, none + content])
        return np.concatenate([self.center, none]), np.concatenate([self.scale, none + 1]), np.round(weights, DIGITS)

    def points(self, X: np.ndarray, plays: sparse.csr_matrix, mix: Mix) -> np.ndarray:
        center, scale, weights = self.scaling(mix)
        return np.nan_to_num((np.column_stack([X, self.content(plays)]) - center) / scale) * weights


class Trial:
    """Groups of a listener's older sessions, asked about newer ones.

    :param begin, end: shares of the sessions: those before `begin` are known, those from there to `end` asked about.
    """

    def __init__(self, X: np.ndarray, plays: sparse.csr_matrix, begin: float, end: float):
        first, last = round(begin * len(X)), round(end * len(X))
        self.known, self.known_plays = X[:first], plays[:first]
        self.new, self.halves = X[first:last], thinned(plays[first:last])
        self.space = Space(self.known, self.known_plays)

    def lift(self, model: KMeans, mix: Mix, had: np.ndarray | None = None) -> float:
        """Each half of the new sessions' plays told by the other.

        :param model: finds the groups.
        :param had: (sessions,) the groups there are, -1 for none, to judge those instead.
        """
        points, k = self.space.points(self.known, self.known_plays, mix), model.n_clusters
        if had is None:
            labels, centers = largest_first(model.fit(points))
        else:
            labels = had[: len(points)]
            centers = np.array([points[labels == group].mean(axis=0) for group in range(k) if group in labels])
            if len(centers) < k:
                return 0.0
        known = labels >= 0
        one, other = self.halves
        return float(
            np.mean(
                [
                    held_out_lift(
                        self.known_plays[known],
                        labels[known],
                        half,
                        pairwise_distances_argmin(self.space.points(self.new, by, mix), centers),
                        k,
                        model.random_state,
                    )
                    for half, by in ((one, other), (other, one))
                ]
            )
        )


FEATURE_WEIGHTS = np.array([*BEHAVIOUR.values(), *TIME.values()])


def play_matrix(heard: Heard) -> tuple[list[str], sparse.csr_matrix]:
    """The artists in order, and (sessions, artists) how often each was heard."""
    artists, codes = np.unique(np.array(heard.artists, dtype=object), return_inverse=True)
    shape = (len(heard.lengths), max(len(artists), 1))
    return artists.tolist(), sparse.csr_matrix((heard.plays, (heard.session, codes)), shape=shape)


def session_rows(plays: sparse.csr_matrix) -> sparse.csr_matrix:
    """ln(1 + plays), each session's as a vector of length 1: the weights of `ArtistVectors.content`."""
    return normalize(plays.log1p())


def artist_vectors(plays: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Latent semantic analysis of a listener's own sessions (Deerwester et al. 1990): the truncated singular value
    decomposition of sessions by artists. Without weights for rare artists, with which groups come back less alike.

    :return: the columns of `plays` that have a vector, and (len of these, len(CONTENT)) their vectors.
    """
    vocabulary = np.flatnonzero((plays > 0).sum(axis=0).A1 >= MIN_ARTIST_SESSIONS)
    rows = session_rows(plays)[:, vocabulary]
    vectors = np.zeros((len(vocabulary), len(CONTENT)))
    dimensions = min(len(CONTENT), min(rows.shape) - 1)
    if dimensions > 0:
        decomposition = TruncatedSVD(dimensions, algorithm="arpack", random_state=SEED).fit(rows)
        vectors[:, :dimensions] = decomposition.components_.T
    return vocabulary, np.round(vectors, DIGITS) + 0.0


def thinned(plays: sparse.csr_matrix) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Each session's plays in two halves (data thinning, Neufeld et al. 2024): half the plays of an artist go to
    either; of odd numbers the one left over to both in turns, in the order of the artists."""
    one, other = plays.copy(), plays.copy()
    odd = plays.data % 2
    through = np.concatenate([[0], np.cumsum(odd)])
    turn = (through[1:] - np.repeat(through[plays.indptr[:-1]], np.diff(plays.indptr))) % 2
    one.data = plays.data // 2 + odd * turn
    other.data = plays.data - one.data
    return one, other


def held_out_lift(
    plays: sparse.csr_matrix, labels: np.ndarray, new: sparse.csr_matrix, told: np.ndarray, k: int, seed: int = SEED
) -> float:
    """Bits a play by which groups tell the artists of new sessions better than shuffled groups do.

    A group's artists are the plays of its sessions and PRIOR_PLAYS of all sessions' (Dirichlet smoothing); the
    comparison is with the same number of sessions a group, drawn at random, in the known and in the new sessions.

    :param plays, labels: known sessions by artists, and the group of each.
    :param new, told: new sessions by artists, and the group each is told to be of: from other plays than those in
        `new`, or the answer would be in the question.
    """
    random = check_random_state(seed)
    total = np.asarray(plays.sum(axis=0)).ravel()
    often = total >= MIN_ARTIST_PLAYS
    outcome = np.where(often, np.cumsum(often) - 1, often.sum())
    overall = np.bincount(outcome, weights=total, minlength=often.sum() + 1) + 0.5
    overall /= overall.sum()
    entries = plays.tocoo()
    questions = new.tocoo()

    def bits(known: np.ndarray, asked: np.ndarray) -> float:
        counts = np.zeros((k, len(overall)))
        np.add.at(counts, (known[entries.row], outcome[entries.col]), entries.data)
        logs = np.log2((counts + PRIOR_PLAYS * overall) / (counts.sum(axis=1, keepdims=True) + PRIOR_PLAYS))
        return float((questions.data * logs[asked[questions.row], outcome[questions.col]]).sum())

    asked = max(float(questions.data.sum()), 1.0)
    shuffled = [bits(random.permutation(labels), random.permutation(told)) for _ in range(SHUFFLES)]
    return (bits(labels, told) - float(np.mean(shuffled))) / asked


def largest_first(model: KMeans) -> tuple[np.ndarray, np.ndarray]:
    """Labels and centers, the clusters in a fixed order."""
    sizes = np.bincount(model.labels_, minlength=model.n_clusters)
    centers = np.round(model.cluster_centers_, DIGITS)
    order = sorted(range(model.n_clusters), key=lambda c: (-sizes[c], tuple(centers[c])))
    return np.argsort(order)[model.labels_], centers[order]


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
