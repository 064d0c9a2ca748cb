"""Who listens: the four of the demo, and as many invented others as a test or a benchmark wants."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date

from include.demo.draws import Draws
from include.demo.habits import HABITS, Habit, Listener, utc
from include.demo.life import Life, Play, Session, build_life

__all__ = [
    "DEMO_LISTENERS",
    "Life",
    "Listener",
    "Play",
    "Session",
    "build_life",
    "busy_listener",
    "invent_listener",
    "listener_named",
]


def _habits(*names: str) -> tuple[Habit, ...]:
    return tuple(HABITS[name] for name in names)


# Above 50 plays on most days, above 200 on some.
ADA = Listener(
    user_id="ada",
    display_name="Ada Kowalczyk",
    time_zone="Europe/Berlin",
    country="DE",
    born=date(2022, 6, 1),
    habits=_habits(
        "morning commute", "focus at work", "workout", "evening album", "late-night deep dive", "party shuffle"
    ),
    seed=11,
    circles=30,
    busyness=1.45,
    local_files=True,
)

# Lives in New York, with long stays in Tokyo.
BEA = Listener(
    user_id="bea",
    display_name="Bea Winterbourne",
    time_zone="America/New_York",
    country="US",
    born=date(2023, 9, 4),
    habits=_habits("lunch break", "workout", "late-night deep dive", "weekend explorer", "evening album"),
    seed=23,
    zones=(
        (utc("2024-04-02T15:00:00"), "Asia/Tokyo", "JP"),
        (utc("2024-04-23T09:00:00"), "America/New_York", "US"),
        (utc("2025-10-05T15:00:00"), "Asia/Tokyo", "JP"),
        (utc("2025-12-19T09:00:00"), "America/New_York", "US"),
        (utc("2026-09-28T15:00:00"), "Asia/Tokyo", "JP"),
        (utc("2026-11-06T09:00:00"), "America/New_York", "US"),
    ),
)

CARL = Listener(
    user_id="carl",
    display_name="Carl Fenwick",
    time_zone="Australia/Sydney",
    country="AU",
    born=date(2023, 10, 16),
    habits=_habits("lunch break", "focus at work", "evening album", "falling asleep"),
    seed=37,
    busyness=1.2,
    local_files=True,
)

# New: twelve plays and no export yet.
DORA = Listener(
    user_id="dora",
    display_name="Dora Abara",
    time_zone="Europe/London",
    country="GB",
    born=date(2026, 10, 12),
    habits=tuple(replace(habit, podcast=0.0, minutes=16.0) for habit in _habits("lunch break", "evening album")),
    seed=41,
    circles=6,
    busyness=0.5,
    most_plays=12,
    has_export=False,
)

DEMO_LISTENERS = (ADA, BEA, CARL, DORA)

# Habits that can be told apart by when and how music is played; an invented listener has 4 to 6 of them.
_FAMILIES = (
    ("morning commute",),
    ("focus at work",),
    ("workout", "evening commute"),
    ("evening album", "sunday cooking"),
    ("late-night deep dive", "falling asleep"),
    ("party shuffle", "weekend explorer"),
)


def listener_named(user_id: str) -> Listener:
    """The demo listener of that id. Raises KeyError with the ids there are."""
    for listener in DEMO_LISTENERS:
        if listener.user_id == user_id:
            return listener
    known = ", ".join(listener.user_id for listener in DEMO_LISTENERS)
    raise KeyError(f"no demo listener {user_id!r}; there are: {known}")


def invent_listener(
    user_id: str, seed: int, *, born: date = date(2023, 1, 1), busyness: float = 1.0, time_zone: str = "UTC"
) -> Listener:
    """A listener with 4 to 6 habits of their own, shifted in hour, length and taste; the same for the same seed.

    A busyness of 1 gives about 25 to 70 plays a day; plays grow about linearly with it.
    """
    draws = Draws("invented listener", seed)
    families = [*_FAMILIES[:2], *draws.shuffled(_FAMILIES[2:])[: 2 + draws.below(3)]]
    habits = []
    for family in families:
        habit = HABITS[draws.pick(family)]
        often = draws.lognormal(1.0, 0.15)
        habits.append(
            replace(
                habit,
                per_weekday=habit.per_weekday * often,
                per_weekend_day=habit.per_weekend_day * often,
                hour=habit.hour + draws.between(-0.7, 0.7),
                minutes=habit.minutes * draws.between(0.85, 1.2),
                discover=habit.discover * draws.between(0.75, 1.2),
                skip=habit.skip * draws.between(0.7, 1.4),
            )
        )
    return Listener(
        user_id=user_id,
        display_name=user_id.title(),
        time_zone=time_zone,
        country="DE",
        born=born,
        habits=tuple(habits),
        seed=seed,
        circles=14 + draws.below(8),
        busyness=busyness,
    )


def busy_listener(user_id: str, seed: int, *, born: date, time_zone: str = "UTC") -> Listener:
    """An invented listener who plays music from morning to night: above 200 plays on most days."""
    listener = invent_listener(user_id, seed, born=born, busyness=2.0, time_zone=time_zone)
    habits = tuple(
        replace(habit, name=f"{habit.name} {hour}", hour=hour, minutes=130, per_weekday=0.95, per_weekend_day=0.95)
        for hour, habit in zip(range(6, 24, 2), itertools.cycle(listener.habits), strict=False)
    )
    return replace(listener, habits=habits)
