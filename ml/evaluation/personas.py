"""What a listener's personas are worth: `judge_personas`, called by `make evaluate`.

| measure | meaning |
|---|---|
| lift | bits a play by which personas of sessions before a cut-off tell the artists of later ones, see `lift_of` |
| lift_thinned | the same, the plays of a later session parted by artist and not by time |
| lift_hour, lift_behaviour | the same as `lift` for KMeans on the start's hour alone, and on behaviour alone, with as many groups |
| hour_ari | adjusted Rand index of the personas with KMeans on the start's hour alone, with as many groups |
| bootstrap_ari | mean adjusted Rand index of the personas with those of resampled sessions, vectors of artists learnt anew, of as many groups by the same mix |
| bootstrap_choice_ari | the same, the number of groups and the mix chosen anew as well |
| smallest_share | share of the smallest persona, of sessions or of time |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from ml.personas.centroids import BEHAVIOUR, FEATURES, Heard
from ml.personas.clustering import (
    MIXES,
    SEED,
    TRIALS,
    SessionClusterer,
    Space,
    held_out_lift,
    largest_first,
    play_matrix,
    thinned,
)
from ml.personas.session_clusters import SAMPLE_SIZE, SETTLING_DAYS, Sessions
from ml.tables import fetch, statement

RESAMPLES = 5
HOUR = [FEATURES.index(name) for name in ("start_hour_sin", "start_hour_cos")]


# Rows of X and of plays → labels: what a method learnt from older sessions makes of any.
Groups = Callable[[np.ndarray, sparse.csr_matrix], np.ndarray]


@dataclass
class Listener:
    """A listener's sessions, the oldest first.

    :ivar X: (sessions, len(FEATURES)) from `transform`.
    :ivar plays: (sessions, artists) plays of 30 s or more; `first`, `second`: those of each half of the session.
    :ivar share_of_time: (sessions,) summing to 1.
    """

    X: np.ndarray
    heard: Heard
    plays: sparse.csr_matrix
    first: sparse.csr_matrix
    second: sparse.csr_matrix
    artists: list[str]
    share_of_time: np.ndarray

    def heard_in(self, plays: sparse.csr_matrix) -> Heard:
        """Rows of a matrix of the listener's artists, as the estimator takes them."""
        return Heard([self.artists[column] for column in plays.indices], plays.data, np.diff(plays.indptr))

    def personas_of(self, older: np.ndarray) -> tuple[Groups, int]:
        """What a model of some of the sessions makes of any, and its number of personas."""
        model = SessionClusterer().fit(self.X[older], self.heard_in(self.plays[older]))
        return lambda X, plays: model.predict(X, self.heard_in(plays)), model.n_clusters_


def read_listener(connection: psycopg.Connection, user_id: str) -> Listener:
    """What staging's session_features, session_artists and listening_events say."""
    parameters = {"user_id": user_id, "days": None, "sample_size": SAMPLE_SIZE, "settling_days": SETTLING_DAYS}
    rows = connection.execute(statement("clustering_sessions"), parameters).fetchall()
    sessions = Sessions(rows)
    artists, plays = play_matrix(sessions.heard)
    column = {artist: i for i, artist in enumerate(artists)}
    at = {row[0]: i for i, row in enumerate(rows)}
    halves: list[tuple[list[int], list[int], list[int]]] = [([], [], []), ([], [], [])]
    for row in fetch(connection, "session_halves", {"user_id": user_id}):
        if row["session_id"] in at:
            for (counts, places, columns), name in zip(halves, ("first_plays", "second_plays"), strict=True):
                counts.extend(row[name])
                places.extend([at[row["session_id"]]] * len(row["artists"]))
                columns.extend(column[artist] for artist in row["artists"])
    first, second = (sparse.csr_matrix((c, (p, a)), shape=plays.shape, dtype=float) for c, p, a in halves)
    for half in (first, second):
        half.eliminate_zeros()
    minutes = np.expm1(sessions.features[:, FEATURES.index("minutes")])
    return Listener(sessions.features, sessions.heard, plays, first, second, artists, minutes / minutes.sum())


def lift_of(listener: Listener, learn: Callable[[np.ndarray], tuple[Groups, int]], *, thin: bool = False) -> float:
    """Held-out lift: bits a play by which a later session's persona tells its artists better than personas shuffled
    within the listener do.

    A model is learnt from the sessions before a cut-off, vectors of artists included. Each later session is placed by
    it twice: by the plays of its first half, to tell the artists of its second, and the other way round; how and when
    it is listened to is known of the whole session. So that is no tautology, but easier than telling a session that has
    not begun: who plays an album has its artist in both halves. A persona's artists are its plays before the cut-off,
    smoothed towards all the listener's plays (`held_out_lift`); rare and unknown artists count as one.

    The mean over two cut-offs, at half of the sessions and at three quarters, each with the quarter after it.

    :param learn: rows of the older sessions → what places any session, and the number of groups.
    :param thin: part a session's plays artist by artist (`thinned`) instead of in the middle.
    """
    lifts = []
    for begin, end in TRIALS:
        sessions = len(listener.X)
        older, newer = np.arange(round(begin * sessions)), np.arange(round(begin * sessions), round(end * sessions))
        groups, k = learn(older)
        known, labels = listener.plays[older], groups(listener.X[older], listener.plays[older])
        halves = thinned(listener.plays[newer]) if thin else (listener.first[newer], listener.second[newer])
        for asked, by in (halves, halves[::-1]):
            lifts.append(held_out_lift(known, labels, asked, groups(listener.X[newer], by), k))
    return float(np.mean(lifts))


