"""The common look: words for numbers, cards, rankings, notices, the page's head, and the Altair theme.

Everything here turns values into escaped HTML; colours are CSS custom properties of look.css, so that light and dark
need no second rendering.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import html
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import altair as alt
import marimo as mo

PAGES = {
    "overview": ("Overview", "What played, and what stands out"),
    "trends": ("Trends", "How listening changes over time"),
    "personas": ("Personas", "Who this listener is, session by session"),
    "playlists": ("Playlists", "Made from the personas, every track with its reason"),
    "quality": ("Quality", "How sound and how fresh these data are"),
}
Medium = Literal["marimo", "first paint", "file"]
# What the page is made for. In marimo controls and charts are live. A first paint has plain form controls, and room
# where the charts will be. In a file charts are SVG, controls disappear and links lead to files.
MEDIUM: ContextVar[Medium] = ContextVar("medium", default="marimo")
PERSONA_COLOURS = [f"var(--tone-p{number})" for number in range(8)]

FRONTEND = Path(mo.__file__).parent / "_static"

# Runs before marimo's own scripts. The service worker would only serve public/ files, of which there are none, and
# would sit between every request and the browser's cache: it gets one that never registers.
_HEAD_SCRIPT = """{
const never = new Promise(() => {});
Object.defineProperty(Navigator.prototype, 'serviceWorker', {value: {register: () => never, ready: never}});
if (window.self !== window.top) document.documentElement.classList.add('framed');
const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark', dark.matches);
dark.onchange = follow;
follow();
}"""
# A title that begins so makes marimo copy the sheet into its widgets' shadow roots.
_STYLE_TITLE = "marimo-listening"


def stylesheet() -> str:
    return (Path(__file__).parent / "look.css").read_text()


@functools.cache
def fonts(path: str) -> str:
    """@font-face rules for the fonts that marimo brings along; `path` is where its frontend is served."""
    faces = {
        "Lora": ("Lora-*.woff2", "400 700"),
        "PT Sans": ("PTSans-Regular*.woff2", "400"),
        "PT Sans Bold": ("PTSans-Bold*.woff2", "700"),
    }
    rules = []
    for family, (pattern, weight) in faces.items():
        for file in (FRONTEND / "assets").glob(pattern):
            name = family.removesuffix(" Bold")
            source = f'url({path}/assets/{file.name}) format("woff2")'
            face = f'font-family:"{name}";font-weight:{weight};font-display:swap;src:{source}'
            rules.append(f"@font-face{{{face}}}")
    return "".join(rules)


def head() -> str:
    """What every page carries in its <head>."""
    icon = quote(f'<svg xmlns="http://www.w3.org/2000/svg" {RECORD[5:]}')
    for token, colour in (("ink", "#14211d"), ("paper", "#f3f5f1"), ("accent", "#0b6b58")):
        icon = icon.replace(quote(f"var(--tone-{token})"), quote(colour))
    return (
        f'<link rel="icon" href="data:image/svg+xml,{icon}"><script>{_HEAD_SCRIPT}</script><style '
        f'title="{_STYLE_TITLE}">{stylesheet()}</style>'
    )


# Words for numbers --------------------------------------------------------------------------------------------------


def text(value: object) -> str:
    """Escaped for HTML; empty for None and NaN."""
    return "" if value is None or value != value else html.escape(str(value))


def count(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f}"


def of_30s(plays_30s: float) -> str:
    """What to say beside a number of plays: how many lasted 30 s or more, from where Spotify counts a stream."""
    return f"{count(plays_30s)} of 30 s or more"


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def duration(ms: float | None) -> str:
    """Milliseconds in the units people say: '48 s', '37 min', '3 h 12 min', from a day on '63 h'."""
    if ms is None:
        return "–"
    minutes = round(ms / 60_000)
    if ms < 60_000:
        return f"{round(ms / 1000)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes / 60:,.0f} h"


def clock_length(ms: float | None) -> str:
    """Track length, '3:07'; empty when unknown."""
    if ms is None or ms != ms:
        return ""
    seconds = round(ms / 1000)
    return f"{seconds // 60}:{seconds % 60:02d}"


def day(value: dt.date | None) -> str:
    return "–" if value is None else f"{value:%-d %b %Y}"


def moment(value: dt.datetime | None, time_zone: str) -> str:
    """A UTC instant in the listener's own time."""
    return "–" if value is None else f"{value.astimezone(ZoneInfo(time_zone)):%-d %b %Y, %H:%M}"


