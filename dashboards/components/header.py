"""The top of a page (links to the others, title, controls, notices) and its last line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from dashboards.components.blocks import joined
from dashboards.components.templates import macros
from dashboards.medium import medium
from dashboards.pages import PAGES

_header = macros("header.html.j2")


def page_address(page: str, parameters: Mapping[str, str]) -> str:
    """The page's address relative to another page, with these parameters; in a file the file's name."""
    if medium() == "file":
        return f"{page}.html"
    return f"../{page}/" + (f"?{urlencode(parameters)}" if parameters else "")


def topbar(page: str, parameters: Mapping[str, str]) -> Markup:
    """Links to the home page and all pages, this one marked; they keep the parameters."""
    links = [
        {"address": page_address(name, parameters), "title": title, "current": name == page}
        for name, (title, _) in PAGES.items()
    ]
    home = "overview.html" if medium() == "file" else "../" + (f"?{urlencode(parameters)}" if parameters else "")
    return _header.topbar(links, home)


def masthead(title: str, lead: str, controls: Sequence[object] = ()) -> Markup:
    """The page's title, a sentence below it, and the controls."""
    return _header.masthead(title, lead, joined(controls) if controls else None)


def failed_run(state: Mapping[str, Any], time_zone: str, parameters: Mapping[str, str]) -> Markup:
    """Says that the newest run failed its checks, how old the data shown are, and where to read more.

    :param state: of queries.data_state().
    """
    return _header.failed_run(state, time_zone, page_address("quality", parameters))


def footer(listener: Mapping[str, Any], state: Mapping[str, Any], time_zone: str) -> Markup:
    """Whose data these are, how new, and in which time zone.

    :param listener: of queries.listener(). :param state: of queries.data_state().
    """
    return _header.footer(listener, state, time_zone)
