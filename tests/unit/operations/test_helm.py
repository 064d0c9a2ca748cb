"""The Helm values say what the image, the code and Airflow's own configuration know; the chart itself is not here."""

from __future__ import annotations

import re
from importlib import import_module

import jsonschema
import pytest
import yaml
from airflow.configuration import conf
from airflow.executors.executor_loader import ExecutorLoader
from airflow.providers_manager import ProvidersManager

from include import PROJECT

VALUES_FILE = PROJECT / "include" / "stack" / "helm" / "values.yaml"

# What the chart (1.22, checked against its own values.schema.json) calls the things that are set here.
FLAG = {
    "type": "object",
    "properties": {"enabled": {"type": "boolean"}},
    "required": ["enabled"],
    "additionalProperties": False,
}
RESOURCES = {
    "type": "object",
    "properties": {
        kind: {
            "type": "object",
            "properties": {
                "cpu": {"type": "string", "pattern": r"^\d+m?$"},
                "memory": {"type": "string", "pattern": r"^\d+[MG]i$"},
            },
            "additionalProperties": False,
        }
        for kind in ("requests", "limits")
    },
    "additionalProperties": False,
}
COMPONENT = {
    "type": "object",
    "properties": {
        "enabled": {"type": "boolean"},
        "replicas": {"type": "integer", "minimum": 1},
        "resources": RESOURCES,
        "extraVolumes": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        "extraVolumeMounts": {"type": "array", "items": {"type": "object", "required": ["name", "mountPath"]}},
        "persistence": FLAG,
    },
    "additionalProperties": False,
}
SECRET_NAME = {"type": "string", "pattern": "^[a-z0-9-]+$"}
SCHEMA = {
    "type": "object",
    "properties": {
        "executor": {"enum": ["LocalExecutor", "CeleryExecutor", "KubernetesExecutor"]},
        "airflowVersion": {"type": "string"},
        "defaultAirflowTag": {"type": "string"},
        "airflowHome": {"type": "string"},
        "images": {"type": "object"},
        "dags": {
            "type": "object",
            "properties": {"persistence": FLAG, "gitSync": FLAG},
            "additionalProperties": False,
        },
        "postgresql": FLAG,
        "redis": FLAG,
        "createUserJob": FLAG,
        "statsd": FLAG,
        "networkPolicies": FLAG,
        "data": {
            "type": "object",
            "properties": {"metadataSecretName": SECRET_NAME},
            "additionalProperties": False,
        },
        "fernetKeySecretName": SECRET_NAME,
        "apiSecretKeySecretName": SECRET_NAME,
        "jwtSecretName": SECRET_NAME,
        "config": {"type": "object", "additionalProperties": {"type": "object"}},
        "env": {
            "type": "array",
            "items": {"type": "object", "required": ["name", "value"], "additionalProperties": {"type": "string"}},
        },
        "logs": {"type": "object"},
        **dict.fromkeys(("apiServer", "scheduler", "dagProcessor", "triggerer", "workers"), COMPONENT),
        "securityContexts": {
            "type": "object",
            "properties": {"pod": {}, "containers": {}},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def values() -> dict:
    return yaml.safe_load(VALUES_FILE.read_text())


def test_the_values_are_of_the_charts_form(values):
    jsonschema.validate(values, SCHEMA)


@pytest.mark.parametrize(
    "change", ["fernetKeySecretName: fernetKeySecret", "replicas: 2|replicas: two", "apiServer: webserver"]
)
def test_a_slip_would_be_noticed(change):
    right, wrong = change.split("|") if "|" in change else change.split(": ")
    text = VALUES_FILE.read_text()
    assert right in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text.replace(right, wrong)), SCHEMA)


@pytest.mark.parametrize("executor", ["LocalExecutor", "CeleryExecutor", "KubernetesExecutor"])
def test_every_executor_that_is_offered_can_be_loaded_from_the_lock(executor):
    module, name = ExecutorLoader.executors[executor].rsplit(".", 1)
    assert getattr(import_module(module), name).__name__ == executor


def test_airflow_knows_every_option(values):
    ProvidersManager().initialize_providers_configuration()
    for section, options in values["config"].items():
        for option in options:
            assert conf.has_option(section, option), f"[{section}] {option}"


def test_code_is_where_the_image_has_it(values):
    dockerfile = (PROJECT / "Dockerfile").read_text()
    environment = dict(re.findall(r"(\w+)=(\S+)", dockerfile))
    for entry in values["env"]:
        assert environment[entry["name"]] == entry["value"]
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == values["config"]["core"]["dags_folder"]
    assert environment["AIRFLOW__CORE__PLUGINS_FOLDER"] == values["config"]["core"]["plugins_folder"]
    assert f"apache/airflow:{values['defaultAirflowTag']}" in dockerfile
    assert values["defaultAirflowTag"].startswith(values["airflowVersion"])


def test_connections_are_mounted_where_airflow_looks_for_them(values):
    mounts = [mount for name in ("apiServer", "triggerer") for mount in values[name]["extraVolumeMounts"]]
    assert {mount["mountPath"] for mount in mounts} == {"/opt/airflow/secrets/connections"}
    assert '"/opt/airflow/secrets/connections/connections.json"' in values["config"]["secrets"]["backend_kwargs"]


def test_nothing_runs_as_root(values):
    assert values["securityContexts"]["pod"]["runAsNonRoot"] is True
    assert values["securityContexts"]["containers"]["capabilities"] == {"drop": ["ALL"]}
