"""A playlist per persona and day, each track with its score's parts and a reason: `staging.playlists`,
`playlist_tracks`.

Candidates are the listener's own tracks and, where both agreed (`listeners.shares_history`), tracks of listeners who
share with them. Three kinds are balanced: familiar, rediscovered (not heard for REST_DAYS) and new (heard at most
NEW_MAX_PLAYS times). What was in the persona's previous playlist and still ranks well stays, so that a new day
changes what there is a reason to change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import psycopg
from psycopg.rows import RowFactory, namedtuple_row, tuple_row
from scipy import sparse

from ml.recommender import DIGITS, PARTS, Listening, TrackScorer, age_bin
from ml.tables import Work, columns, listener_of, no_cycles, replace_rows, statement, take_work

LENGTH = 30
KINDS = {"familiar": 14, "rediscovered": 10, "new": 6}
REST_DAYS = 60
NEW_MAX_PLAYS = 2
# No more tracks than this of one artist or album, unless the library has too few others for SHORTEST tracks.
ARTIST_TRACKS, ALBUM_TRACKS = 3, 2
SHORTEST = 20
OVERPLAYED_7D = 8
SKIPS, SKIP_SHARE = 2, 0.5
SHARED_CANDIDATES = 300
# A track of the previous playlist stays while it ranks within this many times its kind's share of the list.
STAYS_WITHIN = 2.0
KEEP_PLAYLISTS = 60
# This many sessions together are worth saying.
OFTEN = 5

PLAYLIST_COLUMNS = ("user_id", "playlist_id", "persona_id", "as_of", "name", "description", "tracks", "ms_total")
TRACK_COLUMNS = (
    "user_id", "playlist_id", "position", "track_id", "track_name", "artist_name", "album_name", "kind", "score",
    *(f"score_{part}" for part in PARTS), "reason",
)  # fmt: skip


@dataclass(slots=True)
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


class TrackDays(NamedTuple):
    """When tracks were heard: arrays with an entry for each track and day.

    :param track: the track's place in the library.
    :param days_ago, plays, skips: of that track on that day.
    """

    track: np.ndarray
    days_ago: np.ndarray
    plays: np.ndarray
    skips: np.ndarray


class Library:
    """A listener's tracks, and those others share with them, as the scorer and the reasons need them.

    :param tracks: rows of track_library; their days are read from `days`.
    :param shared: rows of shared_tracks.
    :param persona_plays, neighbours: columns of persona_plays, artist_neighbours.
    """

    def __init__(
        self,
        tracks: Sequence[Any],
        shared: Sequence[Any],
        days: TrackDays,
        persona_plays: Sequence[tuple[Any, ...]],
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
        self.together = dict(zip(artists, zip(others, sessions_together, strict=True), strict=True))

        played_tracks, persona_ids, persona_counts = persona_plays
        self.personas = sorted(set(persona_ids))
        self.persona_code = {persona: i for i, persona in enumerate(self.personas)}
        by_persona = np.zeros((len(self.rows), max(len(self.personas), 1)))
        for track, persona, plays in zip(played_tracks, persona_ids, persona_counts, strict=True):
            # Another run may have added plays whose tracks have not been counted yet.
            if track in code:
                by_persona[code[track], self.persona_code[persona]] = plays

        bins = age_bin(days.days_ago)
        shape = (len(self.rows), bins.max(initial=0) + 1)
        self.listening = Listening(
            plays=sparse.csr_matrix((days.plays.astype(float), (days.track, bins)), shape=shape),
            skips=sparse.csr_matrix((days.skips.astype(float), (days.track, bins)), shape=shape),
            artist=self._artist_codes(row.artist_name for row in self.rows),
            neighbours=self.neighbours,
            persona_plays=by_persona,
        )
        self.usable = sorted(
            (Candidate(row, kind, index) for index, row in enumerate(self.rows) if (kind := self.kind(index))),
            key=lambda c: c.track_id,
        )
        self.usable_at = np.array([c.index for c in self.usable], dtype=int)
        self.artist_plays_28d = Counter[str]()
        for row in tracks:
            self.artist_plays_28d[row.artist_name] += row.plays_28d

    def _artist_codes(self, names: Iterable[str]) -> np.ndarray:
        return np.array([self.artist_code[name] for name in names], dtype=int)

    def plays_inside(self, index: int, persona_id: int) -> int:
        """Plays of a track in a persona's sessions."""
        code = self.persona_code.get(persona_id)
        return 0 if code is None else int(self.listening.persona_plays[index, code])

    def company(self, artist: str) -> tuple[str, int] | None:
        """The artist played in the last 28 days with whom this one shares the most sessions, and how many."""
        others, sessions_together = self.together.get(artist, ((), ()))
        return max(
            (pair for pair in zip(others, sessions_together, strict=True) if self.artist_plays_28d[pair[0]]),
            key=lambda pair: (pair[1], pair[0]),
            default=None,
        )

    def kind(self, index: int) -> str | None:
        """familiar, rediscovered or new; None for what is overplayed or habitually skipped."""
        row = self.rows[index]
        if index >= self.own:
            return "new"
        if row.plays_7d > OVERPLAYED_7D or (row.skips >= SKIPS and row.skips >= SKIP_SHARE * row.plays):
            return None
        if (self.reference_day - row.last_day).days >= REST_DAYS:
            return "rediscovered"
        return "new" if row.plays <= NEW_MAX_PLAYS else "familiar"

    def ranked(self, score: np.ndarray) -> list[Candidate]:
        """Every usable track, best first; equals in order of id."""
        return [self.usable[i] for i in np.argsort(-score[self.usable_at], kind="stable").tolist()]


