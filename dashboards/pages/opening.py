"""What every page begins with: listener and period, from the address or the controls, and the top of the page.

marimo runs a cell again when a control made in another cell changes, never for one that it made itself. So that a
control keeps the keyboard's focus while it is used, each page has three cells: the listener; the period, whose choices
depend on the listener; and the view.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import marimo as mo

from dashboards import queries
from dashboards.components import blocks, controls, header
from dashboards.components.formatting import count, day
from dashboards.medium import address_parameters
from dashboards.pages import PAGES

NO_LISTENERS = (
    "No listeners yet. Authorize a Spotify account or put an export into the export folder, then run the DAG."
)


@dataclass(frozen=True)
class View:
    """One listener and one period.

    :param listener: of queries.listener(). :param problems: what the address asked for and does not exist.
    """

    page: str
    listener: dict[str, Any]
    period: queries.Period
    controls: list[object]
    problems: list[str]

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
        """The newest day of the published data: never the reader's clock."""
        return self.listener["as_of"] or dt.date.min

    @property
    def bounds(self) -> tuple[dt.date, dt.date]:
        """First and last day that a period can have."""
        return _bounds(self.listener)

    @property
    def parameters(self) -> dict[str, str]:
        """The address' parameters that give this view."""
        return {"listener": self.user_id, "period": self.period.key}

    @property
    def before(self) -> str:
        """The period before, in words."""
        return self.period.previous.label if self.period.previous else "4 weeks ago"

    def header(self) -> mo.Html:
        """The top of the page: links, title, controls, and what the reader must know before the numbers."""
        title, about = PAGES[self.page]
        name = self.listener["display_name"]
        lead = (
            f"{about}. {self.period.label}: {day(self.period.start)} to {day(self.period.end)}, "
            f"local time ({self.time_zone})."
        )
        if self.page != "overview":
            name, lead = title, f"{name} · {lead}"
        notices = [blocks.notice(problem, tone="warn") for problem in self.problems]
        if self.page != "quality":
            state = queries.data_state()
            if state and state["failed_checks"]:
                notices.append(header.failed_run(state, self.time_zone, self.parameters))
            if not self.has_data:
                notices.append(
                    blocks.notice(
                        "Nothing published for this listener yet. The next run of the DAG brings the first plays.",
                        tone="warn",
                    )
                )
            elif self.listener["plays"] < 100:
                notices.append(
                    blocks.notice(
                        f"Only {count(self.listener['plays'])} plays so far: enough to look at, too few for averages "
                        "and personas to mean much. An Extended Streaming History export fills in the years before."
                    )
                )
        return blocks.page_part(
            header.topbar(self.page, self.parameters), header.masthead(name, lead, self.controls), *notices
        )

    def footer(self) -> mo.Html:
        """The last line of the page."""
        return blocks.page_part(header.footer(self.listener, queries.data_state(), self.time_zone))


def listener_choice() -> tuple[Any, mo.ui.dropdown]:
    """The address' parameters and the listener control.

    The parameters are the browser's, those the page is rendered with, or those of the command line (`marimo export html
    … -- --listener ada`). Where they name no listener that exists, the one with the most plays is chosen.
    """
    address: Any = address_parameters()
    if address is None:
        address = mo.query_params()
        if not address.to_dict():
            for name in ("listener", "period"):
                if value := mo.cli_args().get(name):
                    address.set(name, str(value))
    people = queries.listeners()
    options = _labels(people)
    most = people.sort_values("plays", ascending=False, kind="stable")["user_id"]
    default = most.iloc[0] if len(most) else None
    return address, controls.choice(address, "listener", options, label="Listener", default=default)


def _labels(people: Any) -> dict[str, str]:
    """Display name → user id; two of the same name are told apart by their id."""
    names = list(people["display_name"])
    return {
        row.display_name if names.count(row.display_name) == 1 else f"{row.display_name} ({row.user_id})": row.user_id
        for row in people.itertuples()
    }


def period_choice(address: Any, user_id: str | None) -> tuple[mo.ui.dropdown, mo.ui.date_range]:
    """The period control with this listener's years, and the control for the days of an own range."""
    first, last = _bounds(queries.listener(user_id) if user_id else {})
    try:
        period = queries.period_of(address.get("period"), first, last)
    except ValueError:
        period = queries.period_of(None, first, last)
    own_range = mo.ui.date_range(
        start=min(first, period.start),
        stop=max(last, period.end),
        value=(period.start, period.end),
        label="From, to",
        on_change=lambda days: address.set("period", range_key(days)),
    )
    options = {f"Last {days} days": key for key, days in queries.ROLLING_DAYS.items()}
    options |= {"All time": "all"} | {str(year): str(year) for year in range(last.year, first.year - 1, -1)}
    options["Own range …"] = range_key((period.start, period.end))
    chosen = controls.choice(
        address,
        "period",
        options,
        label="Period",
        default=period.key,
        spelled=lambda key: range_key(own_range.value) if ".." in key else key,
    )
    return chosen, own_range


def range_key(days: tuple[dt.date, dt.date]) -> str:
    """How the address spells an own range."""
    return f"{days[0]}..{days[1]}"


def view(
    page: str, address: Any, listener: mo.ui.dropdown, period: mo.ui.dropdown, own_range: mo.ui.date_range
) -> View:
    """The view that the controls describe. Without any listener the page ends here, with a notice."""
    user_id = listener.value
    if user_id is None:
        title, about = PAGES[page]
        parts = [header.topbar(page, {}), header.masthead(title, about), blocks.notice(NO_LISTENERS)]
        mo.stop(True, blocks.page_part(*parts))
    person = queries.listener(user_id)
    first, last = _bounds(person)
    problems = []
    wanted = address.get("listener")
    if wanted and wanted != user_id and wanted not in listener.options.values():
        problems.append(f"There is no listener “{wanted[:40]}”. This is {person['display_name']}.")
    try:
        queries.period_of(address.get("period"), first, last)
    except ValueError as error:
        problems.append(str(error))
    is_own = ".." in period.value
    chosen = queries.period_of(range_key(own_range.value) if is_own else period.value, first, last)
    return View(page, person, chosen, [listener, period, own_range] if is_own else [listener, period], problems)


def _bounds(person: Mapping[str, Any]) -> tuple[dt.date, dt.date]:
    last = person.get("as_of") or person.get("last_date") or dt.date(2026, 1, 1)
    return person.get("first_date") or last, max(last, person.get("last_date") or last)
