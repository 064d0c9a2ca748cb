insert into qa_validation_results (
    run_id, scan, check_id, table_name, check_name, check_text, outcome, severity, measured_value, message, duration_ms
)
values (
    %(run_id)s, %(scan)s, %(check_id)s, %(table_name)s, %(check_name)s, %(check_text)s, %(outcome)s, %(severity)s,
    %(measured_value)s, %(message)s, %(duration_ms)s
)
