"""The only file in plugins/ that Airflow loads by itself. The rest is package `listening` (see .airflowignore)."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from airflow.sdk.plugins_manager import AirflowPlugin
from listening.links import DASHBOARDS_URL, dashboard_address
from listening.preload import TaskPreload

from dashboards.pages import PAGES

ICON = "data:image/svg+xml," + quote(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" fill="none" stroke="{colour}" stroke-width="2.5">'
    '<circle cx="20" cy="20" r="17"/><circle cx="20" cy="20" r="11"/><circle cx="20" cy="20" r="3" fill="{colour}"/>'
    "</svg>",
    safe="{}",
)


class ListeningPlugin(AirflowPlugin):
    """The dashboards in Airflow's navigation, and libraries loaded before tasks are forked."""

    name = "listening"
    external_views: ClassVar[list] = [  # type: ignore[misc]  # Airflow declares instance variables and reads the class
        {
            "name": "Listening",
            "href": f"{DASHBOARDS_URL}/",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "listening",
            "icon": ICON.format(colour="%2352525b"),
            "icon_dark_mode": ICON.format(colour="%23d4d4d8"),
        },
        *(
            {
                "name": page.capitalize(),
                "href": dashboard_address(page),
                "destination": "nav",
                "category": "Listening",
                "url_route": f"listening-{page}",
            }
            for page in PAGES
        ),
    ]
    listeners: ClassVar[list] = [TaskPreload()]  # type: ignore[misc]  # likewise
