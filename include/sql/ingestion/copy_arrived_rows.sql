copy arrived_rows from stdin (format binary)
