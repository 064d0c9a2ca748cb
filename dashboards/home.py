"""The home page: every listener with the half year so far, every page with the question it answers."""

from __future__ import annotations

import datetime as dt
from itertools import cycle
from urllib.parse import urlencode

from markupsafe import Markup

from dashboards import queries
from dashboards.charts import svg_charts
from dashboards.components import theme
from dashboards.components.templates import render
from dashboards.pages import PAGES
from dashboards.pages.opening import NO_LISTENERS
from dashboards.prerender import FRONTEND_PATH

WEEKS = 26


def home_page() -> Markup:
    """The whole HTML document."""
    listeners = []
    for row, colour in zip(queries.listeners().itertuples(), cycle(theme.PERSONA_COLOURS), strict=False):
        person = queries.listener(row.user_id)
        calendar = ""
        if person["plays"]:
            days = queries.days(row.user_id, person["as_of"] - dt.timedelta(weeks=WEEKS), person["as_of"])
            calendar = svg_charts.calendar(days, person["as_of"], weeks=WEEKS)
        cover = svg_charts.cover(row.user_id, colour, label="")
        address = urlencode({"listener": row.user_id})
        listeners.append({**person, "name": row.display_name, "address": address, "cover": cover, "calendar": calendar})
    return render(
        "home.html.j2",
        head=theme.head(),
        fonts=theme.fonts(FRONTEND_PATH),
        listeners=listeners,
        pages=PAGES,
        nobody=NO_LISTENERS,
    )
