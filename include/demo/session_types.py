"""The types of listening session, and what a simulated listener consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime


@dataclass(frozen=True, slots=True)
class SessionType:
    """When such sessions happen, how long they last, and how their music is chosen. Hours are of the local clock."""

    name: str
    per_weekday: float  # probability of one such session on a Monday to Friday, and
    per_weekend_day: float  # on a Saturday or Sunday
    hour: float
    hour_deviation: float
    minutes: float  # median length
    minutes_sigma: float  # of its logarithm
    genres: tuple[str, ...]
    circles: int  # how many circles of artists (catalog.py) one session plays
    album: float  # probability that the next track starts an album, played in order
    discover: float  # probability that it is a track never heard before
    skip: float
    shuffle: float  # probability that the session is shuffled
    repeat: float  # probability that a track already played in the session may come again
    stay: float  # probability that the next track is by the same artist
    podcast: float = 0.0  # probability that the session starts with an episode
    audiobook: float = 0.0
    offline: float = 0.0
    platform: str = "ios"


SESSION_TYPES = {
    session_type.name: session_type
    for session_type in (
        SessionType("morning commute", 1.12, 0.45, 8.8, 0.9, 22, 1.0, ("indie rock", "synth pop", "hip hop"),
          circles=3, album=0.0, discover=0.12, skip=0.3, shuffle=0.7, repeat=0.1, stay=0.08, podcast=0.12, offline=0.1),
        SessionType("evening commute", 0.86, 0.23, 17.5, 0.86, 24, 1.0, ("soul", "indie rock", "hip hop"),
          circles=3, album=0.0, discover=0.12, skip=0.3, shuffle=0.7, repeat=0.1, stay=0.08, podcast=0.1, offline=0.08),
        SessionType("focus at work", 1.45, 0.3, 13.4, 1.75, 48, 1.15, ("ambient", "neoclassical", "techno"),
          circles=4, album=0.03, discover=0.1, skip=0.12, shuffle=0.4, repeat=0.25, stay=0.2, platform="macos"),
        SessionType("workout", 0.57, 0.57, 17.2, 1.31, 33, 0.9, ("techno", "metal", "hip hop"),
          circles=2, album=0.0, discover=0.07, skip=0.26, shuffle=0.8, repeat=0.5, stay=0.2),
        SessionType("lunch break", 0.75, 0.34, 13.0, 0.86, 20, 1.0, ("soul", "folk", "jazz"),
          circles=3, album=0.0, discover=0.16, skip=0.2, shuffle=0.4, repeat=0.1, stay=0.12, podcast=0.12),
        SessionType("evening album", 0.75, 0.69, 19.1, 1.09, 33, 1.0, ("jazz", "folk", "dream pop"),
          circles=2, album=0.55, discover=0.22, skip=0.1, shuffle=0.1, repeat=0.05, stay=0.4, platform="cast"),
        SessionType("late-night deep dive", 0.57, 0.69, 21.6, 0.95, 35, 1.1, ("dream pop", "ambient", "jazz"),
          circles=3, album=0.08, discover=0.26, skip=0.2, shuffle=0.25, repeat=0.1, stay=0.3,
          audiobook=0.04, platform="web"),
        SessionType("weekend explorer", 0.29, 1.26, 13.2, 1.74, 37, 1.1, ("folk", "soul", "house", "indie rock"),
          circles=5, album=0.03, discover=0.3, skip=0.3, shuffle=0.3, repeat=0.05, stay=0.12,
          podcast=0.04, platform="macos"),
        SessionType("party shuffle", 0.17, 0.57, 19.6, 1.15, 61, 1.0, ("house", "synth pop", "hip hop"),
          circles=5, album=0.0, discover=0.12, skip=0.34, shuffle=0.9, repeat=0.15, stay=0.06, platform="cast"),
        SessionType("sunday cooking", 0.4, 1.03, 17.6, 1.15, 37, 0.9, ("soul", "jazz", "house"),
          circles=3, album=0.06, discover=0.12, skip=0.16, shuffle=0.5, repeat=0.1, stay=0.14, platform="cast"),
        SessionType("falling asleep", 0.69, 0.69, 21.4, 0.79, 26, 0.9, ("ambient", "neoclassical"),
          circles=2, album=0.02, discover=0.06, skip=0.08, shuffle=0.3, repeat=0.5, stay=0.4, audiobook=0.1),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listener:
    """A simulated listener. `zones` are the later moves: (from when, IANA zone, country), earliest first."""

    user_id: str
    display_name: str
    time_zone: str
    country: str
    first_day: date  # local day of the first play
    session_types: tuple[SessionType, ...]
    seed: int
    zones: tuple[tuple[datetime, str, str], ...] = ()
    circles: int = 16  # how many circles they listen to in all
    busyness: float = 1.0  # factor of how many sessions there are
    most_plays: int | None = None
    has_export: bool = True
    local_files: bool = field(default=False)

    def place_at(self, moment: datetime) -> tuple[str, str]:
        """Time zone and country at an aware moment."""
        place = (self.time_zone, self.country)
        for since, zone, country in self.zones:
            if moment >= since:
                place = (zone, country)
        return place


def utc(text: str) -> datetime:
    """An ISO text without an offset as a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
