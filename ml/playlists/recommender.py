"""Scores a listener's tracks: how likely each is to be heard in the next four weeks, in parts that add up.

There is one set of weights for each question a playlist asks (`QUESTIONS`): what is heard next among what is known
(`next`), what comes back after a rest (`returns`), what of the hardly known is taken up (`new`). All are linear in a
few named features, learned from real people's histories (`ml.evaluation.tuning`), so that a score can be read
part by part:

* **history**: ln(1 + plays) with plays that count less the older they are, by halves (`recent_plays`), and the same
  with days on which a track was heard, so that an evening on repeat counts once (`recent_days`, and `all_days` with a
  long half-life); ln(1 + plays) / √(1 + days since the last) (`frecency`); how often this listener came back to a track
  of the artist after a long rest (`artist_returns`).
* **cooccurrence**: what of all that is heard lately is by the artist (`heat`), and how often the track was heard in
  sessions like the last ones (`company`: session kNN, Jannach & Ludewig 2017).
* **freshness**: how long the track has not been heard (`rest`), and that against how long it usually rests (`overdue`).
* **persona**: ln of how much more of the track's, and its artist's, plays fall into this kind of session than usual.

Only plays that were heard count: not skipped, and known not to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

DIGITS = 6
PARTS = ("persona", "history", "cooccurrence", "freshness")
QUESTIONS = ("next", "returns", "new")
PART_OF = {
    "recent_plays": "history",
    "recent_days": "history",
    "all_days": "history",
    "frecency": "history",
    "artist_returns": "history",
    "heat": "cooccurrence",
    "company": "cooccurrence",
    "rest": "freshness",
    "overdue": "freshness",
}
# Learned by `FILES=… python -m ml.evaluation.tuning` from thirteen real people.
WEIGHTS = {
    "next": {"recent_plays": 0.8559, "recent_days": 0.7926, "heat": 0.0402, "company": 0.1491, "overdue": 0.0645},
    "returns": {"all_days": 0.419, "frecency": 2.512, "artist_returns": 0.219, "company": 0.077, "overdue": -0.08},
    "new": {"recent_plays": 1.5289, "heat": 0.072, "company": 0.1299, "rest": -0.0688},
}
# Small: playlists are shared out, so it is enough that a track goes to whom it fits rather than to another. Chosen on
# the same people: twice this costs 0.01 of what is heard of a list, half of it halves what makes the lists differ.
PERSONA_WEIGHTS = {"next": 0.2, "returns": 0.2, "new": 0.05}
# The last sessions, and those among which the ones like them are looked for.
LAST_SESSIONS, LIKE_SESSIONS = 20, 300
# A track comes back when it is heard again after so many days.
REST_DAYS = 60


@dataclass
class Listening:
    """What the scorer knows of one listener at one moment.

    :param track, days_ago, plays, heard: one entry for each track and day it was played on; days before the last day
        of listening.
    :param artist: (tracks,) code of each track's artist.
    :param last_sessions: (sessions, tracks) sparse, plays heard in the last LIKE_SESSIONS sessions, oldest first.
    :param persona_plays: (tracks, personas) plays of each track in each persona's sessions.
    """

    track: np.ndarray
    days_ago: np.ndarray
    plays: np.ndarray
    heard: np.ndarray
    artist: np.ndarray
    last_sessions: sparse.csr_matrix
    persona_plays: np.ndarray

    @property
    def artists(self) -> int:
        return int(self.artist.max(initial=-1)) + 1


class TrackScorer(BaseEstimator):
    """Scores the tracks of one listener; fitted on their `Listening`.

    :param weights: question → feature → weight.
    :param persona_weights: question → weight of how well a track fits a persona.
    :param plays_half_life, heat_half_life: in days, of `recent_plays` and `heat`.
    :param days_half_lives: in days, of `recent_days` and `all_days`.
    :param last_sessions: how many sessions `company` looks for the like of.
    :param rest_days: a rest of this length counts for `artist_returns`.
    :param usual_rest: days taken for the usual rest of a track heard on one day only, of whose habit nothing is known.
    :param never: days taken for the rest of a track never heard.
    :param persona_smoothing: plays of the artist's share mixed into a track's share of a persona, and plays of the
        persona's share mixed into the artist's.

    Fitted: `listening_`, `features_` (name → (tracks,) value), `artist_returns_` ((artists,) how often a track of the
    artist was heard again after a rest).
    """

    def __init__(
        self,
        weights: Mapping[str, Mapping[str, float]] = WEIGHTS,
        persona_weights: Mapping[str, float] = PERSONA_WEIGHTS,
        plays_half_life: float = 30,
        days_half_lives: tuple[float, float] = (14, 240),
        heat_half_life: float = 7,
        last_sessions: int = LAST_SESSIONS,
        rest_days: int = REST_DAYS,
        usual_rest: float = 60,
        never: float = 400,
        persona_smoothing: tuple[float, float] = (4, 10),
    ):
        self.weights = weights
        self.persona_weights = persona_weights
        self.plays_half_life = plays_half_life
        self.days_half_lives = days_half_lives
        self.heat_half_life = heat_half_life
        self.last_sessions = last_sessions
        self.rest_days = rest_days
        self.usual_rest = usual_rest
        self.never = never
        self.persona_smoothing = persona_smoothing

    def fit(self, listening: Listening, y: None = None) -> TrackScorer:
        """:param y: not used; scikit-learn's convention."""
        self.listening_ = listening
        tracks = len(listening.artist)
        is_heard = listening.heard > 0
        track, ago, heard = (of[is_heard] for of in (listening.track, listening.days_ago, listening.heard))
        oldest = int(ago.max(initial=0)) + 1

        def halved(counts: np.ndarray, half_life: float) -> np.ndarray:
            weight = 0.5 ** (np.arange(oldest) / half_life)
            return np.bincount(track, weights=counts * weight[ago], minlength=tracks)

        days = np.ones(len(heard))
        recent, long = self.days_half_lives
        of_artist = np.bincount(
            listening.artist, weights=halved(heard, self.heat_half_life), minlength=listening.artists
        )
        number = np.bincount(track, minlength=tracks)
        last, first = np.full(tracks, oldest), np.zeros(tracks)
        np.minimum.at(last, track, ago)
        np.maximum.at(first, track, ago)
        rest = np.where(number > 0, last, self.never)
        usual = np.where(number > 1, (first - last) / np.maximum(number - 1, 1), self.usual_rest)
        self.artist_returns_ = self._artist_returns(track, ago, oldest)
        self.features_ = {
            "recent_plays": np.log1p(halved(heard, self.plays_half_life)),
            "recent_days": np.log1p(halved(days, recent)),
            "all_days": np.log1p(halved(days, long)),
            "frecency": np.log1p(np.bincount(track, weights=heard, minlength=tracks)) / np.sqrt(1 + last),
            "artist_returns": np.log1p(self.artist_returns_)[listening.artist],
            "heat": np.log(of_artist / max(of_artist.sum(), 1e-9) + 1e-4)[listening.artist],
            "company": self._company(),
            "rest": np.log1p(rest),
            "overdue": np.log((rest + 3) / (usual + 3)),
        }
        return self

    def _artist_returns(self, track: np.ndarray, ago: np.ndarray, oldest: int) -> np.ndarray:
        """:param track, ago: of each day on which a track was heard; fewer than `oldest` days ago."""
        in_order = np.sort(track * oldest + (oldest - 1 - ago))
        came_back = np.diff(in_order) >= self.rest_days
        came_back &= in_order[1:] // oldest == in_order[:-1] // oldest
        artists = self.listening_.artist[in_order[1:][came_back] // oldest]
        return np.bincount(artists, minlength=self.listening_.artists)

    def _company(self) -> np.ndarray:
        """ln of a track's share in sessions like the last ones, which are compared by their tracks."""
        sessions = self.listening_.last_sessions
        if sessions.nnz == 0:
            return np.full(len(self.listening_.artist), np.log(1e-3))
        inside = (sessions > 0).astype(float)
        lately = np.log1p(np.asarray(inside[-self.last_sessions :].sum(axis=0)).ravel())
        size = np.sqrt(np.maximum(np.asarray(inside.sum(axis=1)).ravel(), 1))
        company = inside.T @ ((inside @ lately) / size)
        return np.log(company / max(company.max(), 1e-9) + 1e-3)

    def persona_fit(self, persona: int) -> np.ndarray:
        """(tracks,): ln of the share of a track's plays in this persona's sessions over the persona's share of all
        plays, smoothed towards its artist's share, that towards the persona's."""
        plays, artist = self.listening_.persona_plays, self.listening_.artist
        of_artist, of_persona = self.persona_smoothing
        usual = (plays[:, persona].sum() + 1.0) / (plays.sum() + plays.shape[1])
        artists = self.listening_.artists
        artist_in = np.bincount(artist, weights=plays[:, persona], minlength=artists)
        artist_all = np.bincount(artist, weights=plays.sum(axis=1), minlength=artists)
        artist_share = (artist_in + of_persona * usual) / (artist_all + of_persona)
        share = (plays[:, persona] + of_artist * artist_share[artist]) / (plays.sum(axis=1) + of_artist)
        return np.log(share / usual)

    def contributions(self, question: str) -> dict[str, np.ndarray]:
        """Feature → (tracks,), its weight times its value."""
        return {feature: weight * self.features_[feature] for feature, weight in self.weights[question].items()}

    def parts(self, question: str, persona: int | None = None) -> dict[str, np.ndarray]:
        """Part → (tracks,), rounded; a track's score is their sum. Without a persona that part is 0."""
        parts = {part: np.zeros(len(self.listening_.artist)) for part in PARTS}
        for feature, values in self.contributions(question).items():
            parts[PART_OF[feature]] += values
        if persona is not None:
            parts["persona"] += self.persona_weights[question] * self.persona_fit(persona)
        return {part: np.round(values, DIGITS) + 0.0 for part, values in parts.items()}
