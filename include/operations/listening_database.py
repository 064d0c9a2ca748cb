"""What the listening database and its roles are called, and the statements that create the roles."""

from include import PROJECT

LISTENING_DATABASE = "listening"
ROLES = ("listening_owner", "listening_writer", "listening_reader")
ROLES_SQL = PROJECT / "include" / "sql" / "roles.sql"