def change(now: float, before: float | None, of_what: str) -> str:
    """'▲ 12 % vs …' in words a screen reader can say too."""
    if before is None:
        return ""
    if not before:
        return f"none in {text(of_what)}" if now else ""
    ratio = now / before - 1
    if abs(ratio) < 0.005:
        return f"same as {text(of_what)}"
    arrow, name, tone = ("▲", "up", "up") if ratio > 0 else ("▼", "down", "down")
    amount = f"{abs(ratio):.0%}" if abs(ratio) < 9.995 else f"{ratio + 1:.0f}×"
    return (
        f'<span class="{tone}"><span aria-hidden="true">{arrow}</span><span class="visually-hidden">{name}</span> '
        f"{amount}</span> vs {text(of_what)}"
    )


# Blocks -------------------------------------------------------------------------------------------------------------


def _joined(parts: Iterable[object]) -> str:
    return "".join(part if isinstance(part, str) else widget(part) for part in parts)


def widget(element: Any) -> str:
    """A marimo control's HTML; nothing in a file, where it could not work."""
    medium = MEDIUM.get()
    if medium == "marimo":
        return mo.as_html(element).text
    return plain_control(element) if medium == "first paint" else ""


def plain_control(element: Any) -> str:
    """A marimo control as the browser's own; the address calls it by its label's first word."""
    label = element._args.label
    chosen = element._value  # .value is refused in the cell that makes the control
    name = label.split()[0].lower()
    if isinstance(element, mo.ui.date_range):
        days = "".join(
            f'<input type="date" name="range" aria-label="{word}" value="{value}" min="{element.start}" '
            f'max="{element.stop}">'
            for word, value in zip(("From", "To"), chosen, strict=True)
        )
        return f'<span class="plain"><span>{text(label)}</span>{days}</span>'
    if isinstance(element, mo.ui.radio):
        choices = "".join(
            f'<label><input type="radio" name="{name}" value="{text(value)}"'
            f"{' checked' if value == chosen else ''}>{text(words)}</label>"
            for words, value in element.options.items()
        )
        return (
            f'<span class="plain" role="radiogroup" aria-label="{text(label)}"><span>{text(label)}</span>'
            f"{choices}</span>"
        )
    options = "".join(
        f'<option value="{text(value)}"{" selected" if value == chosen else ""}>{text(words)}</option>'
        for words, value in element.options.items()
    )
    return f'<label class="plain"><span>{text(label)}</span><select name="{name}">{options}</select></label>'


def space() -> str:
    return '<div class="space"></div>'


def download(label: str, file_name: str, mimetype: str, content: bytes) -> str:
    """A button that saves a file."""
    if MEDIUM.get() == "marimo":
        return mo.as_html(mo.download(content, file_name, mimetype=mimetype, label=label)).text
    data = base64.b64encode(content).decode()
    return f'<a download="{text(file_name)}" href="data:{mimetype};base64,{data}">{text(label)}</a>'


def page_part(*parts: object) -> mo.Html:
    """Hand a piece of the page to marimo."""
    return mo.Html(f'<div class="listening">{_joined(parts)}</div>')


def block(title: str, *parts: object, note: str = "", control: object = None) -> str:
    """A titled section; a control that belongs to it stands beside the title."""
    about = f"<p>{text(note)}</p>" if note else ""
    about += f'<div class="controls">{_joined([control])}</div>' if control is not None else ""
    return f'<section class="block"><header><h2>{text(title)}</h2>{about}</header>{_joined(parts)}</section>'


def cards(*parts: object, min_width: str = "17rem") -> str:
    return f'<div class="cards" style="--min:{min_width}">{_joined(parts)}</div>'


def card(title: str, *parts: object, note: str = "") -> str:
    about = f"<p>{text(note)}</p>" if note else ""
    head = f"<header><h3>{text(title)}</h3>{about}</header>" if title else about
    return f'<article class="card">{head}{_joined(parts)}</article>'


