"""Airflow's navigation gets the dashboards; playlist and check tasks get a link to the page that shows their result."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.plugins_manager import AirflowPlugin
from publish_playlists import PublishPlaylistsOperator
from soda_operator import QualityFailedOperator, SodaScanOperator

DASHBOARDS_URL = os.environ.get("DASHBOARDS_URL", "http://127.0.0.1:2718").rstrip("/")
PAGES = ["overview", "trends", "personas", "playlists", "quality"]


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
    """Each page as an entry of the navigation, shown inside Airflow's own frame."""

    name = "listening_ui"
    external_views: ClassVar[list] = [  # type: ignore[misc]  # Airflow declares instance variables and reads the class
        {
            "name": page.capitalize(),
            "href": dashboard_address(page),
            "destination": "nav",
            "category": "listening",
            "url_route": f"listening-{page}",
        }
        for page in PAGES
    ]
    operator_extra_links: ClassVar[list] = [  # type: ignore[misc]
        PlaylistsLink(),
        PersonasLink(),
        QualityLink(),
    ]
