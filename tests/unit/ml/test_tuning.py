"""Weights are learned where a library's own regression finds them, and only from what matters."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ml.evaluation.tuning import RIDGE, TRACKS, Moment, learn, learn_question, logistic
from ml.playlists.recommender import QUESTIONS, WEIGHTS


def moment_of(listener: str, seed: int, tracks: int = 300, slope: float = 2.0) -> Moment:
    random = np.random.RandomState(seed)
    features = {name: random.normal(size=tracks) for of in WEIGHTS.values() for name in of}
    chance = 1 / (1 + np.exp(-slope * features["heat"]))
    return Moment(listener, features, random.random_sample(tracks) < chance)


def test_it_is_a_ridge_logistic_regression():
    random = np.random.RandomState(0)
    X = random.normal(size=(500, 3))
    y = (random.random_sample(500) < 1 / (1 + np.exp(-(X @ [1.0, -2.0, 0.0] - 0.5)))).astype(float)
    w = random.random_sample(500)
    w /= w.sum()
    known = LogisticRegression(C=1 / (2 * RIDGE), tol=1e-8).fit(X, y, sample_weight=w)
    assert logistic(X, y, w) == pytest.approx(known.coef_[0], abs=1e-3)


def test_what_counts_gets_the_weight():
    weights = learn_question("next", [moment_of("a", 1), moment_of("b", 2)])
    assert weights["heat"] == max(weights.values()) > 0.5
    assert set(weights) == set(WEIGHTS["next"])


def test_every_listener_counts_the_same():
    """Ten moments of one listener weigh what one moment of another does."""
    once = learn_question("next", [moment_of("a", 1), moment_of("b", 2, slope=-2)])
    often = learn_question("next", [moment_of("a", 1)] * 10 + [moment_of("b", 2, slope=-2)])
    assert often == pytest.approx(once, abs=1e-6)


def test_only_the_tracks_with_a_chance_count():
    moment = moment_of("a", 3, tracks=TRACKS + 200)
    order = np.argsort(-moment.features["recent_plays"])
    changed = moment.heard.copy()
    changed[order[TRACKS:]] = ~changed[order[TRACKS:]]
    assert learn_question("next", [moment]) == learn_question("next", [moment._replace(heard=changed)])


def test_a_question_nobody_answers_keeps_its_weights():
    learnt = learn({"next": [moment_of("a", 1)], "returns": []})
    assert set(learnt) == set(QUESTIONS)
    assert learnt["returns"] == WEIGHTS["returns"]
    assert learnt["next"] != WEIGHTS["next"]
