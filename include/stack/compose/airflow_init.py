"""Prepares Airflow's metadata database: the newest schema, and the user admin if there is none.

`python -m include.stack.compose.airflow_init` runs before every start.
"""

from __future__ import annotations

from include.operations.airflow_client import ADMIN
from include.operations.secrets import SECRETS
from include.stack.compose import installation_kind


def airflow(*arguments: str) -> None:
    """Run an Airflow command in this process: as arguments of a new one, others could read the password."""
    from airflow.cli.cli_parser import get_parser

    options = get_parser().parse_args(arguments)
    options.func(options)


def main() -> None:
    installation_kind.claim("real")
    airflow("db", "migrate")
    # An existing user is left alone: the password may have been changed.
    password = (SECRETS / "admin" / "password").read_text()
    name = ("--username", ADMIN, "--firstname", "Airflow", "--lastname", "Admin", "--email", "admin@localhost")
    airflow("users", "create", *name, "--role", "Admin", "--password", password)


if __name__ == "__main__":
    main()
