"""Scores a listener's tracks: how likely each is to be wanted next, in parts that add up.

All a track's plays enter through one sparse table, plays per track and age bin (`age_bins`), so that a long history
costs as little as a short one. The score is linear in a few named features:

* **history**: base-level activation of memory, ln Σ age^−d over the track's plays (Anderson & Schooler 1991; for music
  Reiter-Haas et al. 2021), and the same with age counted in plays of the artist's neighbourhood instead of days: what
  was not heard for months because that music was out of fashion has been forgotten less than days say.
* **cooccurrence**: how much the artist's neighbourhood (the artist and those heard beside them) is heard lately.
* **persona**: ln of how much more of the track's, and its artist's, plays fall into this kind of session than usual.
* **freshness**: minus what was heard too often in the last days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

BINS_PER_OCTAVE = 4
DIGITS = 6
PARTS = ("persona", "history", "cooccurrence", "freshness")


def age_bin(age_days: np.ndarray) -> np.ndarray:
    """Bin of an age in whole days ≥ 0: four to an octave of age + 1."""
    return np.floor(BINS_PER_OCTAVE * np.log2(np.asarray(age_days, dtype=float) + 1) + 1e-9).astype(int)


def bin_ages(bins: int) -> np.ndarray:
    """Mean age in days, counted from 1, of the days in each bin; of an empty bin, its lower edge."""
    edges = 2.0 ** (np.arange(bins + 1) / BINS_PER_OCTAVE)
    first = np.ceil(edges - 1e-9)
    last = np.ceil(edges[1:] - 1e-9) - 1
    return np.where(last >= first[:-1], (first[:-1] + np.maximum(last, first[:-1])) / 2, edges[:-1])


@dataclass
class Listening:
    """What the scorer knows of one listener at one moment.

    :param plays, skips: (tracks, bins) sparse, plays and skips per track and age bin.
    :param artist: (tracks,) code of each track's artist.
    :param neighbours: (artists, artists) sparse co-occurrence scores, 0 … 1, symmetric, diagonal empty.
    :param persona_plays: (tracks, personas) plays of each track in each persona's sessions.
    """

    plays: sparse.csr_matrix
    skips: sparse.csr_matrix
    artist: np.ndarray
    neighbours: sparse.csr_matrix
    persona_plays: np.ndarray


class TrackScorer:
    """:param decay: d of the base-level activation.
    :param weights: feature → weight, tuned on synthetic listeners (`ml.evaluation`, seeds in TUNING_SEEDS).
    """

    def __init__(self, decay: float = 1.0, weights: dict[str, float] | None = None):
        self.decay = decay
        self.weights = weights

    def fit(self, listening: Listening, y: None = None) -> TrackScorer:
        """Compute `features_`: name → (tracks,) value; those of the persona part are computed per persona by
        `score`."""
        self.listening_ = listening
        tracks, bins = listening.plays.shape
        artists = listening.neighbours.shape[0]
        heard = (listening.plays - listening.skips).maximum(0)
        ages = bin_ages(bins)
        by_artist = (
            sparse.csr_matrix((np.ones(tracks), (listening.artist, np.arange(tracks))), shape=(artists, tracks)) @ heard
        )
        nearby = sparse.eye(artists) + NEIGHBOUR_WEIGHT * listening.neighbours
        around = np.asarray((nearby @ by_artist).todense())
        # Plays of the neighbourhood since the middle of each bin.
        since = np.cumsum(around, axis=1) - around / 2
        forgetting = 1.0 / (1.0 + since)
        counts = heard.tocoo()
        recall = np.zeros(tracks)
        np.add.at(recall, counts.row, counts.data * forgetting[listening.artist[counts.row], counts.col])
        self.features_ = {
            "activation": np.log(heard @ ages**-self.decay + 1e-4),
            "recall": np.log(recall + 1e-4),
            "frequency": np.log1p(np.asarray(heard.sum(axis=1)).ravel()),
            "heat": self._share(around @ 0.5 ** (ages / 7.0)),
            "season": self._share(around @ 0.5 ** (ages / 60.0)),
            "glut": np.log1p(np.asarray(listening.plays[:, ages <= 3].sum(axis=1)).ravel()),
        }
        return self

    def _share(self, by_artist: np.ndarray) -> np.ndarray:
        return np.log(by_artist / max(by_artist.sum(), 1e-9) + 1e-5)[self.listening_.artist]

    def persona_fit(self, persona: int) -> np.ndarray:
        """ln of the share of a track's plays in this persona's sessions over the persona's share of all plays, smoothed
        towards its artist's share, that towards the persona's."""
        plays, artist = self.listening_.persona_plays, self.listening_.artist
        usual = (plays[:, persona].sum() + 1.0) / (plays.sum() + plays.shape[1])
        artists = self.listening_.neighbours.shape[0]
        artist_in = np.bincount(artist, weights=plays[:, persona], minlength=artists)
        artist_all = np.bincount(artist, weights=plays.sum(axis=1), minlength=artists)
        artist_share = (artist_in + 10 * usual) / (artist_all + 10)
        share = (plays[:, persona] + 4 * artist_share[artist]) / (plays.sum(axis=1) + 4)
        return np.log(share / usual)

    def score(self, persona: int | None = None) -> dict[str, np.ndarray]:
        """Part → (tracks,), rounded; the score is their sum. Without a persona that part is 0."""
        weights = WEIGHTS if self.weights is None else self.weights
        parts = {part: np.zeros(len(self.listening_.artist)) for part in PARTS}
        for feature, values in self.features_.items():
            parts[PART_OF[feature]] += weights[feature] * values
        if persona is not None:
            parts["persona"] += weights["persona_fit"] * self.persona_fit(persona)
        return {part: np.round(values, DIGITS) + 0.0 for part, values in parts.items()}


PART_OF = {
    "activation": "history",
    "recall": "history",
    "frequency": "history",
    "heat": "cooccurrence",
    "season": "cooccurrence",
    "glut": "freshness",
}
NEIGHBOUR_WEIGHT = 3.0
WEIGHTS = {
    "activation": 0.15,
    "recall": 0.38,
    "frequency": 0.3,
    "heat": 0.2,
    "season": 0.15,
    "glut": -0.34,
    "persona_fit": 1.0,
}
