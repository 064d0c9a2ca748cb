"""How well the recommender tells what a listener will play: `python -m ml.evaluation`, or `make evaluate`.

A temporal hold-out: at each of several cutoffs the HOLDOUT_DAYS after it are hidden, 30 tracks are picked from what
was heard before, and compared with what was then played without skipping.

* **next**: any track heard before the cutoff; relevant is what is played in the hold-out.
* **returns**: only tracks not heard for REST_DAYS before the cutoff; relevant is what comes back in the hold-out.

Against: random from the library, most played, most played in the last 28 days, and item-kNN (cosine) and ALS from
`implicit` (sessions as users; asked with the plays of the last 28 days).

Listeners are synthetic (`include.demo`), from seeds not used for tuning, or one's own exports: `FILES=a.zip,b.json
make evaluate`. The recommender sees the same plays as the baselines, and nothing after the cutoff.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from ml.cooccurrence import MIN_SCORE, cooccurrence, pair_scores, session_weight
from ml.playlists import REST_DAYS
from ml.recommender import Listening, TrackScorer, age_bin

TUNING_SEEDS = (1, 2, 3, 4, 5, 6)
REPORT_SEEDS = tuple(range(201, 221))
SIZE = 30
HOLDOUT_DAYS = 28
CUTOFFS = 6
LATELY_DAYS = 28
BOOTSTRAPS = 1000
SEED = 20260101
TASKS = ("next", "returns")
OUTPUT = Path(".local/evaluate.json")


@dataclass
class Plays:
    """One listener's plays in order of time, as arrays of one entry per play.

    :param track, artist_of: code of the play's track; code of each track's artist.
    :param day: local day as days since 1970.
    :param session: code of the session, ascending.
    """

    name: str
    track: np.ndarray
    artist_of: np.ndarray
    day: np.ndarray
    session: np.ndarray
    skipped: np.ndarray

    def before(self, day: int) -> Plays:
        """The plays before a day; the codes stay."""
        known = self.day < day
        return Plays(
            self.name, self.track[known], self.artist_of, self.day[known], self.session[known], self.skipped[known]
        )


def listening_at(plays: Plays, day: int) -> Listening:
    """What the recommender knows the day before `day`, the last day of listening."""
    tracks, artists = len(plays.artist_of), int(plays.artist_of.max()) + 1
    bins = age_bin(plays.day.max() - plays.day)
    shape = (tracks, int(bins.max()) + 1)
    ones = np.ones(len(plays.track))
    artist = plays.artist_of[plays.track]
    pairs = np.unique(np.column_stack([plays.session, artist]), axis=0)
    sessions, codes = np.unique(pairs[:, 0], return_inverse=True)
    first_play = np.searchsorted(plays.session, sessions)
    weights = session_weight(plays.day[first_play])
    left, right, together, weight = cooccurrence(codes, pairs[:, 1], weights[codes])
    totals = np.bincount(pairs[:, 1], weights=weights[codes], minlength=artists)
    score = pair_scores(weight, totals[left], totals[right], together)
    kept = score >= MIN_SCORE
    return Listening(
        plays=sparse.csr_matrix((ones, (plays.track, bins)), shape=shape),
        skips=sparse.csr_matrix((plays.skipped.astype(float), (plays.track, bins)), shape=shape),
        artist=plays.artist_of,
        neighbours=sparse.csr_matrix((score[kept], (left[kept], right[kept])), shape=(artists, artists)),
        persona_plays=np.zeros((tracks, 1)),
    )


# Recommenders: plays known, random generator → (tracks,) score, higher is better ----------------------------------

Recommender = Callable[[Plays, np.random.RandomState], np.ndarray]


def counts(plays: Plays, since: int | None = None) -> np.ndarray:
    chosen = slice(None) if since is None else plays.day > since
    return np.bincount(plays.track[chosen], minlength=len(plays.artist_of)).astype(float)


def ours(plays: Plays, random: np.random.RandomState) -> np.ndarray:
    parts = TrackScorer().fit(listening_at(plays, plays.day.max() + 1)).score()
    return np.sum(list(parts.values()), axis=0)


def at_random(plays: Plays, random: np.random.RandomState) -> np.ndarray:
    return random.random_sample(len(plays.artist_of))


def most_played(plays: Plays, random: np.random.RandomState) -> np.ndarray:
    return counts(plays)


def most_played_lately(plays: Plays, random: np.random.RandomState) -> np.ndarray:
    return counts(plays, plays.day.max() - LATELY_DAYS) + 1e-6 * counts(plays)


def session_tracks(plays: Plays) -> sparse.csr_matrix:
    _, sessions = np.unique(plays.session, return_inverse=True)
    ones = np.ones(len(plays.track), dtype=np.float32)
    return sparse.csr_matrix((ones, (sessions, plays.track)), shape=(sessions.max() + 1, len(plays.artist_of)))


def asked_with(plays: Plays) -> sparse.csr_matrix:
    return sparse.csr_matrix(counts(plays, plays.day.max() - LATELY_DAYS)[None, :].astype(np.float32))


def item_knn(plays: Plays, random: np.random.RandomState) -> np.ndarray:
    from implicit.nearest_neighbours import CosineRecommender
    from implicit.utils import ParameterWarning

    model = CosineRecommender(K=100, num_threads=1)
    with warnings.catch_warnings(category=ParameterWarning, action="ignore"):  # it warns of what it does itself
        model.fit(session_tracks(plays), show_progress=False)
    return np.asarray((asked_with(plays) @ sparse.csr_matrix(model.similarity)).todense()).ravel()


def als(plays: Plays, random: np.random.RandomState) -> np.ndarray:
    from implicit.als import AlternatingLeastSquares

    with threadpool_limits(limits=1):
        model = AlternatingLeastSquares(factors=64, iterations=15, random_state=SEED, num_threads=1)
        model.fit(session_tracks(plays), show_progress=False)
        user = model.recalculate_user(0, asked_with(plays))
        return model.item_factors @ np.asarray(user).ravel()


RECOMMENDERS: dict[str, Recommender] = {
    "ours": ours,
    "random": at_random,
    "most played": most_played,
    "most played lately": most_played_lately,
    "item-kNN": item_knn,
    "ALS": als,
}


# Measures ----------------------------------------------------------------------------------------------------------


def ndcg(ranked: np.ndarray, relevant: np.ndarray) -> float:
    """Normalised discounted cumulative gain of a list, binary gains (Järvelin & Kekäläinen 2002)."""
    gains = np.isin(ranked, relevant) / np.log2(np.arange(len(ranked)) + 2)
    ideal = (1 / np.log2(np.arange(min(len(relevant), SIZE)) + 2)).sum()
    return float(gains.sum() / ideal)


def cutoffs_of(plays: Plays) -> list[int]:
    """First hidden days, newest last; at least half a year is known before each."""
    last = int(plays.day.max()) + 1
    days = [last - HOLDOUT_DAYS * (i + 1) for i in range(CUTOFFS)]
    return [day for day in reversed(days) if day - plays.day.min() >= 180]


def lists_of(plays: Plays, recommenders: dict[str, Recommender] = RECOMMENDERS) -> Iterator[dict[str, Any]]:
    """One row per cutoff, task and recommender: hit, ndcg, novelty (mean −log2 of the share of plays), diversity
    (distinct artists / tracks), the tracks and how many candidates there were."""
    for cutoff in cutoffs_of(plays):
        known = plays.before(cutoff)
        hidden = (plays.day >= cutoff) & (plays.day < cutoff + HOLDOUT_DAYS) & ~plays.skipped
        played = np.unique(plays.track[hidden])
        heard = counts(known)
        last_day = np.full(len(plays.artist_of), -1)
        np.maximum.at(last_day, known.track, known.day)
        for name, recommender in recommenders.items():
            score = recommender(known, np.random.RandomState(SEED + cutoff))
            order = np.lexsort((np.arange(len(score)), -np.round(score, 9)))
            for task in TASKS:
                candidate = (heard > 0) if task == "next" else (heard > 0) & (last_day <= cutoff - REST_DAYS)
                relevant = played[candidate[played]]
                if len(relevant) == 0:
                    continue
                ranked = order[candidate[order]][:SIZE]
                share = heard[ranked] / heard.sum()
                yield {
                    "listener": plays.name,
                    "cutoff": str(np.datetime64(cutoff, "D")),
                    "task": task,
                    "recommender": name,
                    "hit": float(np.isin(ranked, relevant).any()),
                    "ndcg": ndcg(ranked, relevant),
                    "novelty": float(-np.log2(share).mean()),
                    "diversity": len(np.unique(plays.artist_of[ranked])) / len(ranked),
                    "tracks": ranked.tolist(),
                    "candidates": int(candidate.sum()),
                }


def interval(values: np.ndarray, random: np.random.RandomState) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean (Efron 1979)."""
    draws = values[random.randint(len(values), size=(BOOTSTRAPS, len(values)))].mean(axis=1)
    return float(np.percentile(draws, 2.5)), float(np.percentile(draws, 97.5))


