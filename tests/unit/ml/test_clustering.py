"""The estimator and the matching of personas, on arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.centroids import FEATURES, transform
from ml.clustering import SessionClusterer, choose_k, match_personas, robust_scale


def sessions_of_kinds(kinds: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Raw feature rows of well separated kinds of session, and which kind each is."""
    random = np.random.RandomState(seed)
    rows, labels = [], []
    for kind in range(kinds):
        hour = 24 * kind / kinds
        for _ in range(each):
            angle = 2 * np.pi * (hour + random.normal(0, 0.4)) / 24
            plays = max(2, int(random.normal(10 + 25 * kind, 2)))
            rows.append(
                [plays, plays * 3.5, 3 + kind, 1.0, 0.1 * (kind % 2), 0.05 + 0.3 * (kind % 3), 0.1, float(kind % 2),
                0.0,
                 np.sin(angle), np.cos(angle), 0.0]
            )  # fmt: skip
            labels.append(kind)
    return transform(np.array(rows)), np.array(labels)


@pytest.mark.parametrize("kinds", [3, 5])
def test_finds_the_kinds_there_are(kinds):
    X, truth = sessions_of_kinds(kinds, 60)
    clusterer = SessionClusterer().fit(X)
    assert clusterer.n_clusters_ == kinds
    assert len(set(zip(truth, clusterer.predict(X), strict=True))) == kinds


def test_one_kind_of_session_is_one_cluster():
    X = np.random.RandomState(0).normal(size=(200, len(FEATURES)))
    assert SessionClusterer().fit(X).n_clusters_ == 1


@pytest.mark.parametrize("sessions", [1, 2, 7])
def test_few_sessions_are_one_cluster(sessions):
    X, _ = sessions_of_kinds(1, sessions)
    clusterer = SessionClusterer().fit(X)
    assert clusterer.n_clusters_ == 1
    assert clusterer.predict(X).tolist() == [0] * sessions


def test_unknown_values_do_not_matter_for_the_nearest_cluster():
    X, _ = sessions_of_kinds(3, 60)
    clusterer = SessionClusterer().fit(X)
    hidden = X.copy()
    hidden[:, FEATURES.index("shuffle_rate")] = np.nan
    assert np.mean(clusterer.predict(hidden) == clusterer.predict(X)) > 0.95


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_order_of_sessions_does_not_change_the_scaling_and_numbers_are_finite(seed, kinds):
    X, _ = sessions_of_kinds(kinds, 12, seed)
    shuffled = X[np.random.RandomState(seed).permutation(len(X))]
    for one, other in zip(robust_scale(X), robust_scale(shuffled), strict=True):
        np.testing.assert_allclose(one, other)
        assert np.isfinite(one).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=30, max_size=200), st.permutations(list(range(7))))
def test_renumbered_clusters_keep_every_persona(personas, numbers):
    """Whatever numbers KMeans gives to the same groups, each keeps its persona id."""
    old = np.array(personas)
    new = np.array([numbers[p] for p in personas])
    matched = match_personas(old, new)
    assert [matched[c] for c in new] == old.tolist()


def test_a_new_kind_of_session_is_a_new_persona():
    old = np.array([1] * 50 + [2] * 50)
    new = np.array([0] * 50 + [1] * 30 + [2] * 20)
    assert match_personas(old, new) == {0: 1, 1: 2}


def test_k_is_chosen_among_the_accepted():
    def candidate(k: int, silhouette: float, stability: float, accepted: bool = True) -> dict:
        return {"k": k, "silhouette": silhouette, "stability": stability, "accepted": accepted}

    candidates = [
        candidate(2, 0.5, 1.0),
        candidate(3, 0.46, 0.99),
        candidate(4, 0.45, 0.97),
        candidate(5, 0.35, 1.0),
        candidate(6, 0.9, 1.0, accepted=False),
    ]
    assert choose_k(candidates)["k"] == 3
    assert choose_k(candidates, previous_k=2)["k"] == 2
    assert choose_k(candidates, previous_k=5)["k"] == 5
    assert choose_k(candidates, previous_k=6)["k"] == 3
    # What there was stays for longer: a listener's six personas became four here, for two splits that found one less.
    grown = [candidate(4, 0.4715, 0.9918), candidate(3, 0.4813, 1.0), candidate(6, 0.4503, 0.9404)]
    assert choose_k(grown)["k"] == 4
    assert choose_k(grown, previous_k=6)["k"] == 6
    assert choose_k([*grown, candidate(7, 0.4085, 0.8563)], previous_k=7)["k"] == 4
    assert choose_k([candidate(2, 0.5, 0.9), candidate(3, 0.3, 1.0)])["k"] == 3
    assert choose_k(candidates[4:]) is None
