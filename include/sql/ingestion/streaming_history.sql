-- Loading export files into raw_listening_events.

-- name: lock_listener
select pg_advisory_xact_lock(hashtextextended('import_streaming_history ' || %(user_id)s, 0));

-- name: read_file_status
select status from ingested_files where user_id = %(user_id)s and sha256 = %(sha256)s;

-- name: create_arrived_rows
-- A block of rows on its way into raw_listening_events, small enough to stay in memory.
create temporary table arrived_rows (like raw_listening_events including defaults) on commit drop;

-- name: create_loaded_plays
-- Days and tracks of the new rows, collected until the end of the transaction, so that marks are locked once and always in
-- the same order. A row has a day, a track with its plays, or both. Days are UTC days, counted from 2000-01-01.
create temporary table loaded_plays (
    day integer,
    track_id text,
    plays bigint
) on commit drop;

-- name: copy_raw_events
-- sqlfluff cannot read a copy that another query follows: hence noqa.
copy raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)
from stdin (format binary);  -- noqa: PRS

-- name: copy_loaded_plays
copy loaded_plays (day, track_id, plays) from stdin;

-- name: copy_arrived_rows
copy arrived_rows (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)
from stdin (format binary);

-- name: insert_arrived_rows
-- Adds the rows that are not stored yet, and collects their days and tracks.
with inserted as (
    insert into raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)
    select user_id, source, event_key, played_at, item_type, track_id, payload, run_id
    from arrived_rows
    on conflict (user_id, source, event_key) do nothing
    returning played_at, track_id
),

noted as (
    insert into loaded_plays (day, track_id, plays)
    select (played_at at time zone 'UTC')::date - date '2000-01-01' as day, track_id, count(*)
    from inserted
    group by day, track_id
    returning plays
)

select coalesce(sum(plays), 0)::bigint from noted;

-- name: empty_arrived_rows
truncate arrived_rows;

-- name: mark_loaded_plays
-- Marks the days of the new rows. A mark that exists is updated, not skipped: its lock makes a step that is about to take
-- it wait for these rows.
with marked as (
    insert into pending_days (step, user_id, day)
    select distinct 'listening_events', %(user_id)s, date '2000-01-01' + day as day
    from loaded_plays
    where day is not null
    order by day
    on conflict (step, user_id, day) do update set day = excluded.day
)

insert into heard_tracks as h (track_id, plays)
select track_id, sum(plays)
from loaded_plays
where track_id is not null
group by track_id
order by track_id
on conflict (track_id) do update set plays = h.plays + excluded.plays;

-- name: record_file
insert into ingested_files as f (
    sha256, user_id, file_name, status, message, size_bytes, rows_read, rows_loaded, rows_already_known, skipped_rows, members,
    first_played_at, last_played_at, run_id
)
values (
    %(sha256)s, %(user_id)s, %(file_name)s, %(status)s, %(message)s, %(size_bytes)s, %(rows_read)s, %(rows_loaded)s,
    %(rows_already_known)s, %(skipped_rows)s, %(members)s, %(first_played_at)s, %(last_played_at)s, %(run_id)s
)
on conflict (user_id, sha256) do update set
    file_name = excluded.file_name,
    status = excluded.status,
    message = excluded.message,
    rows_read = excluded.rows_read,
    rows_loaded = excluded.rows_loaded,
    rows_already_known = excluded.rows_already_known,
    skipped_rows = excluded.skipped_rows,
    members = excluded.members,
    first_played_at = excluded.first_played_at,
    last_played_at = excluded.last_played_at,
    run_id = excluded.run_id,
    ingested_at = now()
where (f.status, f.message, f.members) is distinct from (excluded.status, excluded.message, excluded.members);

-- name: close_gaps
-- An export is complete from its first play to its last, so it closes the gaps in between. A zip is an export, and so are
-- the loose files of a folder. An export with a part that could not be read closes none.
with exports as (
    select
        user_id,
        case when file_name ilike '%%.zip' then file_name else regexp_replace(file_name, '[^/]*$', '') end as export,
        min(first_played_at) as first_played_at,
        max(last_played_at) as last_played_at
    from ingested_files
    where user_id = any(%(user_ids)s)
    group by 1, 2
    having bool_and(status in ('loaded', 'ignored'))
)

update ingestion_gaps as g
set closed_at = %(closed_at)s, closed_by = coalesce(nullif(e.export, ''), 'loose files')
from exports e
where
    e.user_id = g.user_id
    and g.closed_at is null
    and e.first_played_at <= g.gap_start + interval '1 minute'
    and e.last_played_at >= g.gap_end - interval '1 minute';

-- name: analyze_raw
analyze raw_listening_events, heard_tracks;
