"""Scores a listener's tracks: how likely each is to be heard in the next four weeks, in parts that add up.

There is one set of weights for each question a playlist asks (`QUESTIONS`): what is heard next among what is known
(`next`), what comes back after a rest (`returns`), what of the hardly known is taken up (`new`). All are linear in a
few named features, learned from real people's histories (`ml.evaluation.tuning`), so that a score can be read
part by part:

* **history**: ln(1 + plays) with plays that count less the older they are, by halves, and the same with days on which
  a track was heard, so that an evening on repeat counts once.
* **cooccurrence**: what of all that is heard lately is by the artist (`heat`), and how often the track was heard in
  sessions like the last ones (`company`: session kNN, Jannach & Ludewig 2017).
* **freshness**: how long the track has not been heard (`rest`), and that against how long it usually rests (`overdue`).
* **persona**: ln of how much more of the track's, and its artist's, plays fall into this kind of session than usual.

Only plays that were heard count: not skipped, and known not to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

DIGITS = 6
PARTS = ("persona", "history", "cooccurrence", "freshness")
QUESTIONS = ("next", "returns", "new")
# Half-lives in days.
PLAYS_HALF_LIFE = 30
DAYS_HALF_LIVES = (14, 240)
HEAT_HALF_LIFE = 7
# The last sessions, and those among which the ones like them are looked for.
LAST_SESSIONS, LIKE_SESSIONS = 20, 300
# Between two days of a track heard on one day only: nothing is known of its habit.
USUAL_REST = 60.0
NEVER = 400.0


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


class TrackScorer:
    """:param weights: question → feature → weight; those that `ml.evaluation.tuning` found when None.
    :param persona_weights: question → weight of how well a track fits a persona; PERSONA_WEIGHTS when None.
    """

    def __init__(
        self, weights: dict[str, dict[str, float]] | None = None, persona_weights: dict[str, float] | None = None
    ):
        self.weights = weights
        self.persona_weights = persona_weights

    def fit(self, listening: Listening, y: None = None) -> TrackScorer:
        """Compute `features_`: name → (tracks,) value."""
        self.listening_ = listening
        tracks = len(listening.artist)
        is_heard = listening.heard > 0
        track, ago, heard = (of[is_heard] for of in (listening.track, listening.days_ago, listening.heard))
        oldest = int(ago.max(initial=0)) + 1

        def halved(counts: np.ndarray, half_life: float) -> np.ndarray:
            weight = 0.5 ** (np.arange(oldest) / half_life)
            return np.bincount(track, weights=counts * weight[ago], minlength=tracks)

        days = np.ones(len(heard))
        self.features_ = {f"plays_{PLAYS_HALF_LIFE}": np.log1p(halved(heard, PLAYS_HALF_LIFE))}
        self.features_ |= {f"days_{half_life}": np.log1p(halved(days, half_life)) for half_life in DAYS_HALF_LIVES}
        of_artist = np.bincount(listening.artist, weights=halved(heard, HEAT_HALF_LIFE), minlength=listening.artists)
        self.features_["heat"] = np.log(of_artist / max(of_artist.sum(), 1e-9) + 1e-4)[listening.artist]
        self.features_["company"] = self._company()

        number = np.bincount(track, minlength=tracks)
        last, first = np.full(tracks, oldest), np.zeros(tracks)
        np.minimum.at(last, track, ago)
        np.maximum.at(first, track, ago)
        rest = np.where(number > 0, last, NEVER)
        usual = np.where(number > 1, (first - last) / np.maximum(number - 1, 1), USUAL_REST)
        self.features_["rest"] = np.log1p(rest)
        self.features_["overdue"] = np.log((rest + 3) / (usual + 3))
        return self

    def _company(self) -> np.ndarray:
        """ln of a track's share in sessions like the last ones, which are compared by their tracks."""
        sessions = self.listening_.last_sessions
        if sessions.nnz == 0:
            return np.full(len(self.listening_.artist), np.log(1e-3))
        inside = (sessions > 0).astype(float)
        lately = np.log1p(np.asarray(inside[-LAST_SESSIONS:].sum(axis=0)).ravel())
        size = np.sqrt(np.maximum(np.asarray(inside.sum(axis=1)).ravel(), 1))
        company = inside.T @ ((inside @ lately) / size)
        return np.log(company / max(company.max(), 1e-9) + 1e-3)

    def persona_fit(self, persona: int) -> np.ndarray:
        """ln of the share of a track's plays in this persona's sessions over the persona's share of all plays, smoothed
        towards its artist's share, that towards the persona's."""
        plays, artist = self.listening_.persona_plays, self.listening_.artist
        usual = (plays[:, persona].sum() + 1.0) / (plays.sum() + plays.shape[1])
        artists = self.listening_.artists
        artist_in = np.bincount(artist, weights=plays[:, persona], minlength=artists)
        artist_all = np.bincount(artist, weights=plays.sum(axis=1), minlength=artists)
        artist_share = (artist_in + 10 * usual) / (artist_all + 10)
        share = (plays[:, persona] + 4 * artist_share[artist]) / (plays.sum(axis=1) + 4)
        return np.log(share / usual)

    def contributions(self, question: str) -> dict[str, np.ndarray]:
        """Feature → (tracks,), its weight times its value."""
        weights = (WEIGHTS if self.weights is None else self.weights)[question]
        return {feature: weight * self.features_[feature] for feature, weight in weights.items()}

    def score(self, question: str, persona: int | None = None) -> dict[str, np.ndarray]:
        """Part → (tracks,), rounded; the score is their sum. Without a persona that part is 0."""
        parts = {part: np.zeros(len(self.listening_.artist)) for part in PARTS}
        for feature, values in self.contributions(question).items():
            parts[PART_OF[feature]] += values
        if persona is not None:
            weights = PERSONA_WEIGHTS if self.persona_weights is None else self.persona_weights
            parts["persona"] += weights[question] * self.persona_fit(persona)
        return {part: np.round(values, DIGITS) + 0.0 for part, values in parts.items()}


PART_OF = {
    f"plays_{PLAYS_HALF_LIFE}": "history",
    **{f"days_{half_life}": "history" for half_life in DAYS_HALF_LIVES},
    "heat": "cooccurrence",
    "company": "cooccurrence",
    "rest": "freshness",
    "overdue": "freshness",
}
# Small: playlists are shared out, so it is enough that a track goes to whom it fits rather than to another. Chosen on
# the same people: twice this costs 0.01 of what is heard of a list, half of it halves what makes the lists differ.
PERSONA_WEIGHTS = {"next": 0.2, "returns": 0.2, "new": 0.05}
# Learned by `FILES=… python -m ml.evaluation.tuning` from thirteen real people.
WEIGHTS = {
    "next": {"plays_30": 0.8559, "days_14": 0.7926, "heat": 0.0402, "company": 0.1491, "overdue": 0.0645},
    "returns": {"days_240": 0.8153, "heat": 0.1278, "overdue": -0.1281},
    "new": {"plays_30": 1.5289, "heat": 0.072, "company": 0.1299, "rest": -0.0688},
}
