"""Airflow's navigation gets the dashboards; playlist, persona and check tasks get a link to the page that shows their
result."""

from __future__ import annotations

import os
from typing import Any, ClassVar
from urllib.parse import quote

from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.plugins_manager import AirflowPlugin
from publish_playlists import PublishPlaylistsOperator
from soda_operator import QualityFailedOperator, SodaScanOperator

DASHBOARDS_URL = os.environ.get("DASHBOARDS_URL", "http://127.0.0.1:2718").rstrip("/")
PAGES = ["overview", "trends", "personas", "playlists", "quality"]
ICON = "data:image/svg+xml," + quote(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" fill="none" stroke="{colour}" stroke-width="2.5">'
    '<circle cx="20" cy="20" r="17"/><circle cx="20" cy="20" r="11"/><circle cx="20" cy="20" r="3" fill="{colour}"/>'
    "</svg>",
    safe="{}",
)


def dashboard_address(page: str) -> str:
    return f"{DASHBOARDS_URL}/{page}/"


class PlaylistsLink(BaseOperatorLink):
    """From a task that makes or publishes playlists to the playlists page."""

    name = "Playlists"
    operators: ClassVar = [PublishPlaylistsOperator]

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return dashboard_address("playlists")


class PersonasLink(BaseOperatorLink):
    """From the task that names personas to the personas page."""

    name = "Personas"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return dashboard_address("personas")


class QualityLink(BaseOperatorLink):
    """From a task that checks the data to the quality page."""

    name = "Data quality"
    operators: ClassVar = [SodaScanOperator, QualityFailedOperator]

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return dashboard_address("quality")


class ListeningUIPlugin(AirflowPlugin):
    """The dashboards' home in the navigation bar, each page in its Plugins menu, all inside Airflow's own frame."""

    name = "listening_ui"
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
    operator_extra_links: ClassVar[list] = [  # type: ignore[misc]  # likewise
        PlaylistsLink(),
        PersonasLink(),
        QualityLink(),
    ]
