"""Which artists are heard together in one session: `staging.artist_cooccurrence`.

    weight(i)    = Σ over sessions with i     w(session),   w doubles every 365 days (session_artists.sql)
    weight(i, j) = Σ over sessions with both  ⌊w(session) / (artists in it − 1)⌋
    score(i, j)  = weight(i, j) / √(weight(i) · weight(j)) · n / (n + SHRINKAGE)

the cosine of the artists' sessions (Sarwar et al. 2001, item-based collaborative filtering; Deshpande & Karypis 2004
for giving a long session less say about each of its pairs), shrunk by n, the number of sessions together, so that a
pair met once does not win (Bell & Koren 2007). Pairs with fewer than MIN_SESSIONS sessions or a score under MIN_SCORE
are not kept. Both directions are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

import numpy as np
import psycopg
from scipy import sparse

from ml.tables import (
    Work,
    ask,
    columns,
    fetch,
    listener_of,
    mark_readers,
    no_cycles,
    replace_rows,
    statement,
    take_work,
)

SHRINKAGE = 5.0
MIN_SESSIONS = 2
MIN_SCORE = 0.001
DIGITS = 6


def cooccurrence(sessions: np.ndarray, artists: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Pairs of artists heard together.

    :param sessions, artists, weights: one entry per artist of a session; codes from 0, weight of the session.
    :return: arrays artist, other, sessions together, weight together; both directions, no artist with itself.
    """
    shape = (int(sessions.max(initial=-1)) + 1, int(artists.max(initial=-1)) + 1)
    heard = sparse.csr_matrix((np.ones(len(sessions), dtype=np.int32), (sessions, artists)), shape=shape)
    size = np.asarray(heard.sum(axis=1)).ravel()
    session_weights = np.zeros(shape[0])
    session_weights[sessions] = weights
    weighted = sparse.diags(np.maximum(np.floor(session_weights / np.maximum(size - 1, 1)), 1)) @ heard
    together, counts = (heard.T @ weighted).tocsr(), (heard.T @ heard).tocsr()
    together.sort_indices()
    counts.sort_indices()
    counts = counts.tocoo()
    pairs = (counts.row != counts.col) & (counts.data >= MIN_SESSIONS)
    return counts.row[pairs], counts.col[pairs], counts.data[pairs], together.tocoo().data[pairs]


def pair_scores(
    weight: np.ndarray, left_total: np.ndarray, right_total: np.ndarray, together: np.ndarray
) -> np.ndarray:
    """Shrunk cosine of each pair, rounded."""
    return np.round(weight / np.sqrt(left_total * right_total) * together / (together + SHRINKAGE), DIGITS)


def artist_cooccurrence(connection: psycopg.Connection, *, as_of: datetime) -> dict[str, int]:
    """Bring the pairs of the marked artists up to date; marks `playlists`; commits.

    :param as_of: the run's time; pairs do not depend on it.
    :return: `listeners`, `artists` looked at, rows `written` and `removed`.
    """
    summary = {"listeners": 0, "artists": 0, "written": 0, "removed": 0}
    with connection.transaction():
        for work in take_work(connection, "artist_cooccurrence", as_of):
            with listener_of(connection, "artist_cooccurrence", work):
                summary["listeners"] += 1
                changed = sorted(artist for (artist,) in ask(connection, "take_artists", work.user_id))
                if not changed:
                    continue
                counts = update_pairs(connection, work, changed)
                summary["artists"] += len(changed)
                summary["written"] += counts["written"]
                summary["removed"] += counts["removed"]
                if any(counts.values()):
                    mark_readers(connection, "artist_cooccurrence", work.user_id, work.reference_day)
    connection.commit()
    return summary


@no_cycles()
def update_pairs(connection: psycopg.Connection, work: Work, changed: list[str]) -> dict[str, int]:
    """Rewrite the pairs that have one of the changed artists on either side."""
    user_id = work.user_id
    of_artists = connection.execute(statement("sessions_of_artists"), {"user_id": user_id, "artists": changed})
    session_weights, artists_heard = columns(of_artists)
    names = sorted(set(changed).union(*artists_heard))
    code = {name: i for i, name in enumerate(names)}
    sizes = [len(heard) for heard in artists_heard]
    sessions = np.repeat(np.arange(len(sizes)), sizes)
    artists = np.fromiter((code[name] for name in chain.from_iterable(artists_heard)), dtype=np.int64)
    weights = np.repeat(np.array(session_weights, dtype=float), sizes)
    left, right, together, weight = cooccurrence(sessions, artists, weights)
    # All sessions of the changed artists are here; of the others, only those with a changed one.
    total = np.bincount(artists, weights=weights, minlength=len(names))
    others = sorted(set(names).difference(changed))
    if others:
        for row in fetch(connection, "artist_weights", {"user_id": user_id, "artists": others}):
            total[code[row["artist_name"]]] = row["weight"]
    score = pair_scores(weight, total[left], total[right], together)
    is_changed = np.zeros(len(names), dtype=bool)
    is_changed[[code[name] for name in changed]] = True
    kept = (score >= MIN_SCORE) & (is_changed[left] | is_changed[right])

    def pairs() -> Iterator[tuple]:
        columns = (left[kept], right[kept], together[kept], weight[kept], score[kept])
        for i, j, sessions_together, pair_weight, pair_score in zip(*(c.tolist() for c in columns), strict=True):
            yield user_id, names[i], names[j], sessions_together, pair_weight, pair_score

    return replace_rows(
        connection,
        "artist_cooccurrence",
        ["user_id", "artist_name", "other_artist_name"],
        ["user_id", "artist_name", "other_artist_name", "sessions_together", "weight", "score"],
        pairs(),
        {"user_id": user_id},
        condition="(t.artist_name = any(%(changed)s) or t.other_artist_name = any(%(changed)s))",
        changed=changed,
    )
