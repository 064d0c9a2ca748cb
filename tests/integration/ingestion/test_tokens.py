"""The refresh token is never lost, never spent twice, never seen."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from listening.hooks.spotify import SpotifyHook

from include.ingestion.errors import TokenDead
from include.ingestion.token_store import TokenStore


@pytest.fixture
def seen(caplog):
    """Everything logged, at the chattiest level."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    return caplog


def refreshes(simulator) -> int:
    return sum(call["calls"] for call in simulator.calls() if call["endpoint"] == "POST /api/token")


def test_many_tasks_at_once_spend_a_rotating_token_once(authorize, simulator):
    account = authorize("ada")
    simulator.rotate_refresh_tokens(-1)
    hooks = [SpotifyHook(account["connection_id"]) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda hook: hook.get_conn().me()["id"], hooks))
    assert answers == ["ada"] * 6
    assert refreshes(simulator) == 1
    simulator.expire_access_tokens()
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda hook: hook.get_conn().me()["id"], hooks)) == ["ada"] * 6
    assert refreshes(simulator) == 2


def test_a_rotated_token_is_committed_before_the_access_token_is_used(authorize, simulator, monkeypatch):
    account = authorize("ada")
    simulator.rotate_refresh_tokens(-1)
    client = SpotifyHook(account["connection_id"]).get_conn()

    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "_send", die)
    with pytest.raises(KeyboardInterrupt):
        client.me()
    simulator.expire_access_tokens()
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"


def test_the_database_gone_just_after_a_rotation_loses_nothing(authorize, simulator, owner_conninfo, monkeypatch):
    import psycopg

    account = authorize("ada")
    simulator.rotate_refresh_tokens(-1)
    hook = SpotifyHook(account["connection_id"])
    connect, opened = hook._connect, []

    def remember():
        opened.append(connect())
        return opened[-1]

    def refresh_and_cut(*args):
        answer = refresh(*args)
        with psycopg.connect(owner_conninfo.replace("listening_owner", "postgres"), autocommit=True) as admin:
            pids = [each.info.backend_pid for each in opened if not each.closed]
            admin.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) pid", [pids])
        return answer

    refresh = TokenStore._refresh
    monkeypatch.setattr(TokenStore, "_refresh", refresh_and_cut)
    hook._connect = remember
    assert hook.get_conn().me()["id"] == "ada"
    assert opened[0].closed
    simulator.expire_access_tokens()
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"


def test_a_stored_token_that_spotify_refuses_gives_way_to_the_one_before(authorize, simulator, fernet_key, connection):
    account = authorize("ada")
    simulator.rotate_refresh_tokens(1, keep_former=True)
    SpotifyHook(account["connection_id"]).get_conn().me()
    tokens = json.loads(Fernet(fernet_key).decrypt(bytes(stored_token(connection))))
    assert tokens["former_refresh_token"] != tokens["refresh_token"]
    replaced = Fernet(fernet_key).encrypt(json.dumps(tokens | {"refresh_token": "gone", "expires_at": None}).encode())
    connection.execute("update spotify_tokens set encrypted_token = %s", [replaced])
    connection.commit()
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"
    simulator.revoke("ada")
    with pytest.raises(TokenDead, match="make authorize"):
        SpotifyHook(account["connection_id"]).get_conn().me()


def stored_token(connection) -> bytes:
    (encrypted,) = connection.execute("select encrypted_token from spotify_tokens").fetchone()
    connection.rollback()
    return encrypted


def test_a_new_authorization_replaces_what_is_stored(authorize, simulator, airflow_connections):
    account = authorize("ada")
    SpotifyHook(account["connection_id"]).get_conn().me()
    simulator.revoke("ada")
    airflow_connections(account["connection_id"], simulator.refresh_token("ada"))
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"


def test_tokens_are_encrypted_at_rest_and_never_logged(authorize, simulator, connection, seen, fernet_key):
    account = authorize("ada")
    simulator.rotate_refresh_tokens(-1)
    hook = SpotifyHook(account["connection_id"])
    hook.get_conn().recently_played()
    stored = bytes(stored_token(connection))
    clear = Fernet(fernet_key).decrypt(stored).decode()
    tokens = json.loads(clear)
    secrets = [tokens["access_token"], tokens["refresh_token"], hook.connection.extra_dejson["refresh_token"]]
    for secret in [*secrets, hook.connection.password]:
        assert secret.encode() not in stored
        assert secret not in seen.text


def test_a_lost_fernet_key_falls_back_to_the_connection(authorize, simulator, monkeypatch):
    from airflow.sdk.crypto import get_fernet

    account = authorize("ada")
    SpotifyHook(account["connection_id"]).get_conn().me()
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    get_fernet.cache_clear()
    assert SpotifyHook(account["connection_id"]).get_conn().me()["id"] == "ada"


def test_without_a_fernet_key_nothing_is_stored(authorize, simulator, monkeypatch):
    from airflow.sdk.crypto import get_fernet

    account = authorize("ada")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    get_fernet.cache_clear()
    with pytest.raises(ValueError, match="fernet_key is empty"):
        SpotifyHook(account["connection_id"]).get_conn()
