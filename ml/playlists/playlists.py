"""A playlist per persona and day, each track with its score's parts and a reason: `staging.playlists`,
`playlist_tracks`.

Candidates are the listener's own tracks and, where both agreed (`listeners.shares_history`), tracks of listeners who
share with them. Three kinds are balanced, each ranked by what answers its question: familiar (what is heard next),
rediscovered (not heard for REST_DAYS: what comes back) and new (first heard in the last REST_DAYS, at most
NEW_MAX_PLAYS times, or only by others: what is taken up). A listener's playlists are drafted together and have few
tracks in common. What was in the persona's previous playlist and still ranks well stays, so that a new day changes what
there is a reason to change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import psycopg
from psycopg.rows import RowFactory, namedtuple_row, tuple_row
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from ml.playlists.recommender import DIGITS, LAST_SESSIONS, LIKE_SESSIONS, PARTS, REST_DAYS, Listening, TrackScorer
from ml.playlists.titles import is_no_song, song_title
from ml.tables import Work, columns, listener_of, no_cycles, replace_rows, statement, take_work

LENGTH = 30
KINDS = {"familiar": 20, "rediscovered": 5, "new": 5}
QUESTION_OF = {"familiar": "next", "rediscovered": "returns", "new": "new"}
NEW_MAX_PLAYS = 3
# No more tracks than this of one artist or album, unless the library has too few others for SHORTEST tracks.
ARTIST_TRACKS, ALBUM_TRACKS = 4, 3
SHORTEST = 20
# Tracks that two of a listener's playlists may have in common, unless the library has too few others for SHORTEST.
IN_COMMON = 4
SKIPS, SKIP_SHARE = 2, 0.5
# A track nobody ever let run this long is not known; one that is not longer than SHORTEST_MS is hardly a song.
HEARD_MS, SHORTEST_MS = 30_000, 60_000
SHARED_CANDIDATES = 300
# A track of the previous playlist stays while it ranks within this many times its kind's share of the list.
STAYS_WITHIN = 2.0
# More than any difference of scores: who stays is asked before who is better.
STAYS_BONUS = 100.0
# … and more than that: nobody is given what they have.
HAS_IT = 1e6
# Tracks are shared out among this many times as many as are needed.
SHARED_OUT_WITHIN = 3
KEEP_PLAYLISTS = 60
# An artist stands in at most this many of a playlist's reasons as the one whom others are close to.
COMPANION_REASONS = 3

PLAYLIST_COLUMNS = ("user_id", "playlist_id", "persona_id", "as_of", "name", "description", "tracks", "ms_total")
TRACK_COLUMNS = (
    "user_id", "playlist_id", "position", "track_id", "track_name", "artist_name", "album_name", "kind", "score",
    *(f"score_{part}" for part in PARTS), "reason",
)  # fmt: skip


@dataclass
class Candidate:
    """A track that may go into a playlist.

    :param track: its row of track_library or shared_tracks.
    :param index: that row's place in `Library.rows`, and the track's in every array.
    """

    track: Any
    kind: str
    index: int

    @property
    def track_id(self) -> str:
        return self.track.track_id

    @property
    def artist_name(self) -> str:
        return self.track.artist_name

    @property
    def album(self) -> tuple[str, str]:
        return self.artist_name, self.track.album_name or self.track_id

    @cached_property
    def song(self) -> tuple[str, str]:
        return self.artist_name, song_title(self.track.track_name)


class TrackDays(NamedTuple):
    """When tracks were heard: arrays with an entry for each track and day.

    :param track: the track's place in the library.
    :param days_ago, plays, heard: of that track on that day.
    """

    track: np.ndarray
    days_ago: np.ndarray
    plays: np.ndarray
    heard: np.ndarray


class Library:
    """A listener's tracks, and those others share with them, as the scorer and the reasons need them.

    :param tracks: rows of track_library; their days are read from `days`.
    :param shared: rows of shared_tracks.
    :param persona_plays, last_sessions, neighbours: columns of persona_plays, last_sessions, artist_neighbours.
    """

    def __init__(
        self,
        tracks: Sequence[Any],
        shared: Sequence[Any],
        days: TrackDays,
        persona_plays: Sequence[tuple[Any, ...]],
        last_sessions: Sequence[tuple[Any, ...]],
        neighbours: Sequence[tuple[Any, ...]],
        reference_day: date,
    ):
        self.rows = [*tracks, *shared]
        self.own = len(tracks)
        self.reference_day = reference_day
        code = {row.track_id: i for i, row in enumerate(self.rows)}
        artists, others, scores, sessions_together = neighbours
        self.artists = sorted({row.artist_name for row in self.rows}.union(artists, *others))
        self.artist_code = {name: i for i, name in enumerate(self.artists)}
        heard_beside = (
            np.repeat(self._artist_codes(artists), [len(of_artist) for of_artist in others]),
            self._artist_codes(chain.from_iterable(others)),
        )
        self.neighbours = sparse.csr_matrix((flat(scores, float), heard_beside), shape=(len(self.artists),) * 2)
        self.beside = dict(zip(artists, zip(others, scores, sessions_together, strict=True), strict=True))

        played_tracks, persona_ids, persona_counts, longest = persona_plays
        self.personas = sorted(set(persona_ids))
        self.persona_code = {persona: i for i, persona in enumerate(self.personas)}
        by_persona = np.zeros((len(self.rows), max(len(self.personas), 1)))
        self.longest_ms = np.zeros(len(self.rows), dtype=int)
        for track, persona, plays, ms in zip(played_tracks, persona_ids, persona_counts, longest, strict=True):
            # Another run may have added plays whose tracks have not been counted yet.
            if (i := code.get(track)) is not None:
                by_persona[i, self.persona_code[persona]] = plays
                self.longest_ms[i] = max(self.longest_ms[i], ms)

        session_code = {session: i for i, session in enumerate(sorted(set(last_sessions[0])))}
        counted = [(session_code[s], code[t], n) for s, t, n in zip(*last_sessions, strict=True) if t in code]
        at_session, at_track, plays_inside = np.array(counted, dtype=int).reshape(-1, 3).T
        self.listening = Listening(
            track=days.track,
            days_ago=days.days_ago,
            plays=days.plays,
            heard=days.heard,
            artist=self._artist_codes(row.artist_name for row in self.rows),
            last_sessions=sparse.csr_matrix(
                (plays_inside.astype(float), (at_session, at_track)), shape=(len(session_code), len(self.rows))
            ),
            persona_plays=by_persona,
        )
        # In order of id, so that a stable sort leaves equals in it.
        in_order = sorted(range(len(self.rows)), key=lambda i: self.rows[i].track_id)
        offered = [Candidate(self.rows[i], kind, i) for i in in_order if (kind := self.kind(i))]
        self.candidates = {kind: [c for c in offered if c.kind == kind] for kind in KINDS}
        self.usable = {kind: np.array([c.index for c in of], dtype=int) for kind, of in self.candidates.items()}

        # What reasons say, counted once.
        self.first_entry = np.searchsorted(days.track, np.arange(len(self.rows) + 1))
        lately = np.bincount(days.track, weights=days.plays * (days.days_ago < 7), minlength=len(self.rows))
        self.artist_plays_7d, self.artist_plays_28d = Counter[str](), Counter[str]()
        for i, row in enumerate(tracks):
            self.artist_plays_7d[row.artist_name] += int(lately[i])
            self.artist_plays_28d[row.artist_name] += row.plays_28d
        self.in_last_sessions = np.asarray((self.listening.last_sessions[-LAST_SESSIONS:] > 0).sum(axis=0)).ravel()

    def _artist_codes(self, names: Iterable[str]) -> np.ndarray:
        return np.array([self.artist_code[name] for name in names], dtype=int)

    def plays_inside(self, index: int, persona_id: int) -> int:
        """Plays of a track in a persona's sessions."""
        code = self.persona_code.get(persona_id)
        return 0 if code is None else int(self.listening.persona_plays[index, code])

    def days_heard(self, index: int) -> np.ndarray:
        """How many days ago a track was heard, newest first."""
        entries = slice(self.first_entry[index], self.first_entry[index + 1])
        days = self.listening
        return np.sort(days.days_ago[entries][days.heard[entries] > 0])

    def closest(self, artist: str, but: Mapping[str, int]) -> tuple[str, int] | None:
        """The artist played in the last 28 days whom this one is closest to, and in how many sessions both were.

        :param but: artist → how often named already.
        """
        others, scores, together = self.beside.get(artist, ((), (), ()))
        near = [
            (score, name, sessions)
            for name, score, sessions in zip(others, scores, together, strict=True)
            if self.artist_plays_28d[name] and but.get(name, 0) < COMPANION_REASONS
        ]
        return max(near)[1:] if near else None

    def kind(self, index: int) -> str | None:
        """familiar, rediscovered or new; None for what was never heard, is habitually skipped, or is no song."""
        row = self.rows[index]
        if is_no_song(row.track_name) or (row.known_ms or SHORTEST_MS) < SHORTEST_MS:
            return None
        if index >= self.own:
            return "new"
        if not row.heard or self.longest_ms[index] < (HEARD_MS if row.known_ms else SHORTEST_MS):
            return None
        if row.skips >= SKIPS and row.skips >= SKIP_SHARE * row.plays:
            return None
        if (self.reference_day - row.last_day).days >= REST_DAYS:
            return "rediscovered"
        is_new = row.plays <= NEW_MAX_PLAYS and (self.reference_day - row.first_day).days < REST_DAYS
        return "new" if is_new else "familiar"

    def ranked(self, score: np.ndarray) -> list[Candidate]:
        """Every usable track, kind by kind and best first; equals in order of id."""
        return [
            self.candidates[kind][i]
            for kind, indexes in self.usable.items()
            for i in np.argsort(-score[indexes], kind="stable").tolist()
        ]