def lift_of_kinds(listener: Listener, kinds: np.ndarray) -> float:
    """The same for kinds of session that are known, of later ones too: what there is to tell.

    :param kinds: (sessions,) from 0.
    """
    sessions, k = len(kinds), int(kinds.max()) + 1
    lifts = []
    for begin, end in TRIALS:
        older, newer = slice(round(begin * sessions)), slice(round(begin * sessions), round(end * sessions))
        for asked in (listener.first[newer], listener.second[newer]):
            lifts.append(held_out_lift(listener.plays[older], kinds[older], asked, kinds[newer], k))
    return float(np.mean(lifts))


def judge(listener: Listener) -> dict[str, Any]:
    """The measures of one listener, by the table above."""
    fitted = SessionClusterer().fit(listener.X, listener.heard)
    k, mix = fitted.n_clusters_, MIXES[fitted.mix_]
    labels = fitted.predict(listener.X, listener.heard)

    def by_columns(columns: list[int]) -> Callable[[np.ndarray], tuple[Groups, int]]:
        def learn(older: np.ndarray) -> tuple[Groups, int]:
            space = Space(listener.X[older], listener.plays[older])

            def points(X: np.ndarray, plays: sparse.csr_matrix) -> np.ndarray:
                return space.points(X, plays, (1.0, 1.0, 1.0))[:, columns]

            model = KMeans(k, n_init=10, random_state=SEED).fit(points(listener.X[older], listener.plays[older]))
            return lambda X, plays: model.predict(points(X, plays)), k

        return learn

    hour = KMeans(k, n_init=10, random_state=SEED).fit_predict(listener.X[:, HOUR])
    random = np.random.RandomState(SEED)
    resampled, chosen = [], []
    for _ in range(RESAMPLES):
        rows = np.sort(random.randint(len(listener.X), size=len(listener.X)))
        X, plays = listener.X[rows], listener.plays[rows]
        space = Space(X, plays)
        centers = largest_first(KMeans(k, n_init=10, random_state=SEED).fit(space.points(X, plays, mix)))[1]
        points = space.points(listener.X, listener.plays, mix)
        nearest = ((points[:, None, :] - centers[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)
        resampled.append(adjusted_rand_score(labels, nearest))
        again = SessionClusterer().fit(X, listener.heard_in(plays))
        chosen.append(adjusted_rand_score(labels, again.predict(listener.X, listener.heard)))
    shares = [np.bincount(labels, weights=w, minlength=k) for w in (listener.share_of_time, None)]
    return {
        "sessions": len(listener.X),
        "personas": k,
        "mix": fitted.mix_,
        "lift": lift_of(listener, listener.personas_of),
        "lift_thinned": lift_of(listener, listener.personas_of, thin=True),
        "lift_hour": lift_of(listener, by_columns(HOUR)),
        "lift_behaviour": lift_of(listener, by_columns(list(range(len(BEHAVIOUR))))),
        "hour_ari": float(adjusted_rand_score(hour, labels)) if k > 1 else 0.0,
        "bootstrap_ari": float(np.mean(resampled)),
        "bootstrap_choice_ari": float(np.mean(chosen)),
        "smallest_share": float(min(shares[0].min(), shares[1].min() / len(labels))),
    }


def judge_personas(connection: psycopg.Connection, user_ids: Iterable[str]) -> list[dict[str, Any]]:
    """A row a listener: `listener`, the measures of `judge`, and `names`, of the personas there are.

    Reads staging: session_features, session_artists and personas must have been built.
    """
    rows = []
    with threadpool_limits(limits=1):
        for user_id in user_ids:
            names = connection.execute(
                "select label from staging.personas where user_id = %s and is_active order by share_of_time desc",
                [user_id],
            ).fetchall()
            measures = judge(read_listener(connection, user_id))
            rows.append({"listener": user_id, **measures, "names": [name for (name,) in names]})
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over listeners, and for how many the lift is above 0 and above that of hour and behaviour."""
    means = {
        name: float(np.mean([row[name] for row in rows]))
        for name, value in rows[0].items()
        if isinstance(value, int | float)
    }
    return means | {
        "lift_above_0": float(np.mean([row["lift"] > 0 for row in rows])),
        "lift_above_hour": float(np.mean([row["lift"] > row["lift_hour"] for row in rows])),
        "lift_above_behaviour": float(np.mean([row["lift"] > row["lift_behaviour"] for row in rows])),
        "highest_hour_ari": float(max(row["hour_ari"] for row in rows)),
    }
