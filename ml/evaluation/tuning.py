"""Learns the recommender's weights from people.

`FILES=… python -m ml.evaluation.tuning` prints those of all the listeners given.

For each question, a logistic regression of "heard in the next four weeks" on the features, over many moments of each
listener's past. Every listener counts the same, every moment of a listener the same, and within a moment the tracks
that a simple count ranks first count most, since a list has only room for them. Ridge keeps the weights small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ml.playlists.recommender import QUESTIONS, WEIGHTS

RIDGE = 0.01
# Tracks a moment, best first by the question's simple count; the weight of a rank is 1 / (1 + rank / HALF_RANK).
TRACKS, HALF_RANK = 400, 100
SIMPLE = {"next": "recent_plays", "returns": "all_days", "new": "recent_plays"}
STEPS = 12


class Moment(NamedTuple):
    """One listener's candidates for a question at one moment.

    :param features: name → (candidates,).
    :param heard: (candidates,) bool, whether heard in the four weeks after.
    """

    listener: str
    features: Mapping[str, np.ndarray]
    heard: np.ndarray


def learn(moments: Mapping[str, Sequence[Moment]]) -> dict[str, dict[str, float]]:
    """Question → feature → weight, of the moments of each question; a question without moments keeps its weights."""
    return {q: learn_question(q, moments[q]) if moments.get(q) else WEIGHTS[q] for q in QUESTIONS}


def learn_question(question: str, moments: Sequence[Moment]) -> dict[str, float]:
    names = list(WEIGHTS[question])
    of_listener: dict[str, int] = {}
    for moment in moments:
        of_listener[moment.listener] = of_listener.get(moment.listener, 0) + 1
    rows, heard, weights = [], [], []
    for moment in moments:
        best = np.argsort(-moment.features[SIMPLE[question]], kind="stable")[:TRACKS]
        weight = 1 / (1 + np.arange(len(best)) / HALF_RANK)
        rows.append(np.column_stack([moment.features[name][best] for name in names]))
        heard.append(moment.heard[best])
        weights.append(weight / weight.sum() / of_listener[moment.listener] / len(of_listener))
    X, y, w = np.vstack(rows), np.concatenate(heard).astype(float), np.concatenate(weights)
    scale = np.sqrt(np.average((X - np.average(X, axis=0, weights=w)) ** 2, axis=0, weights=w)) + 1e-9
    return dict(zip(names, np.round(logistic(X / scale, y, w) / scale, 4).tolist(), strict=True))


def logistic(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Coefficients of a ridge logistic regression without those of its intercept, by a fixed number of Newton steps:
    scikit-learn's stops where its tolerance says, which differs between builds.

    :param X: (n, features), of unit variance. :param w: (n,), of sum 1.
    """
    X = np.column_stack([X - np.average(X, axis=0, weights=w), np.ones(len(X))])
    penalty = np.diag([2 * RIDGE] * (X.shape[1] - 1) + [1e-9])
    v = np.zeros(X.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-X @ v))
        gradient = X.T @ (w * (p - y)) + penalty @ v
        v -= np.linalg.solve((X * (w * p * (1 - p))[:, None]).T @ X + penalty, gradient)
    return v[:-1]


def main() -> int:
    from ml.evaluation.evaluate import files_of, moments_of, real_listeners

    listeners = real_listeners(files_of([]))
    moments = {question: [m for plays in listeners for m in moments_of(plays, question)] for question in QUESTIONS}
    print(json.dumps(learn(moments), indent=4))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