def flat(lists: Iterable[Sequence[float]], dtype: type) -> np.ndarray:
    return np.fromiter(chain.from_iterable(lists), dtype=dtype)


class Draft:
    """A playlist being filled.

    :param candidates: best first within each kind.
    :param previous: track ids of the persona's previous playlist.
    :param score: of each of the library's tracks; needed where several are drafted together.
    """

    def __init__(self, candidates: Sequence[Candidate], previous: Sequence[str], score: np.ndarray | None = None):
        stays = set(previous)
        self.score = score
        self.ranked: dict[str, list[Candidate]] = {}
        self.staying = set[str]()
        for kind, share in KINDS.items():
            of_kind = [c for c in candidates if c.kind == kind]
            near = int(STAYS_WITHIN * share)
            self.staying |= {c.track_id for c in of_kind[:near]} & stays
            self.ranked[kind] = [c for c in of_kind[:near] if c.track_id in stays]
            self.ranked[kind] += [c for c in of_kind[:near] if c.track_id not in stays]
            self.ranked[kind] += of_kind[near:]
        self.chosen: list[Candidate] = []
        self.ids, self.songs = set[str](), set[tuple[str, str]]()
        self.artists, self.albums = Counter[str](), Counter[tuple[str, str]]()

    def may_take(self, c: Candidate, others: Sequence[Draft], *, is_limited: bool, in_common: int) -> bool:
        """Whether a track is no repetition, within the limits of its artist and album if these hold, and not too much
        in common with another draft."""
        if c.track_id in self.ids or c.song in self.songs:
            return False
        if is_limited and (self.artists[c.artist_name] >= ARTIST_TRACKS or self.albums[c.album] >= ALBUM_TRACKS):
            return False
        return all(len(self.ids & other.ids) < in_common for other in others if c.track_id in other.ids)

    def take(self, c: Candidate) -> None:
        self.chosen.append(c)
        self.ids.add(c.track_id)
        self.songs.add(c.song)
        self.artists[c.artist_name] += 1
        self.albums[c.album] += 1