@dataclass(frozen=True)
class Figure:
    """A key figure: what it counts, its value, and (HTML) what to compare it with."""

    label: str
    value: str
    note: str = ""


def figures(items: Sequence[Figure]) -> str:
    cells = "".join(
        f'<div class="figure"><dt>{text(item.label)}</dt><dd><span class="value">{_value(item.value)}</span>'
        f'<span class="note">{item.note}</span></dd></div>'
        for item in items
    )
    return f'<dl class="figures">{cells}</dl>'


_UNITS = {"h", "min", "s", "days", "plays"}


def _value(value: str) -> str:
    """Units smaller than their numbers: '3 h 12 min'."""
    return " ".join(f"<small>{word}</small>" if word in _UNITS else text(word) for word in value.split(" "))


def notice(message: str, *, tone: str = "") -> str:
    """A sentence (HTML) in a box; tone '' , 'warn' or 'bad'."""
    role = "alert" if tone == "bad" else "status"
    return f'<div class="notice {tone}" role="{role}">{message}</div>'


def folded(summary: str, content: str) -> str:
    """Content (HTML) behind a summary that opens it."""
    return f'<details class="rest"><summary>{text(summary)}</summary>{content}</details>'


def empty(message: str) -> str:
    return f'<p class="quiet">{text(message)}</p>'


def tag(word: str, tone: str = "", *, mark: str = "") -> str:
    shape = f'<span aria-hidden="true">{text(mark)}</span> ' if mark else ""
    return f'<span class="tag {tone}">{shape}{text(word)}</span>'


@dataclass(frozen=True)
class Ranked:
    rank: int
    name: str
    by: str
    amount: str
    share: float
    previous_rank: int | None
    known_before: bool = True


def ranking(rows: Sequence[Ranked], *, label: str, since: str) -> str:
    """An ordered list with a bar each (share 0 to 1) and the change of rank against `since`."""
    items = []
    for row in rows:
        by = f'<span class="by">{text(row.by)}</span>' if row.by else ""
        items.append(
            f'<li><span class="rank">{row.rank}</span><span class="name">{text(row.name)}{by}</span>'
            f'<span class="amount">{text(row.amount)}<span class="move">{_move(row, since)}</span></span>'
            f'<span class="bar" aria-hidden="true"><i style="width:{max(row.share, 0.01):.1%}"></i></span></li>'
        )
    return f'<ol class="ranking" aria-label="{text(label)}">{"".join(items)}</ol>'


def _move(row: Ranked, since: str) -> str:
    if not row.known_before:
        return ""
    if row.previous_rank is None:
        return f'<span class="up" title="not there in {text(since)}">new</span>'
    places = row.previous_rank - row.rank
    if places == 0:
        return f'<span title="same rank as in {text(since)}">=<span class="visually-hidden"> same rank</span></span>'
    tone, arrow, word = ("up", "▲", "up") if places > 0 else ("down", "▼", "down")
    return (
        f'<span class="{tone}" title="rank {row.previous_rank} in {text(since)}"><span '
        f'aria-hidden="true">{arrow}</span>'
        f'<span class="visually-hidden">{word}</span> {abs(places)}</span>'
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, numbers: Iterable[int] = ()) -> str:
    """Cells are HTML; `numbers` are the columns to set right-aligned."""
    right = set(numbers)

    def cell(kind: str, place: int, value: str) -> str:
        name = ' class="number"' if place in right else ""
        scope = ' scope="col"' if kind == "th" else ""
        return f"<{kind}{name}{scope}>{value}</{kind}>"

    head_row = "".join(cell("th", place, text(name)) for place, name in enumerate(columns))
    body = "".join(f"<tr>{''.join(cell('td', place, value) for place, value in enumerate(row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption>"
        f"<thead><tr>{head_row}</tr></thead><tbody>{body}</tbody></table></div>"
    )


# Head of the page ---------------------------------------------------------------------------------------------------

