"""What the reader chose: listener and period, read from the address, shown as controls, kept in the address."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import marimo as mo

from dashboards import listening_data, look

CUSTOM = "custom"


# The address' parameters where no browser holds them: set while a page is rendered outside one.
ADDRESS: ContextVar[dict[str, str] | None] = ContextVar("address", default=None)


def read_address() -> Any:
    """The address' parameters; without a browser, those given in ADDRESS or on the command line (`marimo export html
    … -- --listener ada`)."""
    given = ADDRESS.get()
    if given is not None:
        return given
    address = mo.query_params()
    if not address.to_dict():
        for name in ("listener", "period"):
            value = mo.cli_args().get(name)
            if value:
                address.set(name, str(value))
    return address


@dataclass(frozen=True)
class View:
    """One listener and one period; `listener` holds listening_data.listener()'s values."""

    listener: dict[str, Any]
    period: listening_data.Period
    notices: list[str] = field(default_factory=list)

    @property
    def user_id(self) -> str:
        return self.listener["user_id"]

    @property
    def time_zone(self) -> str:
        return self.listener["time_zone"]

    @property
    def has_data(self) -> bool:
        return bool(self.listener["plays"])

    @property
    def today(self) -> dt.date:
        """The day the published data stand at: never the reader's clock."""
        return self.listener["as_of"] or dt.date.min

    @property
    def parameters(self) -> dict[str, str]:
        return {"listener": self.user_id, "period": self.period.key}

    @property
    def before(self) -> str:
        return self.period.previous.label if self.period.previous else "4 weeks ago"


def listener_choice(address: Any) -> mo.ui.dropdown:
    """The listener control; the first listener with data where the address names none that exists."""
    people = listening_data.listeners()
    options = _labels(people)
    wanted = address.get("listener")
    chosen = next((label for label, user_id in options.items() if user_id == wanted), None)
    if chosen is None:
        best = people.sort_values("plays", ascending=False, kind="stable")["user_id"]
        chosen = next((label for label, user_id in options.items() if len(best) and user_id == best.iloc[0]), None)
    return mo.ui.dropdown(
        options, value=chosen, label="Listener", on_change=lambda user_id: address.set("listener", user_id)
    )


def _labels(people: Any) -> dict[str, str]:
    """Display name → user id; two of the same name are told apart by their id."""
    names = list(people["display_name"])
    return {
        row.display_name if names.count(row.display_name) == 1 else f"{row.display_name} ({row.user_id})": row.user_id
        for row in people.itertuples()
    }


def period_choice(address: Any, user_id: str | None) -> mo.ui.dropdown:
    """The period control with this listener's years."""
    person = listening_data.listener(user_id) if user_id else {}
    first, last = _bounds(person)
    options = {f"Last {days} days": key for key, days in listening_data.ROLLING_DAYS.items()}
    options |= {"All time": "all"} | {str(year): str(year) for year in range(last.year, first.year - 1, -1)}
    options["Own range …"] = CUSTOM
    key = address.get("period")
    if key != CUSTOM:
        try:
            key = listening_data.period_of(key, first, last).key
        except ValueError:
            key = listening_data.DEFAULT_PERIOD
    chosen = next((label for label, value in options.items() if value == key), "Own range …")

    def keep(value: str) -> None:
        if value != CUSTOM:
            address.set("period", value)

    return mo.ui.dropdown(options, value=chosen, label="Period", on_change=keep)


def range_choice(address: Any, user_id: str | None) -> mo.ui.date_range:
    """First and last day of an own range."""
    first, last = _bounds(listening_data.listener(user_id) if user_id else {})
    try:
        period = listening_data.period_of(address.get("period"), first, last)
    except ValueError:
        period = listening_data.period_of(None, first, last)
    low, high = min(first, period.start), max(last, period.end)
    return mo.ui.date_range(
        start=low,
        stop=high,
        value=(period.start, period.end),
        label="From, to",
        on_change=lambda value: address.set("period", f"{value[0]}..{value[1]}"),
    )


def view(address: Any, user_id: str | None, period: str, days: tuple[dt.date, dt.date]) -> View | None:
    """The view that the controls' values describe, with notices about what the address asked in vain; None without
    listeners."""
    if user_id is None:
        return None
    person = listening_data.listener(user_id)
    first, last = _bounds(person)
    notices = []
    wanted = address.get("listener")
    if wanted and wanted != user_id and wanted not in set(listening_data.listeners()["user_id"]):
        notices.append(f"There is no listener “{wanted[:40]}”. This is {person['display_name']}.")
    key = f"{days[0]}..{days[1]}" if period == CUSTOM else period
    if address.get("period") != CUSTOM:
        try:
            listening_data.period_of(address.get("period"), first, last)
        except ValueError as error:
            notices.append(str(error))
    return View(person, listening_data.period_of(key, first, last), notices)


def _bounds(person: Mapping[str, Any]) -> tuple[dt.date, dt.date]:
    last = person.get("as_of") or person.get("last_date") or dt.date(2026, 1, 1)
    return person.get("first_date") or last, max(last, person.get("last_date") or last)


def top_of_page(page: str, chosen: View | None, controls: list[object]) -> mo.Html:
    """Navigation, title, controls, and what the reader must know before the numbers."""
    title, about = look.PAGES[page]
    if chosen is None:
        return look.page_part(
            look.topbar(page, {}),
            look.masthead(title, about, []),
            look.notice(
                "No listeners yet. Authorize a Spotify account or put an export into the export folder, then "
                "run the DAG."
            ),
        )
    person = chosen.listener
    lead = (
        f"{look.text(about)}. {look.text(chosen.period.label)}: {look.day(chosen.period.start)} to "
        f"{look.day(chosen.period.end)}, local time ({look.text(chosen.time_zone)})."
    )
    notices = [look.notice(look.text(message), tone="warn") for message in chosen.notices]
    if page != "quality":
        notices += _data_notices(chosen)
    return look.page_part(
        look.topbar(page, chosen.parameters),
        look.masthead(f"{person['display_name']}", lead, controls)
        if page == "overview"
        else look.masthead(f"{title}", f"{look.text(person['display_name'])} · {lead}", controls),
        *notices,
    )


def _data_notices(chosen: View) -> list[str]:
    notices = []
    state = listening_data.data_state()
    if state and state["failed_checks"]:
        good = (
            (
                f"What you see was last found good on "
                f"<strong>{look.moment(state['last_good_at'], chosen.time_zone)}</strong>."
            )
            if state["last_good_at"] is not None
            else "No run has passed all checks yet."
        )
        notices.append(
            look.notice(
                f"<strong>The newest run failed {look.count(state['failed_checks'])} of its checks</strong>, "
                f"so nothing new was published. "
                f'{good} <a href="{look.text(look.address("quality", **chosen.parameters))}">See which</a>.',
                tone="bad",
            )
        )
    if not chosen.has_data:
        notices.append(
            look.notice(
                "Nothing published for this listener yet. The next run of the DAG brings the first plays.", tone="warn"
            )
        )
    elif chosen.listener["plays"] < 100:
        notices.append(
            look.notice(
                f"Only {look.count(chosen.listener['plays'])} plays so far: enough to look at, too few for "
                f"averages and personas to mean much. "
                "An Extended Streaming History export fills in the years before."
            )
        )
    return notices
