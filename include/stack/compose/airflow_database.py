"""Prepares Airflow's metadata database: newest schema, and the first account when there is none.

`python -m include.stack.compose.airflow_database` runs before every start.
"""

from __future__ import annotations

from include.operations.secrets import SECRETS
from include.stack.compose import settings
from include.stack.local.environment import ADMIN


def airflow(*arguments: str) -> None:
    """Airflow's command line, in this process: a password never becomes an argument others can see."""
    from airflow.cli.cli_parser import get_parser

    options = get_parser().parse_args(arguments)
    options.func(options)


def main() -> None:
    settings.claim("real")
    airflow("db", "migrate")
    # An account that exists stays as it is: its owner may have changed the password.
    password = (SECRETS / "admin" / "password").read_text()
    name = ("--username", ADMIN, "--firstname", "Airflow", "--lastname", "Admin", "--email", "admin@localhost")
    airflow("users", "create", *name, "--role", "Admin", "--password", password)


if __name__ == "__main__":
    main()
