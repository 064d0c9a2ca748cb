"""The demo's four listeners, and as many invented ones as a test or benchmark needs."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date

from include.demo.random_draws import RandomDraws
from include.demo.session_types import SESSION_TYPES, Listener, SessionType, utc


def _session_types(*names: str) -> tuple[SessionType, ...]:
    return tuple(SESSION_TYPES[name] for name in names)


# Above 50 plays on most days, above 200 on some.
ADA = Listener(
    user_id="ada",
    display_name="Ada Kowalczyk",
    time_zone="Europe/Berlin",
    country="DE",
    first_day=date(2022, 6, 1),
    session_types=_session_types(
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
    first_day=date(2023, 9, 4),
    session_types=_session_types("lunch break", "workout", "late-night deep dive", "weekend explorer", "evening album"),
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
    first_day=date(2023, 10, 16),
    session_types=_session_types("lunch break", "focus at work", "evening album", "falling asleep"),
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
    first_day=date(2026, 10, 12),
    session_types=tuple(
        replace(session_type, podcast=0.0, minutes=16.0)
        for session_type in _session_types("lunch break", "evening album")
    ),
    seed=41,
    circles=6,
    busyness=0.5,
    most_plays=12,
    has_export=False,
)

DEMO_LISTENERS = (ADA, BEA, CARL, DORA)

# Session types that differ in when and how music is played; an invented listener has 4 to 6, one of each group.
_GROUPS = (
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
    user_id: str, seed: int, *, first_day: date = date(2023, 1, 1), busyness: float = 1.0, time_zone: str = "UTC"
) -> Listener:
    """A listener with 4 to 6 session types, varied in hour, length and taste; the same seed gives the same listener.

    A busyness of 1 gives about 25 to 70 plays a day; plays grow about linearly with it.
    """
    draws = RandomDraws("invented listener", seed)
    groups = [*_GROUPS[:2], *draws.shuffled(_GROUPS[2:])[: 2 + draws.below(3)]]
    session_types = []
    for group in groups:
        session_type = SESSION_TYPES[draws.pick(group)]
        often = draws.lognormal(1.0, 0.15)
        session_types.append(
            replace(
                session_type,
                per_weekday=session_type.per_weekday * often,
                per_weekend_day=session_type.per_weekend_day * often,
                hour=session_type.hour + draws.between(-0.7, 0.7),
                minutes=session_type.minutes * draws.between(0.85, 1.2),
                discover=session_type.discover * draws.between(0.75, 1.2),
                skip=session_type.skip * draws.between(0.7, 1.4),
            )
        )
    return Listener(
        user_id=user_id,
        display_name=user_id.title(),
        time_zone=time_zone,
        country="DE",
        first_day=first_day,
        session_types=tuple(session_types),
        seed=seed,
        circles=14 + draws.below(8),
        busyness=busyness,
    )


def busy_listener(user_id: str, seed: int, *, first_day: date, time_zone: str = "UTC") -> Listener:
    """An invented listener who plays music from morning to night: more than 200 plays on most days."""
    listener = invent_listener(user_id, seed, first_day=first_day, busyness=2.0, time_zone=time_zone)
    session_types = tuple(
        replace(
            session_type,
            name=f"{session_type.name} {hour}",
            hour=hour,
            minutes=130,
            per_weekday=0.95,
            per_weekend_day=0.95,
        )
        for hour, session_type in zip(range(6, 24, 2), itertools.cycle(listener.session_types), strict=False)
    )
    return replace(listener, session_types=session_types)
