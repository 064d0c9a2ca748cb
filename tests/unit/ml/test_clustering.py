"""The estimator and the matching of personas, on arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from threadpoolctl import threadpool_limits

from ml.personas.centroids import FEATURES, KEEP_RATIO, POINT, ArtistVectors, Heard, clusters_from, transform
from ml.personas.clustering import (
    MIXES,
    SessionClusterer,
    Space,
    choose,
    held_out_lift,
    match_personas,
    play_matrix,
    robust_scale,
    thinned,
)
from ml.personas.session_clusters import waiting


def sessions_of_kinds(
    kinds: int, each: int, seed: int = 0, own_artists: bool = True
) -> tuple[np.ndarray, Heard, np.ndarray]:
    """Feature rows of kinds of session in turns, who is heard in them (three of a kind's own
    five artists, or the same five in all), and which kind each is."""
    random = np.random.RandomState(seed)
    rows, artists, plays, labels = [], [], [], []
    for number in range(kinds * each):
        kind = number % kinds
        angle = 2 * np.pi * (24 * kind / kinds + random.normal(0, 0.4)) / 24
        count = max(2, int(random.normal(10 + 25 * kind, 2)))
        rows.append(
            [count, count * 3.5, 3, 1.0, 0.1 * (kind % 2), 0.05 + 0.3 * (kind % 3), 0.1, float(kind % 2), 0.0,
             np.sin(angle), np.cos(angle), 0.0]
        )  # fmt: skip
        chosen = sorted(5 * kind + random.permutation(5)[:3]) if own_artists else range(5)
        artists.append([f"artist {i}" for i in chosen])
        plays.append(random.randint(1, 6, size=len(chosen)))
        labels.append(kind)
    return transform(np.array(rows)), Heard.of(artists, plays), np.array(labels)


@pytest.mark.parametrize("kinds", [3, 5])
def test_finds_the_kinds_there_are(kinds):
    X, heard, truth = sessions_of_kinds(kinds, 60)
    clusterer = SessionClusterer().fit(X, heard)
    assert clusterer.n_clusters_ == kinds
    assert len(set(zip(truth, clusterer.predict(X, heard), strict=True))) == kinds
    assert clusterer.lift_ > 1


def test_kinds_that_say_nothing_of_what_is_played_are_one():
    """However clearly hours and lengths part the sessions."""
    X, heard, _ = sessions_of_kinds(3, 60, own_artists=False)
    assert SessionClusterer().fit(X, heard).n_clusters_ == 1


@pytest.mark.parametrize("sessions", [1, 2, 7])
def test_few_sessions_are_one_cluster(sessions):
    X, heard, _ = sessions_of_kinds(1, sessions)
    clusterer = SessionClusterer().fit(X, heard)
    assert clusterer.n_clusters_ == 1
    assert clusterer.predict(X, heard).tolist() == [0] * sessions


def test_unknown_values_do_not_matter_for_the_nearest_cluster():
    X, heard, _ = sessions_of_kinds(3, 60)
    clusterer = SessionClusterer().fit(X, heard)
    hidden = X.copy()
    hidden[:, FEATURES.index("shuffle_rate")] = np.nan
    assert np.mean(clusterer.predict(hidden, heard) == clusterer.predict(X, heard)) > 0.95


def test_sessions_without_known_artists_lie_in_the_middle_of_what_is_played():
    vectors = ArtistVectors(["a", "b"], np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]))
    content = vectors.content(Heard.of([["a"], ["a", "b"], ["new"], [], ["a", "new"]], [[3], [1, 1], [5], [], [1, 1]]))
    half = round(0.5**0.5, 6)
    assert content.tolist() == [[1, 0, 0, 0], [half, half, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [half, 0, 0, 0]]


@pytest.mark.parametrize("seed", [1, 2])
def test_stored_numbers_place_sessions_where_the_fit_did(seed):
    """Later sessions are assigned by vectors and weights from the table, without the fit."""
    X, heard, _ = sessions_of_kinds(3, 20, seed)
    clusterer = SessionClusterer(random_state=seed).fit(X, heard)
    space = Space(X, play_matrix(heard)[1])
    points = np.column_stack([X, clusterer.vectors_.content(heard)])
    centroids = clusterer.centroids_
    scaled = np.nan_to_num((points - centroids.center) / centroids.scale) * centroids.weights
    assert scaled.shape[1] == len(POINT)
    np.testing.assert_allclose(scaled, space.points(X, play_matrix(heard)[1], MIXES[clusterer.mix_]), atol=1e-4)


def test_thread_counts_do_not_change_a_digit():
    X, heard, _ = sessions_of_kinds(4, 50)
    fits = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            fitted = SessionClusterer().fit(X, heard)
            fits.append((fitted.centroids_.points.tolist(), fitted.vectors_.vectors.tolist(), fitted.candidates_))
    assert fits[0] == fits[1]


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=20))
def test_halves_of_plays_are_halves(rows):
    width = max(map(len, rows))
    plays = sparse.csr_matrix(np.array([row + [0] * (width - len(row)) for row in rows], dtype=float))
    one, other = (half.toarray() for half in thinned(plays))
    assert (one + other == plays.toarray()).all()
    assert np.abs(one - other).max() <= 1
    assert np.abs(one.sum(axis=1) - other.sum(axis=1)).max() <= 1


def test_lift_is_what_groups_tell_beyond_chance():
    random = np.random.RandomState(0)
    kind = random.randint(2, size=400)
    plays = np.zeros((400, 20))
    for session, group in enumerate(kind):
        plays[session, 10 * group + random.permutation(10)[:3]] = 4
    known, new = sparse.csr_matrix(plays[:200]), sparse.csr_matrix(plays[200:])
    lift = held_out_lift(known, kind[:200], new, kind[200:], 2)
    assert 0.8 < lift < 1.3  # one bit, and a little more, for shuffled groups tell wrongly
    unrelated = random.randint(2, size=400)
    assert abs(held_out_lift(known, unrelated[:200], new, unrelated[200:], 2)) < 0.05


def test_what_there_was_stays_and_grows():
    X, heard, _ = sessions_of_kinds(3, 60)
    first = SessionClusterer().fit(X, heard)
    before = first.predict(X, heard)
    again = SessionClusterer().fit(X, heard, before, first.mix_)
    assert again.kept_
    assert (again.predict(X, heard) == before).all()


@given(st.integers(0, 10_000))
def test_a_session_leaves_the_cluster_it_has_only_for_one_that_is_clearly_nearer(seed):
    random = np.random.RandomState(seed)
    distances, before = random.uniform(0.1, 3, size=(60, 3)), random.randint(-1, 3, size=60)
    clusters = clusters_from(distances, before)
    had = before >= 0
    assert (clusters[~had] == distances[~had].argmin(axis=1)).all()
    rows, nearest = np.arange(60), distances.argmin(axis=1)
    clear = distances[rows, before] > KEEP_RATIO * distances[rows, nearest]
    assert (clusters[had & clear] == nearest[had & clear]).all()
    assert (clusters[had & ~clear] == before[had & ~clear]).all()


@given(st.lists(st.booleans()), st.integers(0, 40))
def test_few_sessions_change_their_persona_at_once_the_newest_first(moves, most):
    would_move = np.array(moves, dtype=bool)
    moved = np.flatnonzero(would_move & ~waiting(would_move, most))
    assert moved.tolist() == np.flatnonzero(would_move)[::-1][:most][::-1].tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_order_of_sessions_does_not_change_the_scaling_and_numbers_are_finite(seed, kinds):
    X, _, _ = sessions_of_kinds(kinds, 12, seed)
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


def test_groups_are_chosen_by_what_they_tell_and_how_surely_they_come_back():
    def candidate(k: int, lift: float, stability: float, accepted: bool = True, mix: str = "a") -> dict:
        return {"mix": mix, "k": k, "lift": lift, "stability": stability, "accepted": accepted}

    candidates = [
        candidate(2, 0.30, 1.0),
        candidate(3, 0.40, 0.95),
        candidate(4, 0.42, 0.70),
        candidate(5, 0.08, 0.99),
        candidate(6, 0.90, 0.99, accepted=False),
        candidate(3, 0.20, 0.90, mix="b"),
    ]
    assert choose(candidates)["k"] == 3
    assert choose(candidates, ("a", 4))["k"] == 4
    assert choose(candidates, ("b", 3)) == candidates[5]
    # The former clusters are given up when others tell clearly more, or when they no longer tell anything.
    assert choose(candidates, ("a", 5))["k"] == 3
    assert choose([candidate(2, -0.01, 1.0, accepted=False)], ("a", 2)) is None
    assert choose([candidate(2, 0.005, 0.5, accepted=False)], ("a", 2))["k"] == 2
    assert choose(candidates[4:5]) is None