def draft(drafts: Sequence[Draft], length: int = LENGTH) -> None:
    """Fill a listener's playlists: the best tracks of each kind are shared out to those they fit, the best familiar
    ones twice; what is missing each in turn takes from its own ranking.

    A track that one took, another takes only while the two have fewer than IN_COMMON in common.
    """

    def fill(
        pools: Sequence[Sequence[Candidate]],
        more: Sequence[int],
        *,
        is_limited: bool = True,
        in_common: int = IN_COMMON,
    ) -> None:
        """Until each has taken as many `more` of its pool, or is `length` long."""
        coming = [iter(pool) for pool in pools]
        goals = [min(len(one.chosen) + its, length) for one, its in zip(drafts, more, strict=True)]
        going = [i for i in range(len(drafts)) if len(drafts[i].chosen) < goals[i]]
        while going:
            for i in list(going):
                for c in coming[i]:
                    if drafts[i].may_take(c, others[i], is_limited=is_limited, in_common=in_common):
                        drafts[i].take(c)
                        break
                else:
                    going.remove(i)
                    continue
                if len(drafts[i].chosen) >= goals[i]:
                    going.remove(i)

    others = [[*drafts[:i], *drafts[i + 1 :]] for i in range(len(drafts))]
    for kind, share in KINDS.items():
        share = share * length // LENGTH
        before = [len(one.chosen) for one in drafts]
        if len(drafts) > 1:
            # Two lists have IN_COMMON in common when each takes half of these from the other.
            again = min(IN_COMMON * (len(drafts) - 1) // 2, share) if kind == "familiar" else 0
            share_out(drafts, kind, share - again, in_common=0)
            share_out(drafts, kind, again, in_common=IN_COMMON)
        missing = [share - len(one.chosen) + known for one, known in zip(drafts, before, strict=True)]
        fill([one.ranked[kind] for one in drafts], missing)
    everything = [list(chain.from_iterable(one.ranked.values())) for one in drafts]
    fill(everything, [length] * len(drafts))
    for in_common in (IN_COMMON, length):
        short = [max(SHORTEST - len(one.chosen), 0) for one in drafts]
        fill(everything, short, is_limited=False, in_common=in_common)


def share_out(drafts: Sequence[Draft], kind: str, share: int, *, in_common: int) -> None:
    """Give each draft up to `share` more tracks of a kind, no track to two, so that the scores add up to the most: the
    best tracks are taken, each by whom it fits (an assignment problem, Kuhn 1955).

    :param in_common: how many tracks two drafts may have in common afterwards; 0: only what nobody has is given.
    """
    near = SHARED_OUT_WITHIN * KINDS[kind] * len(drafts)
    taken = set[str]() if in_common else set[str]().union(*(one.ids for one in drafts))
    pool = {c.index: c for one in drafts for c in one.ranked[kind][:near] if c.track_id not in taken}
    indexes = sorted(pool)
    if not indexes or not share:
        return
    worth = np.empty((len(drafts), len(indexes)))
    for row, one in enumerate(drafts):
        assert one.score is not None
        ids = [pool[i].track_id for i in indexes]
        bonus = [STAYS_BONUS * (track in one.staying) - HAS_IT * (track in one.ids) for track in ids]
        worth[row] = one.score[indexes] + bonus
    owners = np.repeat(np.arange(len(drafts)), share)
    places, tracks = linear_sum_assignment(worth[owners], maximize=True)
    pairs = sorted(
        (-worth[owner, track], indexes[track], owner) for owner, track in zip(owners[places], tracks, strict=True)
    )
    for _, index, owner in pairs:
        others = [*drafts[:owner], *drafts[owner + 1 :]]
        if drafts[owner].may_take(pool[index], others, is_limited=True, in_common=in_common):
            drafts[owner].take(pool[index])


def choose_tracks(candidates: Sequence[Candidate], previous: Sequence[str], length: int = LENGTH) -> list[Candidate]:
    """The tracks of a listener's only playlist, best first within what the kinds' shares and the limits per artist and
    album allow."""
    only = Draft(candidates, previous)
    draft([only], length)
    return only.chosen


def smooth_order(chosen: Sequence[Candidate], score: np.ndarray, library: Library) -> list[Candidate]:
    """Begins with the best, then always the one that goes best with the one before: artists often heard together
    beside each other, the same artist not twice in a row while there is another.

    :param score: of each of the library's tracks.
    """
    ranked = sorted(chosen, key=lambda c: (-score[c.index], c.track_id))
    artists = np.array([library.artist_code[c.artist_name] for c in ranked], dtype=int)
    near = np.round(library.neighbours[artists][:, artists].toarray(), 6)
    rest = list(range(len(ranked)))
    order = rest[:1]
    while rest := [i for i in rest if i != order[-1]]:
        last = order[-1]
        order.append(max(rest, key=lambda i: (artists[i] != artists[last], near[last, i], -i)))
    return [ranked[i] for i in order]


def generate_playlists(connection: psycopg.Connection, *, as_of: datetime) -> dict[str, int]:
    """Write each active persona's playlist of the listener's last day of listening by `as_of`; commits.

    The newest KEEP_PLAYLISTS days of each persona are kept.

    :return: `listeners`, `playlists` and `tracks` in them, rows `written` and `removed`.
    """
    summary = {"listeners": 0, "playlists": 0, "tracks": 0, "written": 0, "removed": 0}
    with connection.transaction():
        for work in take_work(connection, "playlists", as_of):
            with listener_of(connection, "playlists", work):
                playlists, tracks = build_playlists(connection, work)
                summary["listeners"] += 1
                summary["playlists"] += len(playlists)
                summary["tracks"] += len(tracks)
                for counts in write_playlists(connection, work, playlists, tracks):
                    summary["written"] += counts["written"]
                    summary["removed"] += counts["removed"]
    connection.commit()
    return summary


def load_library(connection: psycopg.Connection, work: Work) -> Library:
    parameters = {
        "user_id": work.user_id,
        "reference_day": work.reference_day,
        "limit": SHARED_CANDIDATES,
        "sessions": LIKE_SESSIONS,
    }

    def ask(name: str, row_factory: RowFactory[Any] = tuple_row) -> psycopg.Cursor[Any]:
        return connection.cursor(row_factory=row_factory, binary=True).execute(statement(name), parameters)

    # All are asked for at once, so that the server goes on while what it has found is read.
    with connection.pipeline():
        track_library = ask("track_library", namedtuple_row)
        shared_tracks = ask("shared_tracks", namedtuple_row)
        persona_plays = ask("persona_plays")
        last_sessions = ask("last_sessions")
        neighbours = ask("artist_neighbours")
        tracks = track_library.fetchall()
        days = TrackDays(
            np.repeat(np.arange(len(tracks)), [len(row.days_ago) for row in tracks]),
            *(flat((getattr(row, name) for row in tracks), int) for name in ("days_ago", "day_plays", "day_heard")),
        )
        return Library(
            tracks,
            shared_tracks.fetchall(),
            days,
            columns(persona_plays),
            columns(last_sessions),
            columns(neighbours),
            work.reference_day,
        )


@no_cycles()
def build_playlists(
    connection: psycopg.Connection, work: Work, scorer: TrackScorer | None = None
) -> tuple[list[tuple], list[tuple]]:
    """Rows of `playlists` and `playlist_tracks`."""
    personas = connection.execute(
        "select persona_id, label, description from staging.personas where user_id = %s and is_active"
        " order by persona_id",
        [work.user_id],
    ).fetchall()
    previous = {persona_id: previous_tracks(connection, work, persona_id) for persona_id, _, _ in personas}
    return playlists_from(load_library(connection, work), work.user_id, personas, previous, scorer)


def playlists_from(
    library: Library,
    user_id: str,
    personas: Sequence[tuple[int, str, str]],
    previous: Mapping[int, Sequence[str]],
    scorer: TrackScorer | None = None,
) -> tuple[list[tuple], list[tuple]]:
    """Rows of `playlists` and `playlist_tracks`.

    :param personas: persona_id, label and description of each.
    :param previous: persona_id → track ids of its playlist before.
    :param scorer: the product's when None.
    """
    playlists: list[tuple] = []
    tracks: list[tuple] = []
    if not library.rows:
        return playlists, tracks
    scorer = (scorer or TrackScorer()).fit(library.listening)
    parts, scores, drafts = [], [], []
    for persona_id, _, _ in personas:
        parts.append(parts_of(library, scorer, persona_id))
        scores.append(np.round(sum(parts[-1][part] for part in PARTS), DIGITS))
        drafts.append(Draft(library.ranked(scores[-1]), previous[persona_id], scores[-1]))
    draft(drafts)
    reasons = Reasons(library, scorer)
    for (persona_id, label, description), its_parts, score, filled in zip(personas, parts, scores, drafts, strict=True):
        playlist_id = f"{persona_id}-{library.reference_day:%Y%m%d}"
        chosen = smooth_order(filled.chosen, score, library)
        kinds = Counter(c.kind for c in chosen)
        counted = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
        playlists.append(
            (user_id, playlist_id, persona_id, library.reference_day, label, f"{description}. {counted}.",
             len(chosen), sum(c.track.duration_ms for c in chosen))
        )  # fmt: skip
        explanations = reasons.of(chosen, persona_id, label, its_parts["persona"])
        for position, (c, reason) in enumerate(zip(chosen, explanations, strict=True), start=1):
            tracks.append(
                (user_id, playlist_id, position, c.track_id, c.track.track_name, c.artist_name,
                 c.track.album_name, c.kind, float(score[c.index]),
                 *(float(its_parts[part][c.index]) for part in PARTS), reason)
            )  # fmt: skip
    return playlists, tracks


def parts_of(library: Library, scorer: TrackScorer, persona_id: int) -> dict[str, np.ndarray]:
    """Part → (tracks,): each track's by the question of its kind."""
    parts = {part: np.zeros(len(library.rows)) for part in PARTS}
    for kind, indexes in library.usable.items():
        of_kind = scorer.parts(QUESTION_OF[kind], library.persona_code.get(persona_id))
        for part in PARTS:
            parts[part][indexes] = of_kind[part][indexes]
    return parts


def previous_tracks(connection: psycopg.Connection, work: Work, persona_id: int) -> list[str]:
    rows = connection.execute(
        "select track_id from staging.playlist_tracks where user_id = %(user_id)s and playlist_id = ("
        "select playlist_id from staging.playlists where user_id = %(user_id)s and persona_id = %(persona_id)s and"
        " as_of < %(day)s order by as_of desc limit 1) order by position",
        {"user_id": work.user_id, "persona_id": persona_id, "day": work.reference_day},
    )
    return [row[0] for row in rows]


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Reasons:
    """A sentence or two on why a track is in a playlist: what its kind asks for, and what weighed most for it against
    the list's others of its kind. Every number counts rows of the tables up to the playlist's as_of."""

    def __init__(self, library: Library, scorer: TrackScorer):
        self.library = library
        self.artist_returns = scorer.artist_returns_
        self.weighed = {kind: scorer.contributions(question) for kind, question in QUESTION_OF.items()}

    def of(self, chosen: Sequence[Candidate], persona_id: int, label: str, persona: np.ndarray) -> list[str]:
        """:param persona: (tracks,) the persona's part of the score."""
        named = Counter[str]()
        usual = {
            kind: {
                feature: np.median([values[c.index] for c in chosen if c.kind == kind])
                for feature, values in of_kind.items()
            }
            for kind, of_kind in self.weighed.items()
            if any(c.kind == kind for c in chosen)
        }
        reasons = []
        for c in chosen:
            weights = {
                feature: round(float(values[c.index] - usual[c.kind][feature]), DIGITS)
                for feature, values in self.weighed[c.kind].items()
            }
            weights["persona"] = float(persona[c.index])
            reasons.append(self.explain(c, persona_id, label, weights, named))
        return reasons

    def explain(
        self, c: Candidate, persona_id: int, label: str, weights: Mapping[str, float], named: Counter[str]
    ) -> str:
        """:param weights: feature → how much more it weighed for this track than for others of its kind.
        :param named: artist → in how many reasons it stands as the one others are close to; counted on.
        """
        opening = self.opening(c)
        sentences = [opening] if opening else []
        for feature in sorted(weights, key=lambda f: (-weights[f], f)):
            if len(sentences) == 2 or (sentences and weights[feature] <= 0):
                break
            if said := self.say(feature, c, persona_id, label, named):
                sentences.append(said)
        if not sentences:
            sentences = [f"You played it {plural(c.track.plays, 'time')} since {c.track.first_day:%B %Y}"]
        return ". ".join(sentences) + "."

    def opening(self, c: Candidate) -> str | None:
        """What makes a track rediscovered or new; nothing for a familiar one."""
        row = c.track
        if c.index >= self.library.own:
            return f"New to you: {row.display_name} has played it {plural(row.plays, 'time')}"
        if c.kind == "rediscovered":
            rest = (self.library.reference_day - row.last_day).days
            return f"You played it {plural(row.plays, 'time')} since {row.first_day:%B %Y}, but not for {rest} days"
        if c.kind == "new":
            day = f"{row.first_day.day} {row.first_day:%B %Y}"
            return f"Hardly known to you yet: first played on {day}, {plural(row.plays, 'play')} so far"
        return None

    def say(self, feature: str, c: Candidate, persona_id: int, label: str, named: Counter[str]) -> str | None:
        """What a feature means for a track; None where there is nothing to show for it, or it was said already."""
        library, row, artist = self.library, c.track, c.artist_name
        is_own = c.index < library.own
        heard = library.days_heard(c.index)
        if feature == "persona":
            inside = library.plays_inside(c.index, persona_id)
            if not inside or len(library.personas) < 2 or row.plays < 2:
                return None
            share = "All" if inside == row.plays else str(inside)
            return f"{share} of its {row.plays} plays {'was' if inside == 1 else 'were'} in “{label}” sessions"
        if feature == "recent_plays" and c.kind == "familiar" and row.plays_28d:
            return f"You played it {plural(row.plays_28d, 'time')} in the last 28 days"
        if feature == "recent_days" and (days := int((heard < 14).sum())) > 1:
            return f"You came back to it on {days} of the last 14 days"
        if feature == "all_days" and len(heard) > 1:
            return f"You came back to it on {len(heard)} different days"
        if feature == "overdue" and len(heard) > 2:
            usual, rest = (heard[-1] - heard[0]) / (len(heard) - 1), heard[0]
            if 1 < usual < rest:
                return f"You usually come back to it after {usual:.0f} days, and now it has been {rest}"
        if feature == "artist_returns" and (returns := int(self.artist_returns[library.artist_code[artist]])) > 1:
            return f"You came back to songs by {artist} {returns} times after {REST_DAYS} days or more"
        if feature == "heat" and (lately := library.artist_plays_7d[artist]):
            return f"You played {artist} {plural(lately, 'time')} in the last 7 days"
        if feature == "company" and is_own and (sessions := int(library.in_last_sessions[c.index])) > 1:
            return f"It was heard in {sessions} of your last {LAST_SESSIONS} sessions"
        if feature in ("company", "heat") and (closest := library.closest(artist, named)):
            other, together = closest
            named[other] += 1
            plays = plural(library.artist_plays_28d[other], "time")
            return (
                f"{artist} goes with {other}, whom you played {plays} in the last 28 days: together in"
                f" {plural(together, 'session')}"
            )
        return None


def write_playlists(
    connection: psycopg.Connection, work: Work, playlists: list[tuple], tracks: list[tuple]
) -> list[dict[str, int]]:
    """Replace the day's playlists, and drop the days beyond KEEP_PLAYLISTS."""
    old = connection.execute(
        "select playlist_id, as_of <> %(day)s and"
        " row_number() over (partition by persona_id order by as_of desc) > %(keep)s"
        " from staging.playlists where user_id = %(user_id)s",
        {"user_id": work.user_id, "day": work.reference_day, "keep": KEEP_PLAYLISTS},
    ).fetchall()
    suffix = f"-{work.reference_day:%Y%m%d}"
    scope = sorted({row[0] for row in old if row[1] or row[0].endswith(suffix)} | {row[1] for row in playlists})
    where = {"user_id": work.user_id, "playlist_id": scope}
    return [
        replace_rows(connection, "playlists", ["user_id", "playlist_id"], PLAYLIST_COLUMNS, playlists, where),
        replace_rows(
            connection, "playlist_tracks", ["user_id", "playlist_id", "position"], TRACK_COLUMNS, tracks, where
        ),
    ]
