"""What kinds of listening sessions there are, and who the listeners are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime


@dataclass(frozen=True, slots=True)
class Habit:
    """One session type: when it happens, how long, and how its music is chosen. Hours are local clock hours."""

    name: str
    per_weekday: float  # probability of one such session on a Monday to Friday, and
    per_weekend_day: float  # on a Saturday or Sunday
    hour: float
    hour_deviation: float
    minutes: float  # median length
    minutes_sigma: float  # of its logarithm
    scenes: tuple[str, ...]
    circles: int  # how many circles one session moves among
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


HABITS = {
    habit.name: habit
    for habit in (
        Habit("morning commute", 0.82, 0.04, 7.6, 0.35, 27, 0.22, ("indie rock", "synth pop", "hip hop"), circles=2,
              album=0.0, discover=0.05, skip=0.3, shuffle=0.85, repeat=0.02, stay=0.06, podcast=0.16, offline=0.12),
        Habit("evening commute", 0.7, 0.03, 17.9, 0.45, 32, 0.25, ("soul", "indie rock", "hip hop"), circles=3,
              album=0.0, discover=0.06, skip=0.34, shuffle=0.85, repeat=0.02, stay=0.06, podcast=0.12, offline=0.1),
        Habit("focus at work", 0.85, 0.03, 10.1, 0.7, 165, 0.25, ("ambient", "neoclassical", "techno"), circles=3,
              album=0.02, discover=0.04, skip=0.03, shuffle=0.06, repeat=0.25, stay=0.22, platform="macos"),
        Habit("workout", 0.42, 0.35, 18.6, 0.5, 52, 0.18, ("techno", "metal", "hip hop"), circles=1,
              album=0.0, discover=0.01, skip=0.2, shuffle=0.93, repeat=0.75, stay=0.3),
        Habit("lunch break", 0.55, 0.1, 12.6, 0.3, 30, 0.25, ("soul", "folk", "jazz"), circles=2,
              album=0.0, discover=0.1, skip=0.12, shuffle=0.2, repeat=0.03, stay=0.1, podcast=0.2),
        Habit("evening album", 0.55, 0.5, 20.6, 0.7, 62, 0.25, ("jazz", "folk", "dream pop"), circles=1,
              album=0.93, discover=0.3, skip=0.03, shuffle=0.0, repeat=0.0, stay=0.7, platform="cast"),
        Habit("late-night deep dive", 0.36, 0.42, 23.4, 0.6, 105, 0.28, ("dream pop", "ambient", "jazz"), circles=2,
              album=0.12, discover=0.52, skip=0.16, shuffle=0.02, repeat=0.01, stay=0.4, audiobook=0.06,
              platform="web"),
        Habit("weekend explorer", 0.03, 0.72, 11.3, 0.9, 120, 0.28, ("folk", "soul", "house", "indie rock"), circles=6,
              album=0.0, discover=0.62, skip=0.46, shuffle=0.12, repeat=0.0, stay=0.05, podcast=0.05, platform="macos"),
        Habit("party shuffle", 0.02, 0.3, 20.9, 0.6, 255, 0.2, ("house", "synth pop", "hip hop"), circles=5,
              album=0.0, discover=0.08, skip=0.38, shuffle=1.0, repeat=0.08, stay=0.04, platform="cast"),
        Habit("sunday cooking", 0.12, 0.65, 17.2, 0.7, 75, 0.25, ("soul", "jazz", "house"), circles=2,
              album=0.05, discover=0.05, skip=0.06, shuffle=0.55, repeat=0.05, stay=0.12, platform="cast"),
        Habit("falling asleep", 0.6, 0.55, 22.7, 0.4, 38, 0.2, ("ambient", "neoclassical"), circles=1,
              album=0.0, discover=0.0, skip=0.0, shuffle=0.0, repeat=0.8, stay=0.6, audiobook=0.12),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listener:
    """Who lives a life. `zones` are later changes of place, (from when, IANA zone, country), earliest first."""

    user_id: str
    display_name: str
    time_zone: str
    country: str
    born: date  # first local day with any listening
    habits: tuple[Habit, ...]
    seed: int
    zones: tuple[tuple[datetime, str, str], ...] = ()
    circles: int = 16  # how many circles they ever care for
    busyness: float = 1.0  # scales how often sessions happen, and on some days how long they are
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
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