def flat(lists: Iterable[Sequence[float]], dtype: type) -> np.ndarray:
    return np.fromiter(chain.from_iterable(lists), dtype=dtype)


def choose_tracks(candidates: Sequence[Candidate], previous: Sequence[str], length: int = LENGTH) -> list[Candidate]:
    """The playlist's tracks, best first within what the kinds' shares and the limits per artist and album allow.

    :param candidates: best first.
    :param previous: track ids of the persona's previous playlist.
    """
    stays = set(previous)
    ranked: list[Candidate] = []
    for kind, share in KINDS.items():
        of_kind = [c for c in candidates if c.kind == kind]
        near = int(STAYS_WITHIN * share)
        ranked += [c for c in of_kind[:near] if c.track_id in stays]
        ranked += [c for c in of_kind[:near] if c.track_id not in stays]
        ranked += of_kind[near:]

    chosen: list[Candidate] = []
    artists, albums, titles = Counter[str](), Counter[tuple[str, str]](), set[tuple[str, str]]()

    def take(pool: Sequence[Candidate], most: int, artist_tracks: int, album_tracks: int) -> None:
        for c in pool:
            if most <= 0 or len(chosen) >= length:
                return
            title = (c.artist_name, c.track.track_name.lower())
            if artists[c.artist_name] >= artist_tracks or albums[c.album] >= album_tracks or title in titles:
                continue
            chosen.append(c)
            artists[c.artist_name] += 1
            albums[c.album] += 1
            titles.add(title)
            most -= 1

    for kind, share in KINDS.items():
        take([c for c in ranked if c.kind == kind], share * length // LENGTH, ARTIST_TRACKS, ALBUM_TRACKS)
    take(candidates, length, ARTIST_TRACKS, ALBUM_TRACKS)
    if len(chosen) < SHORTEST:
        take(candidates, SHORTEST - len(chosen), SHORTEST, SHORTEST)
    return chosen


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
    parameters = {"user_id": work.user_id, "reference_day": work.reference_day, "limit": SHARED_CANDIDATES}

    def ask(name: str, row_factory: RowFactory[Any] = tuple_row) -> psycopg.Cursor[Any]:
        return connection.cursor(row_factory=row_factory, binary=True).execute(statement(name), parameters)

    # All are asked for at once, so that the server goes on while what it has found is read.
    with connection.pipeline():
        track_library = ask("track_library", namedtuple_row)
        shared_tracks = ask("shared_tracks", namedtuple_row)
        persona_plays = ask("persona_plays")
        neighbours = ask("artist_neighbours")
        tracks = track_library.fetchall()
        days = TrackDays(
            np.repeat(np.arange(len(tracks)), [len(row.days_ago) for row in tracks]),
            *(flat((getattr(row, name) for row in tracks), int) for name in ("days_ago", "day_plays", "day_skips")),
        )
        return Library(
            tracks,
            shared_tracks.fetchall(),
            days,
            columns(persona_plays),
            columns(neighbours),
            work.reference_day,
        )


@no_cycles()
def build_playlists(connection: psycopg.Connection, work: Work) -> tuple[list[tuple], list[tuple]]:
    """Rows of `playlists` and `playlist_tracks`."""
    personas = connection.execute(
        "select persona_id, label, description from staging.personas where user_id = %s and is_active"
        " order by persona_id",
        [work.user_id],
    ).fetchall()
    previous = {persona_id: previous_tracks(connection, work, persona_id) for persona_id, _, _ in personas}
    return playlists_from(load_library(connection, work), work.user_id, personas, previous)


def playlists_from(
    library: Library,
    user_id: str,
    personas: Sequence[tuple[int, str, str]],
    previous: Mapping[int, Sequence[str]],
) -> tuple[list[tuple], list[tuple]]:
    """Rows of `playlists` and `playlist_tracks`.

    :param personas: persona_id, label and description of each.
    :param previous: persona_id → track ids of its playlist before.
    """
    playlists: list[tuple] = []
    tracks: list[tuple] = []
    if not library.rows:
        return playlists, tracks
    scorer = TrackScorer().fit(library.listening)
    for persona_id, label, description in personas:
        playlist_id = f"{persona_id}-{library.reference_day:%Y%m%d}"
        parts = scorer.score(library.persona_code.get(persona_id))
        score = np.round(sum(parts[part] for part in PARTS), DIGITS)
        chosen = smooth_order(choose_tracks(library.ranked(score), previous[persona_id]), score, library)
        kinds = Counter(c.kind for c in chosen)
        counted = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
        playlists.append(
            (user_id, playlist_id, persona_id, library.reference_day, label, f"{description}. {counted}.",
             len(chosen), sum(c.track.duration_ms for c in chosen))
        )  # fmt: skip
        for position, c in enumerate(chosen, start=1):
            reason = explain(c, library, persona_id, label)
            tracks.append(
                (user_id, playlist_id, position, c.track_id, c.track.track_name, c.artist_name,
                 c.track.album_name, c.kind, float(score[c.index]),
                 *(float(parts[part][c.index]) for part in PARTS), reason)
            )  # fmt: skip
    return playlists, tracks


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


def explain(c: Candidate, library: Library, persona_id: int, label: str) -> str:
    """A sentence or two on why the track is there; every number counts rows of the tables up to the playlist's
    as_of."""
    row = c.track
    artist = c.artist_name
    lately = library.artist_plays_28d[artist]
    if c.index >= library.own:
        start = f"New to you: {row.display_name} has played it {plural(row.plays, 'time')}"
    else:
        times = plural(row.plays, "time")
        if c.kind == "rediscovered":
            rest = (library.reference_day - row.last_day).days
            start = f"You played it {times} since {row.first_day:%B %Y}, but not for {rest} days"
        elif c.kind == "new":
            start = f"You first heard it on {row.first_day.day} {row.first_day:%B %Y} and have played it {times}"
        else:
            start = f"You played it {times} ({row.plays_28d or 'none'} in the last 28 days)"
    sentences = [start]
    inside = library.plays_inside(c.index, persona_id)
    if inside and len(library.personas) > 1:
        share = "all" if inside == row.plays else str(inside)
        sentences[0] += (
            f", {share} of them in “{label}” sessions" if row.plays > 1 else f", in one of your “{label}” sessions"
        )
    beside = library.company(artist)
    together = f"{beside[0]}, heard in {plural(beside[1], 'session')} together with {artist}" if beside else ""
    if lately:
        sentences.append(f"You played {artist} {plural(lately, 'time')} in the last 28 days")
        if beside and beside[1] >= OFTEN:
            sentences[-1] += f", often beside {together}"
    elif beside:
        plays = plural(library.artist_plays_28d[beside[0]], "play")
        sentences.append(f"In the last 28 days there were {plays} of {together}")
    return ". ".join(sentences) + "."


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
