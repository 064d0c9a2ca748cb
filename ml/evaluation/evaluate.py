"""How well rankings and playlists tell what a listener will hear: `make evaluate`.

A temporal hold-out: at each of several cutoffs the HOLDOUT_DAYS after it are hidden, 30 tracks are picked from what
was played before, and compared with what was then heard.

* **next**: any track; relevant is what is heard in the hold-out.
* **returns**: only tracks not played for REST_DAYS; relevant is what is heard again.
* **new**: only tracks played at most NEW_MAX_PLAYS times, all lately; relevant are those that became favourites, heard
  at least FAVOURITE_PLAYS times in the hold-out.
* **playlists** (of real people): those the product's own steps make at the cutoff; what share of their tracks is heard
  in the hold-out, all in all and of each kind, and of each persona's list in that persona's later sessions.
* **personas** (of real people): see `ml.evaluation.personas`; shuffled labels tell 0 bits.

Listeners are invented (`include.demo`), from seeds that nothing was tuned on, or real: `FILES="a.zip folder
b.zip@Europe/Berlin" make evaluate`, a listener a file or folder of any export Spotify gives, with the zone where it
is known. Their plays go through the product's own import and rules.

The recommender and its rivals (`ml.evaluation.rivals`) know the same plays. What either has learned from others, it
learned without the listener who is judged: the rivals' parameters, and, with LEARNERS real people or more, the
recommender's weights (`ours`); with fewer, and in any case as `ours as shipped`, its weights are those of
`ml.playlists.recommender`.

Intervals are 95 % bootstrap intervals of the mean over people (Efron 1979).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from ml.evaluation.real_histories import AsOf, History, histories_of, imported
from ml.evaluation.rivals import SEED, Plays, variants
from ml.evaluation.tuning import Moment, learn
from ml.playlists.playlists import KINDS, NEW_MAX_PLAYS
from ml.playlists.recommender import LIKE_SESSIONS, QUESTIONS, REST_DAYS, WEIGHTS, Listening, TrackScorer

REPORT_SEEDS = tuple(range(201, 213))
SIZE = 30
HOLDOUT_DAYS = 28
CUTOFFS = 6
KNOWN_DAYS = 90
# Weights are learned at moments this far apart: more of them than are judged.
LEARNING_DAYS = 14
LEARNERS = 6
FAVOURITE_PLAYS = 3
BOOTSTRAPS = 2000
EPOCH = date(1970, 1, 1)
OUTPUT = Path(".local/evaluate.json")
OURS, SHIPPED = "ours", "ours as shipped"


def listening_at(plays: Plays) -> Listening:
    """What the recommender knows of these plays on their last day."""
    tracks = len(plays.artist_of)
    days, at = np.unique(plays.track.astype(np.int64) * 10**6 + plays.age, return_inverse=True)
    sessions = plays.sessions()
    return Listening(
        track=days // 10**6,
        days_ago=days % 10**6,
        plays=np.bincount(at),
        heard=np.bincount(at, weights=plays.heard),
        artist=plays.artist_of,
        last_sessions=sessions[max(sessions.shape[0] - LIKE_SESSIONS, 0) :],
        persona_plays=np.zeros((tracks, 1)),
    )


# Rankings ----------------------------------------------------------------------------------------------------------


def ndcg(ranked: np.ndarray, relevant: np.ndarray) -> float:
    """Normalised discounted cumulative gain of a list, binary gains (Järvelin & Kekäläinen 2002)."""
    gains = np.isin(ranked, relevant) / np.log2(np.arange(len(ranked)) + 2)
    ideal = (1 / np.log2(np.arange(min(len(relevant), SIZE)) + 2)).sum()
    return float(gains.sum() / ideal)


def cutoffs_of(plays: Plays, apart: int = HOLDOUT_DAYS, most: int = CUTOFFS) -> tuple[int, ...]:
    """First hidden days, ascending; KNOWN_DAYS are known before each."""
    last, first = int(plays.day.max()) + 1, int(plays.day.min()) + KNOWN_DAYS
    return tuple(reversed(range(last - HOLDOUT_DAYS, first - 1, -apart)[:most]))


def asked(plays: Plays, cutoff: int, question: str) -> tuple[Plays, np.ndarray, np.ndarray]:
    """The plays known, codes of the tracks that may be picked, and how often each of these is heard in the
    hold-out."""
    known = plays.before(cutoff)
    later = plays.where((plays.day >= cutoff) & (plays.day < cutoff + HOLDOUT_DAYS))
    tracks = len(plays.artist_of)
    times = np.bincount(known.track, minlength=tracks)
    last_day = np.full(tracks, -1)
    np.maximum.at(last_day, known.track, known.day)
    rested = last_day <= cutoff - REST_DAYS
    may = times > 0
    if question == "returns":
        may &= rested
    elif question == "new":
        may &= ~rested & (times <= NEW_MAX_PLAYS) & (known.count() > 0)
    candidates = np.flatnonzero(may)
    return known, candidates, later.count()[candidates]


def relevant_among(heard: np.ndarray, question: str) -> np.ndarray:
    return heard >= (FAVOURITE_PLAYS if question == "new" else 1)


def moments_of(plays: Plays, question: str) -> Iterator[Moment]:
    """What `ml.evaluation.tuning` learns from a listener."""
    for cutoff in cutoffs_of(plays, LEARNING_DAYS, 20):
        known, candidates, heard = asked(plays, cutoff, question)
        if heard.any():
            features = TrackScorer().fit(listening_at(known)).features_
            yield Moment(plays.name, {name: values[candidates] for name, values in features.items()}, heard > 0)


def learned(listeners: Sequence[Plays]) -> dict[str, dict[str, dict[str, float]]]:
    """Weights for each listener, learned from all others."""
    moments = {question: [m for plays in listeners for m in moments_of(plays, question)] for question in QUESTIONS}
    return {
        plays.name: learn({q: [m for m in of_all if m.listener != plays.name] for q, of_all in moments.items()})
        for plays in listeners
    }


def ranked_lists(plays: Plays, weights: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str, float]]:
    """Question, recommender, its parameters and nDCG@30, of each cutoff and recommender.

    :param weights: learned without this listener.
    """
    for cutoff in plays.cutoffs:
        known = plays.before(cutoff)
        fitted = TrackScorer().fit(listening_at(known))
        scores = [(rival, said, recommender(known)) for rival, said, recommender in variants()]
        for question in QUESTIONS:
            _, candidates, heard = asked(plays, cutoff, question)
            relevant = np.flatnonzero(relevant_among(heard, question))
            if len(relevant) == 0:
                continue
            own = [(SHIPPED, "", total(fitted, question))]
            if weights:
                own.append((OURS, "", total(fitted.set_params(weights=weights), question)))
                fitted.set_params(weights=WEIGHTS)
            for name, said, score in own + scores:
                order = np.lexsort((candidates, -np.round(score[candidates], 9)))
                yield question, name, said, ndcg(order[:SIZE], relevant)


def total(scorer: TrackScorer, question: str) -> np.ndarray:
    return np.sum(list(scorer.parts(question).values()), axis=0)


def judged_rankings(listeners: Sequence[Plays], weights: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Question → recommender → listener → mean nDCG@30 over the cutoffs; of a rival with parameters, with those that
    are best for all other listeners."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
    for plays in listeners:
        for question, name, said, value in ranked_lists(plays, weights.get(plays.name)):
            found[question][name][said][plays.name].append(value)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for question, recommenders in found.items():
        result[question] = {}
        for name, tried in recommenders.items():
            means = {
                said: {listener: float(np.mean(v)) for listener, v in of_all.items()} for said, of_all in tried.items()
            }
            result[question][name] = left_out(means)
        if OURS not in recommenders:
            result[question][OURS] = result[question][SHIPPED]
    return result


def left_out(means: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Each listener's value with the parameters whose mean over all other listeners is best.

    :param means: parameters → listener → value.
    """
    chosen = {}
    for listener in next(iter(means.values())):
        others = {
            said: np.mean([v for other, v in of_all.items() if other != listener] or [0.0])
            for said, of_all in means.items()
        }
        chosen[listener] = means[max(others, key=lambda said: others[said])][listener]
    return chosen