RECORD = (
    '<svg viewBox="0 0 40 40" aria-hidden="true"><circle cx="20" cy="20" r="19" fill="var(--tone-ink)"/>'
    '<g fill="none" stroke="var(--tone-paper)" stroke-opacity=".35"><circle cx="20" cy="20" '
    'r="15.5"/><circle cx="20" cy="20" r="12.5"/></g>'
    '<circle cx="20" cy="20" r="8" fill="var(--tone-accent)"/><circle cx="20" cy="20" r="1.8" '
    'fill="var(--tone-paper)"/></svg>'
)


def address(page: str, **parameters: Any) -> str:
    """A page's relative address with the view's parameters."""
    if MEDIUM.get() == "file":
        return f"{page}.html"
    query = urlencode({key: value for key, value in parameters.items() if value})
    return f"../{page}/" + (f"?{query}" if query else "")


def topbar(page: str, parameters: dict[str, Any]) -> str:
    links = "".join(
        f'<a href="{text(address(name, **parameters))}"{" aria-current=page" if name == page else ""}>{text(title)}</a>'
        for name, (title, _) in PAGES.items()
    )
    home = (
        "overview.html" if MEDIUM.get() == "file" else text("../" + (f"?{urlencode(parameters)}" if parameters else ""))
    )
    return (
        f'<header class="topbar"><a class="brand" href="{home}">{RECORD}<span>Listening</span></a>'
        f'<nav aria-label="Dashboards">{links}</nav></header>'
    )


def masthead(title: str, lead: str, controls: Sequence[object]) -> str:
    widgets = f'<div class="controls" role="group" aria-label="View">{_joined(controls)}</div>' if controls else ""
    return f'<div class="masthead"><div><h1>{text(title)}</h1><p class="lead">{lead}</p></div>{widgets}</div>'


# Charts -------------------------------------------------------------------------------------------------------------


@alt.theme.register("listening", enable=True)
def _theme() -> alt.theme.ThemeConfig:
    axis: alt.theme.AxisConfigKwds = {
        "labelColor": "var(--tone-muted)",
        "titleColor": "var(--tone-muted)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
        "labelFont": "PT Sans",
        "titleFont": "PT Sans",
        "gridColor": "var(--tone-line)",
        "domainColor": "var(--tone-line)",
        "tickColor": "var(--tone-line)",
        "labelPadding": 6,
        "titlePadding": 10,
        "labelOverlap": True,
    }
    return {
        "config": {
            "background": "transparent",
            "font": "PT Sans",
            "view": {"stroke": None},
            "axis": axis,
            "axisX": {"grid": False},
            "axisY": {"domain": False, "ticks": False},
            "legend": {
                "labelColor": "var(--tone-ink)",
                "titleColor": "var(--tone-muted)",
                "labelFont": "PT Sans",
                "labelFontSize": 12,
                "orient": "top",
                "title": None,
                "symbolType": "circle",
            },
            "bar": {"color": "var(--tone-accent)", "cornerRadiusEnd": 2},
            "line": {"color": "var(--tone-accent)", "strokeWidth": 2},
            "area": {"color": "var(--tone-accent)"},
            "range": {"category": PERSONA_COLOURS},
        }
    }


AXIS_HEIGHT = 38  # what an axis' labels add to a chart's height


def chart(drawing: alt.TopLevelMixin, *, label: str, height: int = 220, columns: int = 1) -> str:
    """A chart as wide as its card, of which `columns` stand side by side on a wide screen. `label` says in words what
    it shows, for those who do not see it."""
    drawing = drawing.properties(
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        usermeta={"embedOptions": {"renderer": "svg", "actions": False}},
    )
    if MEDIUM.get() == "first paint":
        return f'<figure role="img" aria-label="{text(label)}" style="height:{height + AXIS_HEIGHT}px"></figure>'
    if MEDIUM.get() == "file":
        drawn = f'<div class="scroll" tabindex="0">{_svg(drawing, 1140 // columns - 50)}</div>'
    else:
        drawn = mo.as_html(drawing).text
    return f'<figure role="img" aria-label="{text(label)}">{drawn}</figure>'


def _svg(drawing: alt.TopLevelMixin, width: int) -> str:
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(drawing.properties(width=width).to_dict())
    style = f"width:100%;height:auto;min-width:{min(width, 420)}px"
    return drawn.replace("<svg ", f'<svg style="{style}" ', 1)
