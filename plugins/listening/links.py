"""Links from a task to the dashboard page that shows its result."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk.bases.operatorlink import BaseOperatorLink

DASHBOARDS_URL = os.environ.get("DASHBOARDS_URL", "http://127.0.0.1:2718").rstrip("/")


def dashboard_address(page: str) -> str:
    """The address of a page of the dashboards."""
    return f"{DASHBOARDS_URL}/{page}/"


class DashboardLink(BaseOperatorLink):
    """A button on the task's page.

    :param page: the page it opens.
    :param name: what it says.
    """

    name = ""

    def __init__(self, page: str, name: str) -> None:
        self.page = page
        self.name = name

    @property
    def xcom_key(self) -> str:
        """Where Airflow keeps the address: a key of its own for each page, because a task can have several links."""
        return f"_link_{self.page}"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return dashboard_address(self.page)


PERSONAS = DashboardLink("personas", "Personas")
PLAYLISTS = DashboardLink("playlists", "Playlists")
QUALITY = DashboardLink("quality", "Data quality")
