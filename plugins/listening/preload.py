"""Imports the tasks' libraries once, in the scheduler, before the local executor forks its workers.

A task is a fork of such a worker and finds them loaded; importing them would take each task 0.1 to 0.7 s. Only
libraries: the project's own code is imported by the task, so that changing it needs no restart.
"""

from __future__ import annotations

import sys
from importlib import import_module

from airflow.configuration import conf
from airflow.listeners import hookimpl

from include.soda.library import load_soda

LIBRARIES = (
    "airflow.providers.common.sql.operators.sql",
    "airflow.providers.postgres.assets.postgres",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.standard.operators.empty",
    "airflow.providers.standard.operators.python",
    "numpy",
    "psycopg",
    "scipy.sparse",
    "sklearn.base",
    "soda.configuration.configuration_parser",
    "soda.data_sources.postgres_data_source",
    "soda.sodacl.sodacl_parser",
    "spotipy",
)


class TaskPreload:
    """A listener for Airflow's components starting."""

    @hookimpl
    def on_starting(self, component: object) -> None:
        """Import LIBRARIES if this is a scheduler that runs tasks itself."""
        if sys.argv[1:2] == ["scheduler"] and "LocalExecutor" in conf.get("core", "executor"):
            load_soda()
            for library in LIBRARIES:
                import_module(library)
