"""The secrets of a containerised installation: generated once, handed out so that each service sees only its own.

`python -m include.operations.secrets` runs at every start. Master values live in `vault`, a volume nothing else mounts;
from them one folder per consumer is written anew.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from cryptography.fernet import Fernet

from include.operations.listening_database import LISTENING_DATABASE, ROLES

SECRETS = Path("/opt/airflow/secrets")
LISTENING_HOST = "listening-db"
METADATA_HOST = "metadata-db"
BROKER_HOST = "broker"

OWN = 0o400  # libpq accepts a password file only if nobody else can read it
ANY_USER = 0o444  # the official images of Postgres and Redis choose their own user ids; nobody else mounts their folder

GENERATORS: dict[str, Callable[[], str]] = {
    "fernet_key": lambda: Fernet.generate_key().decode(),
    "api_secret_key": lambda: secrets.token_hex(32),
    "jwt_secret": lambda: secrets.token_hex(64),
    "airflow_admin_password": lambda: secrets.token_urlsafe(15),
    "metadata_password": lambda: secrets.token_urlsafe(32),
    "broker_password": lambda: secrets.token_urlsafe(32),
    "postgres_password": lambda: secrets.token_urlsafe(32),
    **{f"{role}_password": lambda: secrets.token_urlsafe(32) for role in ROLES},
}


def vault(folder: Path) -> dict[str, str]:
    """Every master secret; those missing in `folder` are generated into it."""
    values = {}
    for name, generate in GENERATORS.items():
        file = folder / name
        if not file.exists():
            write(file, generate(), OWN)
        values[name] = file.read_text()
    return values


def files(values: dict[str, str]) -> dict[str, tuple[str, int]]:
    """What each consumer is given: `<folder>/<file>` to content and rights."""
    broker = f"redis://:{quote(values['broker_password'])}@{BROKER_HOST}:6379"
    airflow_and_workers = {
        "fernet_key": values["fernet_key"],
        "api_secret_key": values["api_secret_key"],
        "broker_url": f"{broker}/0",
        "result_backend": f"{broker}/1",
    }
    airflow = {
        **airflow_and_workers,
        "jwt_secret": values["jwt_secret"],
        "metadata_url": f"postgresql+psycopg2://airflow:{quote(values['metadata_password'])}@{METADATA_HOST}/airflow",
    }

    def pgpass(role: str) -> str:
        return f"{LISTENING_HOST}:5432:{LISTENING_DATABASE}:{role}:{values[f'{role}_password']}\n"

    def connection(role: str) -> dict[str, str | int]:
        return {
            "conn_type": "postgres",
            "host": LISTENING_HOST,
            "port": 5432,
            "schema": LISTENING_DATABASE,
            "login": role,
            "password": values[f"{role}_password"],
        }

    connections = {
        "listening_db": connection("listening_writer"),
        "listening_db_owner": connection("listening_owner"),
    }
    return {
        **{f"airflow/{name}": (value, OWN) for name, value in airflow.items()},
        **{f"worker/{name}": (value, OWN) for name, value in airflow_and_workers.items()},
        "connections/connections.json": (json.dumps(connections, indent=2), OWN),
        "admin/password": (values["airflow_admin_password"], OWN),
        "listening-db/password": (values["postgres_password"], ANY_USER),
        "metadata-db/password": (values["metadata_password"], ANY_USER),
        "broker/redis.conf": (f"requirepass {values['broker_password']}\n", ANY_USER),
        "listening-init/postgres_password": (values["postgres_password"], OWN),
        **{f"listening-init/{role}_password": (values[f"{role}_password"], OWN) for role in ROLES},
        "dashboards/pgpass": (pgpass("listening_reader"), OWN),
        "demo/pgpass": (pgpass("listening_writer"), OWN),
        "tools/pgpass": (pgpass("listening_owner"), OWN),
    }


def write(file: Path, text: str, rights: int) -> None:
    """Whole or not at all, whenever this process is killed."""
    descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(descriptor, rights)
        stream.write(text)
    Path(unfinished).replace(file)


def main() -> None:
    for name, (text, rights) in files(vault(SECRETS / "vault")).items():
        write(SECRETS / name, text, rights)
    print(f"Secrets are in place for {len({name.split('/')[0] for name in files(vault(SECRETS / 'vault'))})} services")


if __name__ == "__main__":
    main()