# Playlists ---------------------------------------------------------------------------------------------------------


def judged_playlists(
    connection: psycopg.Connection, listeners: Sequence[Plays], scorers: Callable[[Plays], Mapping[str, TrackScorer]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure → whose lists → listener → mean over the cutoffs.

    `all`, and each kind: share of the tracks heard in the hold-out. `own persona`: share of a list's tracks heard in
    its persona's sessions of the hold-out; `another persona`: the same of the other lists' tracks, in the same
    sessions.

    :param scorers: name → scorer to make a listener's lists with. Each list is made anew: none stays from the cutoff
        before.
    """
    from ml.playlists.playlists import build_playlists
    from ml.tables import Work

    as_of = AsOf(connection)
    found: dict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    waiting: list[tuple[Plays, date, dict[str, list[Any]]]] = []
    rounds = max(len(plays.cutoffs) for plays in listeners)
    for turn in range(rounds + 1):
        due = [plays for plays in listeners if turn <= len(plays.cutoffs) and plays.cutoffs]
        days = {
            plays.name: day_of(plays.cutoffs[turn] if turn < len(plays.cutoffs) else plays.cutoffs[-1] + HOLDOUT_DAYS)
            for plays in due
        }
        as_of.give_out(days)
        for plays, cutoff, lists in waiting:
            for whose, tracks in lists.items():
                for measure, value in heard_of(connection, plays.name, cutoff, tracks):
                    found[measure][whose][plays.name].append(value)
        waiting = []
        for plays in due:
            if turn == len(plays.cutoffs):
                continue
            ended = connection.execute(
                "select max(ended_at) from staging.listening_sessions where user_id = %s", [plays.name]
            ).fetchall()
            cutoff = days[plays.name]
            work = Work(plays.name, [], ended[0][0], last_day(connection, plays.name))
            lists = {}
            for whose, scorer in scorers(plays).items():
                playlists, tracks = build_playlists(connection, work, scorer)
                personas = {row[1]: row[2] for row in playlists}
                lists[whose] = [(personas[row[1]], row[3], row[7]) for row in tracks]
            waiting.append((plays, cutoff, lists))
    return {
        measure: {whose: {name: float(np.mean(v)) for name, v in of.items()} for whose, of in lists.items()}
        for measure, lists in found.items()
    }


def day_of(day: int) -> date:
    return EPOCH + timedelta(days=int(day))


def last_day(connection: psycopg.Connection, user_id: str) -> date:
    row = connection.execute(
        "select local_date from staging.listening_sessions where user_id = %s order by local_date desc, session_id desc"
        " limit 1",
        [user_id],
    ).fetchone()
    assert row
    return row[0]


class CountScorer(TrackScorer):
    """Scores every question by one simple count of plays heard."""

    HALF_LIFE = 30

    def __init__(self, by: str):
        super().__init__()
        self.by = by

    def fit(self, listening: Listening, y: None = None) -> CountScorer:
        super().fit(listening)
        self.count_: np.ndarray = np.bincount(
            listening.track,
            weights=listening.heard * 0.5 ** (listening.days_ago / self.HALF_LIFE),
            minlength=len(listening.artist),
        )
        if self.by == "random":
            self.count_ = np.random.RandomState(SEED).random_sample(len(listening.artist))
        return self

    def contributions(self, question: str) -> dict[str, np.ndarray]:
        return {}

    def parts(self, question: str, persona: int | None = None) -> dict[str, np.ndarray]:
        zero = np.zeros(len(self.count_))
        return {"persona": zero, "history": np.round(self.count_, 9), "cooccurrence": zero, "freshness": zero}


def heard_of(
    connection: psycopg.Connection, user_id: str, cutoff: date, tracks: Sequence[tuple[int, str, str]]
) -> Iterator[tuple[str, float]]:
    """Measure, value of one listener's lists at one cutoff.

    :param tracks: persona_id, track_id, kind.
    """
    rows = connection.execute(
        "select e.track_id, c.persona_id from staging.listening_events e"
        " left join staging.session_clusters c using (user_id, session_id)"
        " where e.user_id = %s and e.local_date >= %s and e.local_date < %s and not e.skipped",
        [user_id, cutoff, cutoff + timedelta(days=HOLDOUT_DAYS)],
    ).fetchall()
    if not tracks or not rows:
        return
    heard = {row[0] for row in rows}
    yield "all", float(np.mean([track in heard for _, track, _ in tracks]))
    for kind in KINDS:
        of_kind = [track in heard for _, track, its_kind in tracks if its_kind == kind]
        if of_kind:
            yield kind, float(np.mean(of_kind))
    lists = defaultdict(set)
    for persona, track, _ in tracks:
        lists[persona].add(track)
    inside = defaultdict(set)
    for track, persona in rows:
        inside[persona].add(track)
    own, others = [], []
    for persona in lists:
        if persona not in inside or len(lists) < 2:
            continue
        own.append(len(lists[persona] & inside[persona]) / len(lists[persona]))
        others.append(np.mean([len(lists[o] & inside[persona]) / len(lists[o]) for o in lists if o != persona]))
    if own:
        yield "own persona", float(np.mean(own))
        yield "another persona", float(np.mean(others))


# Summary -----------------------------------------------------------------------------------------------------------


def interval(values: np.ndarray) -> tuple[float, float]:
    """Of the mean over people."""
    random = np.random.RandomState(SEED)
    draws = values[random.randint(len(values), size=(BOOTSTRAPS, len(values)))].mean(axis=1)
    return float(np.percentile(draws, 2.5)), float(np.percentile(draws, 97.5))


def summarise(judged: Mapping[str, Mapping[str, Mapping[str, float]]], people: str, measure: str) -> list[dict]:
    """A row for each question and recommender: the mean over people, and how far ours is ahead on the same people."""
    rows = []
    for question, recommenders in judged.items():
        ours = recommenders[OURS]
        for name in sorted(
            recommenders, key=lambda n: (n != OURS, n != SHIPPED, -np.mean([*recommenders[n].values()]))
        ):
            values = recommenders[name]
            listeners = [listener for listener in values if listener in ours]
            given = np.array([values[listener] for listener in listeners])
            ahead = np.array([ours[listener] for listener in listeners]) - given
            rows.append(
                {
                    "people": people,
                    "question": question,
                    "recommender": name,
                    "measure": measure,
                    "listeners": len(listeners),
                    "mean": float(given.mean()),
                    "interval": interval(given),
                    "ahead_by": float(ahead.mean()),
                    "ahead_by_interval": interval(ahead),
                    "ahead_of": int((ahead > 0).sum()),
                }
            )
    return rows


def persona_row(playlists: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[dict]:
    """How much more of a persona's own list than of another's is heard in its later sessions."""
    if "own persona" not in playlists:
        return []
    own, other = playlists["own persona"][OURS], playlists["another persona"][OURS]
    judged = {"own persona's sessions": {OURS: own, "another persona's list": other}}
    return summarise(judged, "real", "share heard")


def lift_rows(personas: Sequence[Mapping[str, Any]]) -> list[dict]:
    """What personas tell, beside those of the hour or of behaviour alone, and how alike they are to others.

    :param personas: from judge_personas.
    """

    def of(measure: str) -> dict[str, float]:
        return {row["listener"]: row[measure] for row in personas}

    lifts = {OURS: of("lift"), "hour alone": of("lift_hour"), "behaviour alone": of("lift_behaviour")}
    rows = summarise({"personas, held-out lift": lifts}, "real", "bits a play")
    for question, measure in (
        ("hour alone", "hour_ari"),
        ("bootstrap", "bootstrap_ari"),
        ("chosen anew", "bootstrap_choice_ari"),
    ):
        rows += summarise({f"personas, {question}": {OURS: of(measure)}}, "real", "adjusted Rand index")
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"{'people':8} {'question':22} {'recommender':22} {'n':>3} {'mean':>6} {'95 %':>13} {'ours ahead by':>13}"
        f" {'95 %':>16} {'of n':>4}"
    ]
    for r in rows:
        (low, high), (below, above) = r["interval"], r["ahead_by_interval"]
        lines.append(
            f"{r['people']:8} {r['question']:22} {r['recommender']:22} {r['listeners']:3} {r['mean']:6.3f}"
            f" {low:6.3f}–{high:.3f} {r['ahead_by']:+13.3f} {below:+8.3f} … {above:+.3f} {r['ahead_of']:4}"
        )
    return "\n".join(lines)


# Whose plays -------------------------------------------------------------------------------------------------------


def encode(name: str, rows: Iterable[tuple[str, str, int, int, bool | None]]) -> Plays:
    """:param rows: track id, artist, local day, session, skipped (None: unknown), in order of time."""
    tracks: dict[str, int] = {}
    artists: dict[str, int] = {}
    artist_of: list[int] = []
    columns: list[list] = [[], [], [], [], []]
    for track, artist, day, session, skipped in rows:
        if track not in tracks:
            tracks[track] = len(tracks)
            artist_of.append(artists.setdefault(artist, len(artists)))
        for column, value in zip(
            columns, (tracks[track], day, session, skipped is False, skipped is True), strict=True
        ):
            column.append(value)
    codes, days, sessions, heard, skips = (np.array(column) for column in columns)
    plays = Plays(name, codes, np.array(artist_of), days, sessions, heard.astype(bool), skips.astype(bool))
    plays.cutoffs = cutoffs_of(plays)
    return plays


def invented(seed: int, until: datetime = datetime(2025, 7, 1, tzinfo=UTC)) -> Plays:
    """An invented listener's plays, two and a half years by default."""
    from include.demo.catalog import Track
    from include.demo.listeners import invent_listener
    from include.demo.listening_history import build_history

    life = build_history(invent_listener(f"listener {seed}", seed), until=until)
    return encode(
        life.listener.user_id,
        (
            (
                p.item.track_id,
                p.item.artist.name,
                (life.sessions[p.session].local_date - EPOCH).days,
                p.session,
                p.skipped,
            )
            for p in life.plays
            if isinstance(p.item, Track)
        ),
    )


def files_of(words: Sequence[str]) -> list[History]:
    """Of the command's words, else of FILES."""
    return histories_of(list(words) or os.environ.get("FILES", "").replace(",", " ").split())


def stored(connection: psycopg.Connection, histories: Sequence[History]) -> list[Plays]:
    """Each listener's plays, out of staging.listening_events."""
    return [
        encode(
            history.user_id,
            connection.execute(
                "select track_id, artist_name, local_date - date '1970-01-01', session_id, skipped"
                " from staging.listening_events where user_id = %s order by played_at, event_id",
                [history.user_id],
            ),
        )
        for history in histories
    ]


def real_listeners(histories: Sequence[History]) -> list[Plays]:
    with imported(histories) as connection:
        return stored(connection, histories)


def judge_real(histories: Sequence[History]) -> list[dict]:
    """Rows of rankings, of playlists and of personas.

    :raises ValueError: nobody with enough listening before the hidden weeks.
    """
    with imported(histories) as connection:
        listeners = [plays for plays in stored(connection, histories) if plays.cutoffs]
        if not listeners:
            raise ValueError(f"less than {KNOWN_DAYS} days of listening before the hidden weeks")
        weights = learned(listeners) if len(listeners) >= LEARNERS else {}
        rows = summarise(judged_rankings(listeners, weights), "real", "nDCG@30")

        def scorers(plays: Plays) -> dict[str, TrackScorer]:
            return {
                "decayed count": CountScorer("decayed count"),
                "random": CountScorer("random"),
                OURS: TrackScorer(weights.get(plays.name, WEIGHTS)),
            }

        playlists = judged_playlists(connection, listeners, scorers)
        rows += summarise(
            {f"playlists, {m}": lists for m, lists in playlists.items() if "persona" not in m}, "real", "share heard"
        )
        from ml.evaluation.personas import judge_personas

        personas = judge_personas(connection, [plays.name for plays in listeners])
        return rows + persona_row(playlists) + lift_rows(personas)


def main(arguments: list[str] | None = None) -> int:
    """Evaluate, print the table, write it to .local/evaluate.json; 1 if a rival's ranking is ahead of ours on real
    people (how invented ones listen is nobody's taste), 2 for unusable files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="real listeners, each a file or folder; default: invented ones")
    parser.add_argument("--seeds", type=int, nargs="+", default=REPORT_SEEDS, help="invented listeners")
    options = parser.parse_args(arguments)
    logging.disable(logging.INFO)  # what the import and the database say of themselves
    try:
        histories = files_of(options.files)
        if histories:
            rows = judge_real(histories)
        else:
            rows = summarise(judged_rankings([invented(seed) for seed in options.seeds], {}), "invented", "nDCG@30")
    except (OSError, ValueError) as error:
        print(f"Cannot evaluate: {error}")
        return 2
    print(table(rows))
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n")
    rivals = [row for row in rows if row["question"] in QUESTIONS and row["recommender"] not in (OURS, SHIPPED)]
    return int(any(row["ahead_by"] < 0 for row in rivals if row["people"] == "real"))


if __name__ == "__main__":
    raise SystemExit(main())
