"""A DAG of the same shape as `spotify_listening` whose tasks do nothing: what the scheduler itself costs.

Its folder is a second DAG bundle of the benchmark's stack.
"""

from __future__ import annotations

import runpy
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator

from include import PROJECT
from include.demo.listeners import DEMO_LISTENERS

DAG_ID = "noop"


def do_nothing(account: dict[str, Any] | None = None) -> None:
    pass


def list_accounts() -> list[dict[str, Any]]:
    return [{"account": {"user_id": listener.user_id}} for listener in DEMO_LISTENERS]


def choose(task_id: str) -> str:
    return task_id


def copy_of(task: Any, accounts: PythonOperator | None) -> Any:
    if isinstance(task, MappedOperator):
        assert accounts is not None
        mapped = PythonOperator.partial(
            task_id=task.task_id, python_callable=do_nothing, trigger_rule=task.trigger_rule
        )
        return mapped.expand(op_kwargs=accounts.output)
    if isinstance(task, BranchPythonOperator):
        chosen = {"task_id": task.op_kwargs["on_pass"]}
        return BranchPythonOperator(task_id=task.task_id, python_callable=choose, op_kwargs=chosen)
    if isinstance(task, EmptyOperator):
        return EmptyOperator(task_id=task.task_id, trigger_rule=task.trigger_rule)
    callable_ = list_accounts if task.task_id == "list_accounts" else do_nothing
    return PythonOperator(task_id=task.task_id, python_callable=callable_, trigger_rule=task.trigger_rule)


def build_noop_dag() -> DAG:
    original = runpy.run_path(str(PROJECT / "dags" / "spotify_listening.py"))["spotify_listening"]()
    with DAG(DAG_ID, schedule=None, max_active_runs=1) as noop:
        copies: dict[str, Any] = {}
        for task in original.topological_sort():
            copies[task.task_id] = copy_of(task, copies.get("list_accounts"))
        for task in original.tasks:
            for downstream in task.downstream_task_ids:
                copies[task.task_id].set_downstream(copies[downstream])
    return noop


build_noop_dag()
