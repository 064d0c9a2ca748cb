"""Personas: their cards, the clustering they come from, and sessions typical of them."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from dashboards.components.formatting import MISSING, count, day, percent
from dashboards.components.templates import macros

_personas = macros("personas.html.j2")
# Measures that are no shares.
_COUNTED = {"minutes", "unique_artists"}


def model_note(model: dict[str, Any]) -> str:
    """The clustering in words.

    :param model: of queries.current_model(); empty text when there is none.
    """
    if not model:
        return ""
    quality = "" if model["silhouette"] is None else f", silhouette {model['silhouette']:.2f}"
    return (
        f"{model['k']} groups found in {count(model['training_sessions'])} sessions from {day(model['trained_from'])} "
        f"to {day(model['trained_to'])}{quality}"
    )


def persona_card(persona: Any, colour: str) -> Markup:
    """Who the persona is, why it has its name, and its share of the listening time.

    :param persona: a row of queries.personas().
    """
    change = persona.recent_share_of_time - persona.share_of_time
    trend = (
        "about the same as overall"
        if abs(change) < 0.02
        else f"{abs(change) * 100:.0f} points {'more' if change > 0 else 'less'} than overall"
    )
    measures = [
        (name.replace("_", " "), *(_measure(name, value) for value in values))
        for name, values in persona.traits["measures"].items()
    ]
    return _personas.card(persona, colour, trend, measures)


def _measure(name: str, value: float | None) -> str:
    if value is None:
        return MISSING
    return count(value) if name in _COUNTED else percent(value)


def typical_session(session: Any, label: str, colour: str) -> Markup:
    """When the session began, how long it was, and its first tracks.

    :param session: a row of queries.typical_sessions(). :param label: its persona's.
    """
    return _personas.typical_session(session, label, colour)
