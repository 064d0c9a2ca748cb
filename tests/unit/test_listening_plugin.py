"""The dashboards inside Airflow: navigation entries that its UI accepts, links on the tasks whose results they show."""

from __future__ import annotations

from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse
from airflow.dag_processing.dagbag import DagBag
from listening.links import DASHBOARDS_URL, dashboard_address
from listening_plugin import ListeningPlugin

from dashboards.pages import PAGES
from include import PROJECT

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
    links = [*task.operator_extra_links]
    links += [link for link in ListeningPlugin.operator_extra_links if type(task) in getattr(link, "operators", [])]
    assert dashboard_address(page) in {link.get_link(task, ti_key=None) for link in links}


@pytest.fixture(scope="module")
def dag():
    return DagBag(str(PROJECT / "dags")).dags["spotify_listening"]
