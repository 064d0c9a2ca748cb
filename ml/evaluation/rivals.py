"""The simple recommenders the product's has to beat. Each sees the plays it sees, and what of them was heard.

Where one has a parameter, each listener is judged with the value that was best for all the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

SEED = 20260101


@dataclass
class Plays:
    """One listener's plays in order of time, as arrays of one entry per play.

    :param track, artist_of: code of the play's track; code of each track's artist.
    :param day: local day as days since 1970.
    :param session: code of the session, ascending.
    :param heard, skipped: what became of the play; neither where that is unknown.
    :param cutoffs: first hidden days, ascending.
    """

    name: str
    track: np.ndarray
    artist_of: np.ndarray
    day: np.ndarray
    session: np.ndarray
    heard: np.ndarray
    skipped: np.ndarray
    cutoffs: tuple[int, ...] = ()

    def where(self, chosen: np.ndarray) -> Plays:
        """The chosen plays; the codes stay."""
        columns = {name: getattr(self, name)[chosen] for name in ("track", "day", "session", "heard", "skipped")}
        return replace(self, **columns)

    def before(self, day: int) -> Plays:
        return self.where(self.day < day)

    @property
    def age(self) -> np.ndarray:
        """Days before the last day, of each play."""
        return self.day.max() - self.day

    def count(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(tracks,) plays heard, or the sum of their weights."""
        given = self.heard.astype(float) if weights is None else self.heard * weights
        return np.bincount(self.track, weights=given, minlength=len(self.artist_of))

    def last_heard(self) -> np.ndarray:
        """(tracks,) days between a track's last play heard and the last day; of those never heard, the oldest age."""
        last = np.full(len(self.artist_of), int(self.age.max()) + 1)
        np.minimum.at(last, self.track[self.heard], self.age[self.heard])
        return last

    def sessions(self) -> sparse.csr_matrix:
        """(sessions, tracks) plays heard."""
        codes = np.unique(self.session, return_inverse=True)[1]
        shape = (int(codes.max()) + 1, len(self.artist_of))
        counts = sparse.csr_matrix((self.heard.astype(np.float32), (codes, self.track)), shape=shape)
        counts.eliminate_zeros()
        return counts


# Plays known → (tracks,) score, higher is better.
Recommender = Callable[[Plays], np.ndarray]


def at_random(plays: Plays) -> np.ndarray:
    return np.random.RandomState(SEED + int(plays.day.max())).random_sample(len(plays.artist_of))


def most_played(plays: Plays) -> np.ndarray:
    return plays.count()


def most_played_lately(plays: Plays, days: int) -> np.ndarray:
    return plays.count(plays.age < days) + 1e-6 * plays.count()


def decayed_count(plays: Plays, half_life: float) -> np.ndarray:
    return plays.count(0.5 ** (plays.age / half_life))


def power_law(plays: Plays, exponent: float) -> np.ndarray:
    """Base-level activation (Anderson & Schooler 1991)."""
    return plays.count((plays.age + 1.0) ** -exponent)


def frequency_recency(plays: Plays, half_life: float) -> np.ndarray:
    """ln(1 + plays), halved with each half-life since the last."""
    return np.log1p(plays.count()) * 0.5 ** (plays.last_heard() / half_life)


def frequency_recency_power(plays: Plays, exponent: float) -> np.ndarray:
    return np.log1p(plays.count()) / (1.0 + plays.last_heard()) ** exponent


def session_knn(plays: Plays, last: int) -> np.ndarray:
    """Tracks of the sessions that are like the last ones (Jannach & Ludewig 2017)."""
    inside = (plays.sessions() > 0).astype(float)
    asked = np.log1p(np.asarray(inside[-last:].sum(axis=0)).ravel())
    size = np.sqrt(np.maximum(np.asarray(inside.sum(axis=1)).ravel(), 1))
    return np.asarray(inside.T @ ((inside @ asked) / size))


def asked_with(plays: Plays, half_life: float) -> sparse.csr_matrix:
    return sparse.csr_matrix(decayed_count(plays, half_life)[None, :].astype(np.float32))


def item_knn(plays: Plays, half_life: float) -> np.ndarray:
    from implicit.nearest_neighbours import CosineRecommender
    from implicit.utils import ParameterWarning

    model = CosineRecommender(K=100, num_threads=1)
    with warnings.catch_warnings(category=ParameterWarning, action="ignore"):  # it warns of what it does itself
        model.fit(plays.sessions(), show_progress=False)
    return np.asarray((asked_with(plays, half_life) @ sparse.csr_matrix(model.similarity)).todense()).ravel()


def als(plays: Plays, factors: int, half_life: float) -> np.ndarray:
    from implicit.als import AlternatingLeastSquares

    with threadpool_limits(limits=1):
        model = AlternatingLeastSquares(factors=factors, iterations=10, random_state=SEED, num_threads=1)
        model.fit(plays.sessions(), show_progress=False)
        user = model.recalculate_user(0, asked_with(plays, half_life))
        return np.asarray(model.item_factors @ np.asarray(user).ravel())


# Rival → the values of its parameters it is tried with.
RIVALS: Mapping[str, Sequence[tuple[Callable[..., Any], Mapping[str, Any]]]] = {
    "decayed count": [(decayed_count, {"half_life": h}) for h in (3, 7, 14, 30, 60, 120, 240)],
    "power law": [(power_law, {"exponent": e}) for e in (0.25, 0.5, 0.75, 1, 1.5)],
    "ln(plays) × recency": [
        *((frequency_recency, {"half_life": h}) for h in (7, 14, 30, 60, 120)),
        *((frequency_recency_power, {"exponent": e}) for e in (0.25, 0.5, 1)),
    ],
    "session kNN": [(session_knn, {"last": n}) for n in (5, 20, 60)],
    "item-kNN": [(item_knn, {"half_life": h}) for h in (7, 30, 90)],
    "ALS": [(als, {"factors": f, "half_life": h}) for f in (16, 64) for h in (14, 60)],
    "most played": [(most_played, {})],
    "most played lately": [(most_played_lately, {"days": d}) for d in (14, 28)],
    "random": [(at_random, {})],
}


def variants() -> Iterator[tuple[str, str, Recommender]]:
    """Each rival with each of its parameters: rival, the parameters in words, recommender."""
    for rival, tried in RIVALS.items():
        for function, parameters in tried:
            said = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in parameters.items())
            yield rival, said, partial(function, **parameters)
