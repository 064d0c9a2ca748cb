-- The pipeline's health: checks, accounts, gaps, imports, calls.

-- name: data_state
with runs as (
    select run_id, max(checked_at) as checked_at,
        count(*) filter (where outcome = 'FAIL') as failed
    from qa_validation_results
    group by run_id
)
select
    newest.run_id as last_run_id,
    newest.checked_at as last_checked_at,
    newest.failed as failed_checks,
    (select max(checked_at) from runs where failed = 0) as last_good_at
from runs newest
order by newest.checked_at desc
limit 1;

-- name: runs
select run_id, max(checked_at) as checked_at,
    count(*) filter (where outcome = 'PASS') as passed,
    count(*) filter (where outcome = 'WARN') as warned,
    count(*) filter (where outcome = 'FAIL') as failed,
    (coalesce(sum(duration_ms), 0) / 1000.0)::double precision as seconds
from qa_validation_results
group by run_id
order by checked_at desc
limit %(limit)s;

-- name: checks
select scan, table_name, check_name, check_text, outcome, severity, measured_value, message, duration_ms,
    checked_at
from qa_validation_results
where run_id = %(run_id)s
order by array_position(array['FAIL', 'WARN', 'PASS'], outcome) nulls first, scan, table_name, check_name;

-- name: check_history
with newest as (
    select run_id, max(checked_at) as run_checked_at
    from qa_validation_results group by run_id order by run_checked_at desc limit %(runs)s
)
select run_id, newest.run_checked_at as checked_at, scan, table_name, check_name, outcome, measured_value
from qa_validation_results
join newest using (run_id)
order by checked_at, scan, table_name, check_name;

-- name: accounts
with gaps as (
    select user_id, count(*) filter (where closed_at is null) as open_gaps, count(*) as gaps
    from ingestion_gaps group by user_id
),
states as (
    select user_id,
        jsonb_agg(
            jsonb_build_object('pipeline', pipeline, 'status', status, 'message', message) order by pipeline
        ) as states
    from ingestion_state group by user_id
)
select l.user_id, l.display_name, l.authorized_at, s.states, m.plays, m.plays_30s,
    coalesce(g.open_gaps, 0) as open_gaps, coalesce(g.gaps, 0) as gaps
from listeners l
left join states s using (user_id)
left join gaps g using (user_id)
left join analytics.analytics_user_metrics m using (user_id)
order by l.display_name, l.user_id;

-- name: gaps
select gap_start, gap_end, detected_at, closed_at, closed_by
from ingestion_gaps where user_id = %(user_id)s order by gap_start desc;

-- name: files
select file_name, status, message, rows_read, rows_loaded, rows_already_known, skipped_rows,
    first_played_at, last_played_at, ingested_at
from ingested_files where user_id = %(user_id)s order by ingested_at desc, file_name;

-- name: excluded
select source, reason, count(*) as rows
from analytics.excluded_events where user_id = %(user_id)s group by 1, 2 order by 3 desc, 1, 2;

-- name: api_calls
select called_on, endpoint, calls
from spotify_api_calls
where user_id = %(user_id)s and called_on between %(start)s and %(end)s
order by called_on, endpoint;

-- name: audio_feature_coverage
select count(*) as sessions, avg(audio_coverage) as coverage
from ml.session_features where user_id = %(user_id)s;
