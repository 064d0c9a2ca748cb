"""Pairs of artists from sessions, against counting by hand."""

from collections import Counter
from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.playlists.cooccurrence import MIN_SESSIONS, cooccurrence, pair_scores


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 8), min_size=1, max_size=6), min_size=1, max_size=25))
def test_pairs_equal_counting_by_hand(sessions):
    rows = [(s, a) for s, artists in enumerate(sessions) for a in sorted(artists)]
    weights = np.array([100.0 * (s + 1) for s, _ in rows])
    together, weight = Counter(), Counter()
    for s, artists in enumerate(sessions):
        for pair in permutations(sorted(artists), 2):
            together[pair] += 1
            weight[pair] += np.floor(100.0 * (s + 1) / (len(artists) - 1))
    left, right, counts, weights_together = cooccurrence(
        np.array([s for s, _ in rows]), np.array([a for _, a in rows]), weights
    )
    found = {(a, b): (n, w) for a, b, n, w in zip(left, right, counts, weights_together, strict=True)}
    assert found == {pair: (n, weight[pair]) for pair, n in together.items() if n >= MIN_SESSIONS}


def test_a_pair_met_often_beats_a_pair_met_twice():
    often, rare = pair_scores(np.array([50.0, 2.0]), np.array([60.0, 2.0]), np.array([60.0, 2.0]), np.array([50, 2]))
    assert often > rare
