"""The recommender is an estimator like any other, and its features are what they say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from ml.playlists.recommender import QUESTIONS, Listening, TrackScorer


def listening(days_ago: list[list[int]], artist: list[int]) -> Listening:
    """Tracks heard once on each of some days."""
    track = np.repeat(np.arange(len(days_ago)), [len(days) for days in days_ago])
    ago = np.array([day for days in days_ago for day in days])
    once = np.ones(len(ago), dtype=int)
    last_sessions = sparse.csr_matrix((0, len(days_ago)))
    return Listening(track, ago, once, once, np.array(artist), last_sessions, np.zeros((len(days_ago), 1)))


HEARD = listening([[0, 60, 119], [5, 70, 200], [3], [400, 0]], artist=[0, 0, 1, 2])


def test_an_artist_returns_when_a_track_is_heard_again_after_a_rest():
    assert TrackScorer().fit(HEARD).artist_returns_.tolist() == [1 + 2, 0, 1]
    assert TrackScorer(rest_days=66).fit(HEARD).artist_returns_.tolist() == [1, 0, 1]


def test_only_days_on_which_a_track_was_heard_are_a_return():
    skipped = HEARD.heard.copy()
    skipped[4] = 0  # track 1, 70 days ago
    heard = replace(HEARD, heard=skipped)
    assert TrackScorer().fit(heard).artist_returns_.tolist() == [1 + 1, 0, 1]


def test_parameters_are_set_read_and_cloned():
    scorer = TrackScorer(plays_half_life=3).set_params(usual_rest=7)
    copy = clone(scorer)
    assert copy is not scorer
    assert copy.get_params() == scorer.get_params()
    assert (copy.plays_half_life, copy.usual_rest) == (3, 7)
    assert not hasattr(clone(scorer.fit(HEARD)), "features_")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("plays_half_life", 3),
        ("days_half_lives", (3, 30)),
        ("heat_half_life", 70),
        ("rest_days", 100),
        ("usual_rest", 7),
        ("weights", {question: {"rest": 1.0} for question in QUESTIONS}),
    ],
)
def test_every_parameter_counts(parameter, value):
    def scores(scorer: TrackScorer) -> list[np.ndarray]:
        fitted = scorer.fit(HEARD)
        return [sum(fitted.parts(question).values()) for question in QUESTIONS]

    changed = scores(TrackScorer(**{parameter: value}))
    assert any((one != other).any() for one, other in zip(scores(TrackScorer()), changed, strict=True))
