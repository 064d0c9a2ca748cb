"""Secrets: made once, different everywhere, each service its own."""

from __future__ import annotations

import json
import stat

import pytest
from cryptography.fernet import Fernet

from include.operations import secrets
from include.stack.compose import installation_kind


@pytest.fixture
def values(tmp_path):
    return secrets.vault(tmp_path)


def test_generated_once_and_only_for_the_owner_to_read(tmp_path, values):
    assert secrets.vault(tmp_path) == values
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o400}
    Fernet(values["fernet_key"])


def test_no_two_secrets_and_no_two_installations_share_a_value(tmp_path, values):
    other = tmp_path / "other"
    other.mkdir()
    everything = [*values.values(), *secrets.vault(other).values()]
    assert len(set(everything)) == len(everything)
    assert min(map(len, everything)) >= 20


def test_a_deleted_secret_is_made_anew_and_the_others_stay(tmp_path, values):
    (tmp_path / "jwt_secret").unlink()
    again = secrets.vault(tmp_path)
    assert again["jwt_secret"] != values["jwt_secret"]
    assert again | {"jwt_secret": ""} == values | {"jwt_secret": ""}


@pytest.mark.parametrize(
    ("consumer", "knows"),
    [
        ("dashboards", {"listening_reader_password"}),
        ("worker", {"fernet_key", "api_secret_key", "broker_password"}),
        ("broker", {"broker_password"}),
        ("listening-db", {"postgres_password"}),
        ("metadata-db", {"metadata_password"}),
        ("airflow", {"fernet_key", "api_secret_key", "jwt_secret", "broker_password", "metadata_password"}),
        ("connections", {"listening_owner_password", "listening_writer_password"}),
        ("admin", {"airflow_admin_password"}),
        ("demo", {"listening_writer_password"}),
        ("tools", {"listening_owner_password"}),
    ],
)
def test_each_consumer_is_given_its_own_secrets_and_no_other(values, consumer, knows):
    given = " ".join(text for name, (text, _) in secrets.files(values).items() if name.startswith(f"{consumer}/"))
    assert {name for name, value in values.items() if value in given} == knows


def test_connections_are_what_airflow_reads(values):
    text, _ = secrets.files(values)["connections/connections.json"]
    assert {name: c["login"] for name, c in json.loads(text).items()} == {
        "listening_db": "listening_writer",
        "listening_db_owner": "listening_owner",
    }


def test_an_installation_is_the_demos_or_a_real_listeners_for_good(tmp_path):
    demo, real = tmp_path / "demo", tmp_path / "real"
    assert installation_kind.claim("demo", file=demo) is None
    assert installation_kind.claim("real", file=demo) is None
    assert demo.read_text() == "demo"
    assert installation_kind.claim("real", file=real) is None
    assert "must not mix" in (installation_kind.claim("demo", file=real) or "")
    assert real.read_text() == "real"
