"""The pieces every page is put together from: sections, cards, key figures, rankings, tables, notices.

Their parts are HTML (Markup), marimo controls, or text, which is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import marimo as mo
from markupsafe import Markup

from dashboards.components.controls import as_html
from dashboards.components.templates import macros

_blocks = macros("blocks.html.j2")


def joined(parts: Iterable[object]) -> Markup:
    """The parts one after the other."""
    return Markup().join(map(as_html, parts))


def lines(*parts: str) -> Markup:
    """The parts that are not empty, each on a line of its own."""
    return Markup("<br>").join(filter(None, parts))


def page_part(*parts: object) -> mo.Html:
    """A piece of the page as a cell's output."""
    return mo.Html(str(_blocks.part(joined(parts))))  # marimo cannot send a Markup to the browser


def block(title: str, *parts: object, note: str = "", control: object = None) -> Markup:
    """A titled section; a control that belongs to it stands beside the title."""
    return _blocks.block(title, joined(parts), note, None if control is None else as_html(control))


def cards(*parts: object, min_width: str = "17rem") -> Markup:
    """Cards side by side, as many as fit when each is at least so wide."""
    return _blocks.cards(joined(parts), min_width)


def card(title: str, *parts: object, note: str = "") -> Markup:
    """A card with a title and a note above its parts."""
    return _blocks.card(title, joined(parts), note)


@dataclass(frozen=True)
class Figure:
    """A key figure: what it counts, its value, and what to compare it with (text or HTML)."""

    label: str
    value: str
    note: str = ""


def figures(*items: Figure) -> Markup:
    """Key figures in a row."""
    return _blocks.figures(items)


def change(now: float, before: float | None, of_what: str) -> str:
    """'▲ 12% vs …' in words a screen reader can say too; empty when there is nothing to compare with."""
    if before is None:
        return ""
    if not before:
        return f"none in {of_what}" if now else ""
    ratio = now / before - 1
    if abs(ratio) < 0.005:
        return f"same as {of_what}"
    amount = f"{abs(ratio):.0%}" if abs(ratio) < 9.995 else f"{ratio + 1:.0f}×"
    return _blocks.change("up" if ratio > 0 else "down", amount, of_what)


def signed(change: int) -> Markup:
    """A change with its sign, coloured by direction."""
    return _blocks.signed(change)


def notice(message: str, *, tone: str = "") -> Markup:
    """A sentence in a box; tone '', 'warn' or 'bad'."""
    return _blocks.notice(message, tone)


def empty(message: str) -> Markup:
    """What stands where there is nothing to show."""
    return _blocks.empty(message)


def space() -> Markup:
    """A gap between two parts."""
    return _blocks.space()


def controls(*parts: object) -> Markup:
    """Controls side by side."""
    return _blocks.controls(joined(parts))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, numbers: Iterable[int] = ()
) -> Markup:
    """A table of text or HTML; `numbers` are the columns to set right-aligned."""
    return _blocks.table(columns, rows, caption, set(numbers))
