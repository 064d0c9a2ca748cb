"""The DAG file as Airflow reads it: imports, exact tasks and edges, and what people need to see in the UI."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.common.sql.hooks.sql import DbApiHook
from listening.operators.steps import BuildStepOperator
from listening.task_docs import TASK_DOCS, about, failure_table

from include import PROJECT
from include.pipeline import DAG_ID
from tests.support.steps import STEPS, statements

# task: what runs after it
EDGES = {
    "prepare_schema": {"list_accounts", "import_streaming_history"},
    "list_accounts": {"ingest_recently_played"},
    "ingest_recently_played": {"fetch_audio_features", "ingestion_failed", "scan_raw"},
    "import_streaming_history": {"fetch_audio_features", "ingestion_failed", "scan_raw"},
    "fetch_audio_features": set(),
    "ingestion_failed": set(),
    "scan_raw": {"raw_quality_gate"},
    "raw_quality_gate": {"build_listening_events", "raw_rejected"},
    "raw_rejected": {"quality_failed"},
    "build_listening_events": {"build_sessions"},
    "build_sessions": {"artist_stats", "track_stats", "album_stats", "listening_clock"},
    "artist_stats": {"daily_trends"},
    "track_stats": {"daily_trends"},
    "album_stats": {"daily_trends"},
    "listening_clock": {"daily_trends"},
    "daily_trends": {"user_metrics"},
    "user_metrics": {"scan_analytics"},
    "scan_analytics": {"analytics_quality_gate"},
    "analytics_quality_gate": {"start_models", "analytics_rejected"},
    "analytics_rejected": {"quality_failed"},
    "start_models": {"build_session_features", "build_user_features"},
    "build_session_features": {"cluster_sessions"},
    "build_user_features": {"cluster_sessions"},
    "cluster_sessions": {"label_personas"},
    "label_personas": {"artist_cooccurrence"},
    "artist_cooccurrence": {"generate_playlists"},
    "generate_playlists": {"scan_ml"},
    "scan_ml": {"ml_quality_gate"},
    "ml_quality_gate": {"publish_tables", "ml_rejected"},
    "ml_rejected": {"quality_failed"},
    "publish_tables": {"publish_playlists", "listeners_held"},
    "publish_playlists": set(),
    "listeners_held": set(),
    "quality_failed": set(),
}
NEVER_RETRIED = {"quality_failed", "ingestion_failed", "listeners_held"}  # they only say what is known already


@pytest.fixture(scope="module")
def dag_bag():
    return DagBag(str(PROJECT / "dags"))


@pytest.fixture(scope="module")
def dag(dag_bag):
    return dag_bag.dags[DAG_ID]


def test_dag_files_import(dag_bag):
    assert dag_bag.import_errors == {}
    assert set(dag_bag.dags) == {DAG_ID}


def test_tasks_and_edges(dag):
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == EDGES


def test_gates_say_which_way_is_which(dag):
    for layer, on_pass in (("raw", "build_listening_events"), ("analytics", "start_models"), ("ml", "publish_tables")):
        gate = f"{layer}_quality_gate"
        assert dag.get_edge_info(gate, on_pass) == {"label": "PASS or WARN"}
        assert dag.get_edge_info(gate, f"{layer}_rejected") == {"label": "FAIL"}
        branch = {"scan_task_id": f"scan_{layer}", "on_pass": on_pass, "on_fail": f"{layer}_rejected"}
        assert dag.get_task(gate).op_kwargs == branch


def test_what_people_see(dag):
    assert {"spotify", "listening"} <= set(dag.tags)
    assert failure_table() in dag.doc_md
    for red in ("ingest_recently_played", "import_streaming_history", *NEVER_RETRIED):
        assert f"`{red}` red |" in dag.doc_md, f"the table does not say what to do about {red}"
    for name in dag.params:
        assert dag.params.get_param(name).description, f"param {name} is not explained"
    assert set(TASK_DOCS) == set(dag.task_ids)
    for task in dag.tasks:
        texts = about(task.task_id)
        assert (task.task_display_name, task.doc_md) == (texts["task_display_name"], texts["doc_md"])


def test_one_run_at_a_time_and_no_catching_up(dag):
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.dagrun_timeout == timedelta(hours=6)


def test_people_are_told_of_a_failed_and_of_a_late_run(dag):
    assert dag.on_failure_callback.__qualname__ == "run_failed"
    (deadline,) = dag.deadline
    assert deadline.interval == timedelta(hours=3)
    assert deadline.callback.path.endswith("deadline_missed")


def test_owners_retries_and_limits(dag):
    for task in dag.tasks:
        assert task.owner == "listening"
        assert task.execution_timeout is not None
        assert (task.retries == 0) == (task.task_id in NEVER_RETRIED), task.task_id


def test_a_failed_account_neither_stops_the_others_nor_stays_hidden(dag):
    assert dag.get_task("scan_raw").trigger_rule == "all_done"
    assert dag.get_task("fetch_audio_features").trigger_rule == "all_done"
    assert dag.get_task("ingestion_failed").trigger_rule == "one_failed"
    assert dag.get_task("quality_failed").trigger_rule == "one_success"


def test_build_steps_execute_what_the_steps_of_the_tests_execute(dag):
    steps = {task.step: task for task in dag.tasks if isinstance(task, BuildStepOperator)}
    assert steps.keys() == set(STEPS)
    for step, task in steps.items():
        sql = task.render_template(task.sql, {}, dag.get_template_env())
        assert DbApiHook.split_sql_string(sql) == statements(step)


def test_parsing_imports_nothing_heavy():
    """What the DAG processor reads every half minute must not load what only tasks need."""
    heavy = ("pandas", "sklearn", "scipy", "soda", "spotipy", "altair", "marimo", "fastapi")
    program = (
        "import runpy, sys\n"
        f"sys.path[:0] = {[str(PROJECT), str(PROJECT / 'plugins')]!r}\n"
        f"runpy.run_path({str(PROJECT / 'dags' / 'spotify_listening.py')!r})\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == ""
