"""The compose file as written: valid in every profile, no secret in it, nothing exposed, nobody privileged."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache

import compose_spec
import pytest
import yaml

from include import PROJECT
from include.operations import secrets

COMPOSE_FILE = PROJECT / "docker-compose.yaml"
SECRET_VARIABLE = r"PASSWORD|SECRET_KEY|JWT_SECRET|FERNET|SQL_ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND|TOKEN"
PROFILES = ([], ["demo"], ["scale"], ["demo", "scale"], ["tools"])
SECRETS_OF = {
    "secrets": {folder.split("/")[0] for folder in secrets.files(dict.fromkeys(secrets.GENERATORS, "x"))} | {"vault"},
    "listening-db": {"listening-db"},
    "listening-init": {"listening-init"},
    "metadata-db": {"metadata-db"},
    "airflow-init": {"airflow", "admin"},
    "airflow-apiserver": {"airflow", "connections"},
    "airflow-scheduler": {"airflow"},
    "airflow-dag-processor": {"airflow"},
    "airflow-triggerer": {"airflow", "connections"},
    "airflow-worker": {"worker"},
    "broker": {"broker"},
    "dashboards": {"dashboards"},
    "simulator": set(),
    "demo-claim": set(),
    "demo-exports": set(),
    "demo": {"demo", "admin"},
    "tools": {"tools", "admin"},
}


@cache
def compose() -> dict:
    """The file with its defaults put in and its anchors merged."""
    text = re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", COMPOSE_FILE.read_text())
    return {name: part for name, part in yaml.safe_load(text).items() if not name.startswith("x-")}


SERVICES = sorted(compose()["services"])


def has_compose() -> bool:
    return (
        shutil.which("docker") is not None
        and not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    )


@pytest.mark.parametrize("profiles", PROFILES, ids=lambda profiles: "+".join(profiles) or "none")
def test_every_profile_is_valid(profiles):
    if has_compose():
        options = [f"--profile={profile}" for profile in profiles]
        command = ["docker", "compose", "--file", COMPOSE_FILE, *options, "config", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    active = {
        name: service
        for name, service in compose()["services"].items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose() | {"services": active}))
    for name, service in active.items():
        needed = {
            other for other, condition in service.get("depends_on", {}).items() if condition.get("required", True)
        }
        assert needed <= active.keys(), name


@pytest.mark.parametrize("change", ["healthcheck: healthchek", "cap_drop: cap_drp", "unless-stopped: sometimes"])
def test_the_validator_would_notice(change):
    right, wrong = change.split(": ")
    with pytest.raises(ValueError, match=wrong):
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose()).replace(right, wrong))


def test_each_service_mounts_only_its_own_secrets():
    mounted = {
        name: {
            match.group(1) for volume in service.get("volumes", []) if (match := re.match(r"secrets-([\w-]+):", volume))
        }
        for name, service in compose()["services"].items()
    }
    assert mounted == SECRETS_OF


@pytest.mark.parametrize("name", SERVICES)
def test_no_value_of_a_secret_in_environment_or_command(name):
    service = compose()["services"][name]
    for variable, value in service.get("environment", {}).items():
        if re.search(SECRET_VARIABLE, variable):
            assert re.search(r"_(FILE|CMD)$", variable), variable
            assert value.removeprefix("cat ").startswith(("/opt/airflow/secrets/", "/run/secrets/")), variable
    assert not re.search(r"(password|requirepass|secret)[=:]\s*\S", str(service.get("command", "")), re.IGNORECASE)
    assert "env_file" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_only_loopback_ports_no_privileges_and_limits(name):
    service = compose()["services"][name]
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "pid", "ipc", "devices", "user"}
    assert service.get("network_mode") in (None, "none")
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert "/var/run/docker.sock" not in str(service.get("volumes"))
    if service["image"] == "spotify-listening":
        assert service["cap_drop"] == ["ALL"]
    if service["restart"] != "no":
        assert service["restart"] == "unless-stopped"
        assert service.get("healthcheck"), "a service that stays up says whether it is well"


def test_databases_and_broker_are_reachable_from_inside_only():
    services, networks = compose()["services"], compose()["networks"]
    for name in ("listening-db", "metadata-db", "broker"):
        assert "ports" not in services[name]
        assert all((networks[network] or {}).get("internal") for network in services[name]["networks"])
    assert "metadata" not in services["airflow-worker"]["networks"]
    assert {name for name, service in services.items() if "metadata" in service.get("networks", [])} == {
        "metadata-db",
        "airflow-init",
        "airflow-apiserver",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
    }


def test_what_ends_is_waited_for():
    """`up --wait` takes a program that ended for a failure unless another service waits for its success."""
    services = compose()["services"]
    waited_for = {
        other
        for service in services.values()
        for other, condition in service.get("depends_on", {}).items()
        if condition["condition"] == "service_completed_successfully"
    }
    assert waited_for == {name for name, service in services.items() if service["restart"] == "no"} - {"tools"}


def test_the_image_runs_unprivileged_and_takes_its_packages_from_the_lock():
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER airflow"]
    assert "uv pip sync" in "\n".join(lines)
    assert not [line for line in lines if re.match(r"(ADD|ARG|ENV).*(PASSWORD|SECRET|TOKEN)", line)]


def test_the_build_sees_nothing_but_what_the_image_needs():
    rules = (PROJECT / ".dockerignore").read_text().splitlines()
    assert rules.index("*") < min(i for i, rule in enumerate(rules) if rule.startswith("!"))
    copied = {line.split()[2] for line in (PROJECT / "Dockerfile").read_text().splitlines() if line.startswith("COPY")}
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied | {"requirements.lock"}
