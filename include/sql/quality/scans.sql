-- Results of Soda's scans.

-- name: begin_scan
select staging.begin_scan(%(scan)s);

-- name: delete_results
delete from qa_validation_results where run_id = %(run_id)s and scan = %(scan)s;

-- name: insert_result
insert into qa_validation_results (
    run_id, scan, check_id, table_name, check_name, check_text, outcome, severity, measured_value, message, duration_ms
)
values (
    %(run_id)s, %(scan)s, %(check_id)s, %(table_name)s, %(check_name)s, %(check_text)s, %(outcome)s, %(severity)s,
    %(measured_value)s, %(message)s, %(duration_ms)s
);

-- name: pass_scan
select staging.pass_scan(%(scan)s, %(seen)s, %(run_id)s);