def summarise(lists: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per task and recommender; `ahead_by` is how far ours is ahead in nDCG on the same lists, with its
    interval."""
    rows = []
    for task in TASKS:
        own = {
            (r["listener"], r["cutoff"]): r["ndcg"] for r in lists if r["task"] == task and r["recommender"] == "ours"
        }
        for name in dict.fromkeys(row["recommender"] for row in lists):
            mine = [row for row in lists if row["task"] == task and row["recommender"] == name]
            if not mine:
                continue
            random = np.random.RandomState(SEED)
            values = np.array([row["ndcg"] for row in mine])
            ahead = np.array([own[row["listener"], row["cutoff"]] for row in mine]) - values
            coverage = []
            for listener in dict.fromkeys(row["listener"] for row in mine):
                theirs = [row for row in mine if row["listener"] == listener]
                coverage.append(
                    len({t for row in theirs for t in row["tracks"]}) / max(row["candidates"] for row in theirs)
                )
            rows.append(
                {
                    "task": task,
                    "recommender": name,
                    "lists": len(mine),
                    "hit_rate_30": float(np.mean([row["hit"] for row in mine])),
                    "ndcg_30": float(values.mean()),
                    "ndcg_30_interval": interval(values, random),
                    "ahead_by": float(ahead.mean()),
                    "ahead_by_interval": interval(ahead, random),
                    "coverage": float(np.mean(coverage)),
                    "novelty": float(np.mean([row["novelty"] for row in mine])),
                    "diversity": float(np.mean([row["diversity"] for row in mine])),
                }
            )
    return rows


# Whose plays -------------------------------------------------------------------------------------------------------


def encode(name: str, rows: Iterable[tuple[str, str, int, int, bool]]) -> Plays:
    """:param rows: track id, artist, local day, session, skipped, in order of time."""
    tracks: dict[str, int] = {}
    artists: dict[str, int] = {}
    artist_of: list[int] = []
    columns: list[list] = [[], [], [], []]
    for track, artist, day, session, skipped in rows:
        if track not in tracks:
            tracks[track] = len(tracks)
            artist_of.append(artists.setdefault(artist, len(artists)))
        for column, value in zip(columns, (tracks[track], day, session, skipped), strict=True):
            column.append(value)
    track_codes, days, sessions, skips = columns
    return Plays(
        name,
        np.array(track_codes),
        np.array(artist_of),
        np.array(days),
        np.array(sessions),
        np.array(skips, dtype=bool),
    )


def synthetic(seed: int, until: datetime = datetime(2025, 7, 1, tzinfo=UTC)) -> Plays:
    """An invented listener's plays, two and a half years by default."""
    from include.demo.catalog import Track
    from include.demo.listeners import build_life, invent_listener

    life = build_life(invent_listener(f"listener {seed}", seed), until=until)
    epoch = date(1970, 1, 1)
    return encode(
        life.listener.user_id,
        (
            (
                p.item.track_id,
                p.item.artist.name,
                (life.sessions[p.session].local_date - epoch).days,
                p.session,
                p.skipped,
            )
            for p in life.plays
            if isinstance(p.item, Track)
        ),
    )


def exported(paths: Iterable[Path]) -> Plays:
    """The plays in Extended Streaming History files, zips or loose JSON, as one listener's; days are UTC.

    :raises ValueError: no music in them.
    """
    streams: dict[tuple, tuple] = {}
    for path in paths:
        for document in documents(path):
            for row in document:
                uri, artist = row.get("spotify_track_uri"), row.get("master_metadata_album_artist_name")
                if uri and artist:
                    ended = datetime.fromisoformat(row["ts"].replace("Z", "+00:00"))
                    ended_s, ms = ended.timestamp(), row.get("ms_played") or 0
                    skipped = bool(row.get("skipped")) or row.get("reason_end") in ("fwdbtn", "backbtn")
                    streams[ended_s, uri, ms] = (ended_s - ms / 1000, ended_s, uri, artist, skipped)
    if not streams:
        raise ValueError(
            "No music in these files. Give Spotify's Extended Streaming History: the zip, or"
            " Streaming_History_Audio_*.json."
        )
    rows, session, last_end = [], -1, float("-inf")
    for started, ended, uri, artist, skipped in sorted(streams.values()):
        if started - last_end > 30 * 60:
            session += 1
        last_end = max(last_end, ended)
        rows.append((uri, artist, int(started // 86400), session, skipped))
    return encode("export", rows)


def documents(path: Path) -> Iterator[list[dict[str, Any]]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.namelist()):
                if member.endswith(".json") and ("Streaming_History_Audio" in member or "endsong" in member):
                    yield json.loads(archive.read(member))
    else:
        yield json.loads(path.read_bytes())


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'task':8} {'recommender':19} {'lists':>5} {'hit@30':>7} {'nDCG@30':>8} {'95 %':>15}"
        f" {'ours ahead by':>13} {'95 %':>17}"
        f" {'coverage':>8} {'novelty':>8} {'diversity':>9}"
    ]
    for r in rows:
        (low, high), (below, above) = r["ndcg_30_interval"], r["ahead_by_interval"]
        lines.append(
            f"{r['task']:8} {r['recommender']:19} {r['lists']:5} {r['hit_rate_30']:7.3f} {r['ndcg_30']:8.3f}"
            f" {low:7.3f}–{high:5.3f}"
            f" {r['ahead_by']:+14.3f} {below:+9.3f} … {above:+.3f} {r['coverage']:8.3f}"
            f" {r['novelty']:8.2f} {r['diversity']:9.3f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Evaluate, print the table, write it to .local/evaluate.json; 1 if a baseline is ahead of ours, 2 for unusable
    files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="own export files; default: synthetic listeners")
    parser.add_argument("--seeds", type=int, nargs="+", default=REPORT_SEEDS, help="synthetic listeners")
    options = parser.parse_args(arguments)
    files = options.files or [Path(name) for name in os.environ.get("FILES", "").replace(",", " ").split()]
    try:
        listeners = [exported(files)] if files else [synthetic(seed) for seed in options.seeds]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"Cannot evaluate: {error}")
        return 2
    lists = [row for plays in listeners for row in lists_of(plays)]
    if not lists:
        print("Cannot evaluate: less than half a year of listening before the hidden weeks.")
        return 2
    rows = summarise(lists)
    print(table(rows))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps({"listeners": [p.name for p in listeners], "rows": rows}, indent=1) + "\n")
    return int(any(row["ahead_by"] < 0 for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
