"""What Airflow shows of this project: dashboards in its navigation, links on tasks, the form of a connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse
from airflow.dag_processing.dagbag import DagBag
from listening.hooks.spotify import SpotifyHook
from listening.links import DASHBOARDS_URL, dashboard_address
from listening_plugin import ListeningPlugin

from dashboards.pages import PAGES
from include import PROJECT

ASK_API_SERVER = """
from airflow import settings
from airflow.api_fastapi.app import create_app
from airflow.models.base import Base
from fastapi.testclient import TestClient

client = TestClient(create_app(apps="core"))
Base.metadata.create_all(settings.engine)
token = client.get("/auth/token").json()["access_token"]
print(client.get("/ui/connections/hook_meta", headers={"Authorization": f"Bearer {token}"}).text)
"""

VIEWS = [ExternalViewResponse(**view) for view in ListeningPlugin.external_views]


def test_home_stands_in_the_navigation_bar_and_every_page_in_its_menu():
    (home,) = [view for view in VIEWS if view.nav_top_level]
    assert (home.name, home.href) == ("Listening", f"{DASHBOARDS_URL}/")
    pages = [view for view in VIEWS if not view.nav_top_level]
    assert [view.href for view in pages] == [f"{DASHBOARDS_URL}/{page}/" for page in PAGES]
    assert {view.category for view in pages} == {"Listening"}
    # With a route of its own a view is shown inside Airflow; two views of the same route would hide each other.
    assert len({view.url_route for view in VIEWS} - {None}) == len(VIEWS)


@pytest.mark.parametrize("icon", ["icon", "icon_dark_mode"])
def test_icon_is_a_drawing(icon):
    kind, _, drawing = getattr(VIEWS[0], icon).partition(",")
    assert kind == "data:image/svg+xml"
    assert ElementTree.fromstring(unquote(drawing)).tag.endswith("svg")


@pytest.mark.parametrize(
    ("task_id", "page"),
    [
        ("scan_raw", "quality"),
        ("scan_analytics", "quality"),
        ("scan_ml", "quality"),
        ("quality_failed", "quality"),
        ("label_personas", "personas"),
        ("generate_playlists", "playlists"),
        ("publish_playlists", "playlists"),
    ],
)
def test_tasks_lead_to_the_page_of_their_result(task_id, page, dag):
    task = dag.get_task(task_id)
    assert dashboard_address(page) in {link.get_link(task, ti_key=None) for link in task.operator_extra_links}
    keys = [link.xcom_key for link in task.operator_extra_links]
    assert len(set(keys)) == len(keys), "two links of a task would overwrite each other"


@pytest.fixture(scope="module")
def dag():
    return DagBag(str(PROJECT / "dags")).dags["spotify_listening"]


def test_the_api_server_knows_the_form_of_a_spotify_connection(tmp_path):
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins")]),
    }
    command = [sys.executable, "-c", ASK_API_SERVER]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    types = {meta["connection_type"]: meta for meta in json.loads(answer.splitlines()[-1])}
    spotify = types["spotify"]
    assert spotify["hook_name"] == SpotifyHook.hook_name
    assert spotify["standard_fields"]["login"]["title"] == "Client ID"
    assert spotify["standard_fields"]["password"]["title"] == "Client secret"
    assert spotify["standard_fields"]["host"]["hidden"]
    # What `make authorize` writes and SpotifyHook reads.
    assert set(spotify["extra_fields"]) == {"refresh_token", "authorized_at", "scope", "user_id"}
    assert spotify["extra_fields"]["refresh_token"]["schema"]["format"] == "password"


def test_the_provider_has_the_projects_version():
    assert version("spotify-listening") == tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
