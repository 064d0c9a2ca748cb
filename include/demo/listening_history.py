"""A simulated listener's history, play by play: what really happened, of which the API and the exports show a part.

A history is built day by day. A day depends on the days before it and on its own random draws, but not on how far the
history is built: `build_history(…, until=later)` only appends. Music is chosen as people choose it: mostly something
played before, the more recent and the more often played the likelier (a past play is repeated at a lag whose
probability falls as 1 / lag), among the circles that the session type prefers and the listener currently likes.

What all session types share (how much sessions vary, how many end after one song, how inactive some weeks are) was set
so that the figures of history_statistics.py lie within those of real listeners.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from include.demo.catalog import Album, Artist, Catalog, Chapter, Episode, Item, Track, catalog
from include.demo.random_draws import RandomDraws, base62
from include.demo.session_types import Listener, SessionType

SILENCE_MS = 33 * 60_000  # at least this long between two sessions
MINUTE_MS = 60_000
LONGEST_MINUTES = 420
LONGEST_PAUSE_MS = 24 * MINUTE_MS
ONE_SONG = 0.14  # sessions that are over after one
OTHER_GENRES = 0.15  # how much a session type favours circles that are not of its genres
AGAIN = 0.03  # probability that a track is played once more at once
FONDNESS = 0.95  # how likely a track heard for the first time may come again by choice, if by a favourite artist
FAMOUS = 10  # of a circle's artists: every listener has favourites of their own among them
SKIPPED, SKIPPED_WEIGHTS = ("fwdbtn", "endplay", "backbtn"), (0.52, 0.4, 0.08)
STOPPED = ("logout", "unexpected-exit-while-paused", "remote", None, "endplay")
STOPPED_WEIGHTS = (0.68, 0.14, 0.06, 0.08, 0.04)


class Play(NamedTuple):
    """One stream as it happened. Moments are unix milliseconds; ended - started > ms_played when paused."""

    started_ms: int
    ended_ms: int
    ms_played: int
    item: Item
    context: str | None  # URI of the album, playlist or artist it was started from
    reason_start: str
    reason_end: str | None
    skipped: bool
    shuffle: bool
    offline: bool
    incognito: bool
    platform: str
    country: str
    session: int  # index into History.sessions


@dataclass(slots=True)
class Session:
    """Plays first_play … first_play + plays - 1 of the history, all of one session type."""

    session_type: str
    time_zone: str
    local_date: date
    first_play: int
    plays: int


@dataclass
class History:
    listener: Listener
    seed: int
    until: datetime
    plays: list[Play] = field(default_factory=list, repr=False)
    sessions: list[Session] = field(default_factory=list, repr=False)

    def session_type(self, play: Play) -> str:
        return self.sessions[play.session].session_type

    def forget_after(self, moment: datetime) -> None:
        """Keep only plays that ended by then."""
        until_ms = int(moment.timestamp() * 1000)
        self.keep_the_first(bisect.bisect_right(self.plays, until_ms, key=attrgetter("ended_ms")))

    def keep_the_first(self, count: int | None) -> None:
        """Keep only so many plays, and the sessions they are in; None keeps all."""
        plays, sessions = self.plays, self.sessions
        if count is None or count >= len(plays):
            return
        del plays[count:]
        while sessions and sessions[-1].first_play >= len(plays):
            sessions.pop()
        if sessions:
            sessions[-1].plays = len(plays) - sessions[-1].first_play


def _by_fame(draws: RandomDraws, artists: list[Artist]) -> list[Track]:
    """Every track of the artists, likely discoveries first: well-known artists' best-known tracks, with luck."""
    ranked = [
        (draws.random() * (place + 1) ** 1.6 * (rank + 1) ** 0.5, track.recording, track)
        for place, artist in enumerate(artists)
        for rank, track in enumerate(artist.tracks)
    ]
    return [track for _, _, track in sorted(ranked)]


def build_history(listener: Listener, seed: int | None = None, until: datetime | None = None) -> History:
    """Every play of the listener that ended by `until` (aware; default: now), in order of time.

    The seed defaults to the listener's own; another seed gives another history with the same session types.
    """
    builder = HistoryBuilder(listener, seed)
    builder.build_until(until or datetime.now(UTC))
    builder.history.forget_after(builder.history.until)
    return builder.history


