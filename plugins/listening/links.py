"""Links from a task to the dashboard page that shows its result."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from airflow.sdk.bases.operatorlink import BaseOperatorLink

from listening.operators.publishing import PublishPlaylistsOperator
from listening.operators.soda import QualityFailedOperator, SodaScanOperator

DASHBOARDS_URL = os.environ.get("DASHBOARDS_URL", "http://127.0.0.1:2718").rstrip("/")


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
