-- What each check measured.

create table qa_validation_results (
    run_id text,
    scan text,
    check_id text,
    table_name text not null,
    check_name text not null,
    check_text text not null,
    outcome text not null,
    severity text not null,
    measured_value double precision,
    message text,
    duration_ms integer,
    checked_at timestamptz not null default now(),
    primary key (run_id, scan, check_id),
    constraint known_outcome check (outcome = any ('{PASS,WARN,FAIL}')),
    constraint known_scan check (scan = any ('{raw,analytics,ml}')),
    constraint known_severity check (severity = any ('{critical,major,minor}'))
);
comment on table qa_validation_results is 'What every quality check of every run measured.';
comment on column qa_validation_results.run_id is 'Airflow run that wrote the row.';
comment on column qa_validation_results.scan is 'raw, analytics or ml.';
comment on column qa_validation_results.check_id is 'Table and name of the check.';
comment on column qa_validation_results.table_name is 'Table the check belongs to.';
comment on column qa_validation_results.check_name is 'What is checked.';
comment on column qa_validation_results.check_text is 'The check as written.';
comment on column qa_validation_results.outcome is 'PASS, WARN or FAIL.';
comment on column qa_validation_results.severity is 'How bad the check can get.';
comment on column qa_validation_results.measured_value is 'What was measured.';
comment on column qa_validation_results.message is 'What a person needs to know about it.';
comment on column qa_validation_results.duration_ms is 'How long measuring took, in milliseconds.';
comment on column qa_validation_results.checked_at is 'When it was measured. UTC.';