@dataclass(slots=True)
class _Circle:
    """A circle as the listener knows it: when they like it, and what of it they played, play by play."""

    number: int
    weight: float
    artists: list[Artist]
    artist_weights: list[float]
    fondness: dict[Artist, float]
    unheard: list[Track]  # the likeliest to be discovered first
    known_from: int  # day, counted from the first
    phases: RandomDraws
    phase_ends: int
    in_fashion: bool
    history: list[Track] = field(default_factory=list)

    def interest(self, day: int) -> float:
        if day < self.known_from:
            return 0.0
        while day >= self.phase_ends:
            self.in_fashion = not self.in_fashion
            median = 55 if self.in_fashion else 80
            self.phase_ends += max(10, int(self.phases.lognormal(median, 0.5)))
        return self.weight * (1.0 if self.in_fashion else 0.07)


@dataclass(slots=True)
class _Obsession:
    track: Track
    circle: int
    since: int
    days: int

    def heat(self, day: int) -> float:
        """Rises over the first days, then fades."""
        age = (day - self.since) / self.days
        return max(0.0, min(1.0, 0.4 + 6 * age) * (1.0 - age))


class HistoryBuilder:
    """Builds a history: `build_until` appends whole days to `history`, and may be called again."""

    def __init__(self, listener: Listener, seed: int | None = None) -> None:
        self.history = History(listener, listener.seed if seed is None else seed, datetime.min.replace(tzinfo=UTC))
        self.listener = listener
        self.catalog: Catalog = catalog()
        self.key = (self.history.seed, listener.user_id)
        self.next_day = listener.first_day
        self.circles = self._choose_circles()
        self.circle_of = {circle.number: circle for circle in self.circles}
        self.lean = self._session_type_leanings()
        self.heard: set[int] = set()  # recordings
        self.played_until = 0
        self.obsessions: list[_Obsession] = []
        self.worn_out: dict[int, int] = {}  # recording -> day from which it is bearable again
        self.next_episode: dict[str, int] = defaultdict(int)
        self.next_chapter = 0

    def _choose_circles(self) -> list[_Circle]:
        """The listener's circles, spread over the genres of their session types; half are known from the start."""
        draws = RandomDraws(*self.key, "circles")
        genres = sorted({genre for session_type in self.listener.session_types for genre in session_type.genres})
        queues = [draws.shuffled(self.catalog.circles_of(genre)) for genre in draws.shuffled(genres)]
        numbers = [queue[i] for i in range(4) for queue in queues][: max(self.listener.circles, len(queues))]
        circles = []
        known_from = 0.0
        for rank, number in enumerate(numbers):
            if rank >= max(len(queues), len(numbers) // 2):
                known_from += draws.between(20, 160)
            known = self.catalog.circles[number]
            artists = draws.shuffled(known[:FAMOUS]) + draws.shuffled(known[FAMOUS:])
            circles.append(
                _Circle(
                    number=number,
                    weight=1.0 / (1 + rank % max(1, len(queues))),
                    artists=artists,
                    fondness={artist: FONDNESS / (1 + place / 9) for place, artist in enumerate(artists)},
                    artist_weights=list(accumulate(1.0 / (place + 1) ** 1.25 for place in range(len(artists)))),
                    unheard=_by_fame(draws, artists),
                    known_from=int(known_from),
                    phases=RandomDraws(*self.key, "phases", number),
                    phase_ends=int(known_from) + draws.below(60) + 15,
                    in_fashion=known_from > 0 or draws.chance(0.6),
                )
            )
        return circles

    def _session_type_leanings(self) -> dict[str, list[float]]:
        """How much each session type prefers each circle, most of all those of its genres."""
        return {
            session_type.name: [
                (1.0 if circle.artists[0].genre.name in session_type.genres else OTHER_GENRES)
                * RandomDraws(*self.key, "leaning", session_type.name, circle.number).between(0.25, 2.0)
                for circle in self.circles
            ]
            for session_type in self.listener.session_types
        }

    def build_until(self, until: datetime) -> None:
        """Append every day that may have plays ending by `until`, and so some plays after it."""
        self.history.until = max(self.history.until, until)
        most = self.listener.most_plays
        while self.next_day <= (until + timedelta(days=1)).date() and (most is None or len(self.history.plays) < most):
            self._build_day(self.next_day, (self.next_day - self.listener.first_day).days)
            self.next_day += timedelta(days=1)
        self.history.keep_the_first(most)

    # A day ---------------------------------------------------------------------------------------------------------

    def _build_day(self, day: date, number: int) -> None:
        draws = RandomDraws(*self.key, day.isoformat())
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        zone, country = self.listener.place_at(noon)
        weekend = day.weekday() >= 5
        week = RandomDraws(*self.key, "week", *day.isocalendar()[:2])
        if draws.chance(0.5 if week.chance(0.1) else 0.04):
            return  # no music at all: a few days in most weeks, most days of a few weeks
        often = self.listener.busyness * week.lognormal(0.9, 0.3) * draws.lognormal(0.9, 0.4)
        planned = []
        for session_type in self.listener.session_types:
            expected = (session_type.per_weekend_day if weekend else session_type.per_weekday) * often
            for _ in range(int(expected) + draws.chance(expected - int(expected))):
                hour = draws.normal(
                    session_type.hour + (0.8 if weekend and session_type.hour < 12 else 0.0),
                    session_type.hour_deviation,
                )
                if draws.chance(0.08):
                    hour = draws.between(8, 24)  # a holiday, a shift, a day in bed
                planned.append((hour, session_type))
        planned.sort(key=lambda plan: plan[0])
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
        for hour, session_type in planned:
            wanted = int((midnight + timedelta(seconds=int(hour * 3600))).timestamp() * 1000) + draws.below(1000)
            start = max(wanted, self.played_until + SILENCE_MS + draws.below(12 * MINUTE_MS))
            if start - wanted > 150 * MINUTE_MS:
                continue  # the evening is taken
            minutes = (
                0.0 if draws.chance(ONE_SONG) else draws.lognormal(session_type.minutes, session_type.minutes_sigma)
            )
            length = min(minutes, LONGEST_MINUTES) * MINUTE_MS
            self._build_session(draws, session_type, number, start, int(length), zone, country, day)

    # A session -----------------------------------------------------------------------------------------------------

    def _build_session(
        self,
        draws: RandomDraws,
        session_type: SessionType,
        day: int,
        start: int,
        length: int,
        zone: str,
        country: str,
        local_date: date,
    ) -> None:
        circles = self._session_circles(draws, session_type, day)
        if not circles:
            return
        plays = self.history.plays
        first = len(plays)
        shuffle = draws.chance(session_type.shuffle)
        offline = draws.chance(session_type.offline)
        incognito = draws.chance(0.012)
        platform = session_type.platform if draws.chance(0.9) else "ios"
        skip = min(0.85, draws.lognormal(session_type.skip, 0.8))
        discover = min(0.9, draws.lognormal(session_type.discover, 0.7))
        in_session: set[int] = set()
        album: list[Track] = []
        track: Track | None = None
        session = len(self.history.sessions)
        moment, end = start, start + length
        reason_start, context = "clickrow", None

        spoken = self._spoken_item(draws, session_type)
        if spoken is not None:
            heard_ms = spoken.duration_ms if draws.chance(0.7) else int(spoken.duration_ms * draws.between(0.2, 0.9))
            ended = moment + heard_ms
            reason_end = "trackdone" if heard_ms == spoken.duration_ms else "endplay"
            plays.append(Play(moment, ended, heard_ms, spoken, None, "clickrow", reason_end, False, False, offline,
                              incognito, platform, country, session))  # fmt: skip
            moment = ended + 2000
            end = max(end, moment)
            reason_start = "trackdone"

        while moment < end or len(plays) == first:
            if album:
                track = album.pop(0)
            else:
                circle = draws.from_cumulative(circles[0], circles[1])
                track, album = self._choose(draws, session_type, circle, discover, track, in_session, day)
                if album:
                    context = f"spotify:album:{album[0].album.album_id}"
                    track = album.pop(0)
                elif context is None or context.startswith("spotify:album") or draws.chance(0.03):
                    context = self._context(draws, session_type, circle)
            if album and draws.chance(0.012):
                album = []
            item: Item = track
            if self.listener.local_files and shuffle and draws.chance(0.012):
                item = draws.pick(self.catalog.local_files)
            played, ended, reason_end, skipped = self._listen(draws, track, item.duration_ms, moment, skip)
            if plays and ended < plays[-1].ended_ms + 1100:  # no two plays end in the same second
                late = plays[-1].ended_ms + 1100 - ended
                moment, ended = moment + late, ended + late
            plays.append(Play(moment, ended, played, item, context, reason_start, reason_end, skipped, shuffle, offline,
                              incognito, platform, country, session))  # fmt: skip
            if item is track:
                self._remember(draws, track, played, skipped, day)
                in_session.add(track.recording)
            reason_start = {"trackdone": "trackdone", "fwdbtn": "fwdbtn", "backbtn": "backbtn"}.get(
                reason_end, "clickrow"
            )
            moment = ended + self._pause(draws, skipped)
        plays[-1] = self._stopped(draws, plays[-1])
        self.history.sessions.append(Session(session_type.name, zone, local_date, first, len(plays) - first))
        self.played_until = plays[-1].ended_ms
        self.obsessions = [o for o in self.obsessions if day - o.since < o.days]

    def _session_circles(
        self, draws: RandomDraws, session_type: SessionType, day: int
    ) -> tuple[list[_Circle], list[float]] | None:
        weights = [c.interest(day) * lean for c, lean in zip(self.circles, self.lean[session_type.name], strict=True)]
        chosen: list[_Circle] = []
        for _ in range(session_type.circles):
            if sum(weights) <= 0:
                break
            circle = draws.weighted(self.circles, weights)
            weights[self.circles.index(circle)] = 0.0
            chosen.append(circle)
        if not chosen:
            return None
        return chosen, list(accumulate(1.0 / (i + 1) ** 0.6 for i in range(len(chosen))))

    def _spoken_item(self, draws: RandomDraws, session_type: SessionType) -> Episode | Chapter | None:
        roll = draws.random()
        if roll < session_type.podcast:
            show = draws.pick(self.catalog.shows)
            number = self.next_episode[show]
            self.next_episode[show] += 1
            episodes = self.catalog.episodes_of(show)
            return episodes[number % len(episodes)]
        if roll < session_type.podcast + session_type.audiobook:
            chapter = self.catalog.chapters[self.next_chapter % len(self.catalog.chapters)]
            self.next_chapter += 1
            return chapter
        return None

    def _stopped(self, draws: RandomDraws, last: Play) -> Play:
        """The last play of a session: three of four are paused somewhere in the middle and never gone on with."""
        if last.reason_end != "trackdone" or draws.chance(0.25):
            return last
        played = int(last.ms_played * draws.between(0.02, 1.0))
        ended = last.started_ms + played
        if len(self.history.plays) > 1 and ended < self.history.plays[-2].ended_ms + 1100:
            return last
        return last._replace(ended_ms=ended, ms_played=played, reason_end=draws.weighted(STOPPED, STOPPED_WEIGHTS))

    # A track -------------------------------------------------------------------------------------------------------

    def _choose(
        self, draws: RandomDraws, session_type: SessionType, circle: _Circle, discover: float, previous: Track | None,
        in_session: set[int], day: int,
    ) -> tuple[Track, list[Track]]:  # fmt: skip
        """The next track, or an album to play in order (then its first track is not yet taken from it)."""
        if previous is not None and draws.chance(AGAIN):
            return previous, []
        if draws.chance(session_type.album):
            album = (
                self._new_album(draws, circle)
                if draws.chance(discover)
                else self._known_album(draws, circle, in_session)
            )
            if album is not None:
                return album.tracks[0], list(album.tracks)
        if draws.chance(discover) or len(circle.history) < 4:
            same_artist = (
                previous is not None and previous.artist.circle == circle.number and draws.chance(session_type.stay)
            )
            track = self._new_track(draws, circle, previous.artist if same_artist and previous else None)
            if track is not None:
                return track, []
        hot = [o for o in self.obsessions if o.circle == circle.number] if self.obsessions else None
        if hot:
            obsession = draws.pick(hot)
            if obsession.track.recording not in in_session and draws.chance(0.5 * obsession.heat(day)):
                return obsession.track, []
        if previous is not None and draws.chance(session_type.stay):
            mine = [t for t in circle.history[-120:] if t.artist is previous.artist and t.recording not in in_session]
            if mine:
                return draws.pick(mine), []
        for _ in range(6):
            track = circle.history[-draws.power_law_lag(len(circle.history))]
            if track.recording in in_session and not draws.chance(session_type.repeat):
                continue
            if self.worn_out.get(track.recording, 0) > day and not draws.chance(0.15):
                continue
            return track, []
        return self._new_track(draws, circle, None) or draws.pick(circle.history), []

    def _new_track(self, draws: RandomDraws, circle: _Circle, artist: Artist | None) -> Track | None:
        """A track not heard before, by the artist if there is one left; None if the circle is used up."""
        unheard = circle.unheard
        if not unheard:
            return None
        place = draws.power_law_lag(len(unheard)) - 1
        if artist is not None:
            place = next((i for i, track in enumerate(unheard) if track.artist is artist), place)
        track = unheard[place]
        return track.other_release if track.other_release and draws.chance(0.4) else track

    def _new_album(self, draws: RandomDraws, circle: _Circle) -> Album | None:
        for _ in range(5):
            album = draws.pick(draws.from_cumulative(circle.artists, circle.artist_weights).albums)
            if len(album.tracks) > 1 and album.tracks[0].recording not in self.heard:
                return album
        return None

    def _known_album(self, draws: RandomDraws, circle: _Circle, in_session: set[int]) -> Album | None:
        for _ in range(5):
            if not circle.history:
                return self._new_album(draws, circle)
            track = circle.history[-draws.power_law_lag(len(circle.history))]
            album = track.album if len(track.album.tracks) > 1 else (track.other_release or track).album
            if len(album.tracks) > 1 and album.tracks[0].recording not in in_session:
                return album
        return self._new_album(draws, circle)

    def _context(self, draws: RandomDraws, session_type: SessionType, circle: _Circle) -> str | None:
        roll = draws.random()
        if roll < 0.18:
            return None
        if roll < 0.35:
            return f"spotify:artist:{circle.artists[0].artist_id}"
        return f"spotify:playlist:{base62('playlist', *self.key, session_type.name, circle.number)}"

    def _listen(
        self, draws: RandomDraws, track: Track, duration: int, start: int, skip: float
    ) -> tuple[int, int, str, bool]:
        """ms played, the end, why it ended, whether it was skipped."""
        chance = skip
        if track.disliked_by_some and self._dislikes(track):
            chance = min(0.95, skip * 2 + 0.25)
        elif track.recording not in self.heard:
            chance = min(0.9, skip * 1.3)
        else:
            chance = skip * 0.8
        if draws.chance(chance):
            seconds = 10 ** draws.between(0, 1.48) if draws.chance(0.72) else duration / 1000 * draws.between(0.1, 0.7)
            played = min(int(seconds * 1000), duration - 1000)
            return played, start + played, draws.weighted(SKIPPED, SKIPPED_WEIGHTS), True
        roll = draws.random()
        if roll < 0.12:  # something else is chosen, mostly when this is nearly over
            played = int(duration * (draws.between(0.91, 1.0) if roll < 0.108 else draws.between(0.3, 0.9)))
            return played, start + played, "endplay", False
        paused = int(draws.between(10_000, 5 * MINUTE_MS)) if roll < 0.135 else 0
        return duration, start + duration + paused, "trackdone", False

    def _dislikes(self, track: Track) -> bool:
        return (track.recording * 2654435761 + self.history.seed * 40503) % 97 < 45

    def _pause(self, draws: RandomDraws, skipped: bool) -> int:
        """Silence before the next play in ms, by device clocks; negative in one case of fifty."""
        roll = draws.random()
        if roll < 0.02:
            return -int(draws.between(1000, 2000)) if not skipped else 300
        if roll < 0.12:
            return int(min(LONGEST_PAUSE_MS, draws.lognormal(MINUTE_MS, 1.4)))
        return int(draws.between(50, 1500))

    def _remember(self, draws: RandomDraws, track: Track, played: int, skipped: bool, day: int) -> None:
        circle = self.circle_of.get(track.artist.circle)
        new = track.recording not in self.heard
        self.heard.add(track.recording)
        if circle is None:
            return
        if new:
            album_track = track if track.album.album_type == "album" else track.other_release
            circle.unheard.remove(album_track or track)
        if (skipped and played < 30_000) or (new and not draws.chance(circle.fondness[track.artist])):
            return
        circle.history.append(track)
        if not skipped and draws.chance(0.012 if new else 0.002) and len(self.obsessions) < 6:
            days = int(draws.between(9, 30))
            self.obsessions.append(_Obsession(track, circle.number, day, days))
            self.worn_out[track.recording] = 0 if draws.chance(0.4) else day + days + int(draws.between(20, 120))
