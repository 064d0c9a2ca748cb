-- Plays from Spotify's window of the newest 50.

-- name: list_known_events
select event_key
from raw_listening_events
where user_id = %(user_id)s and source = %(source)s and event_key = any(%(event_keys)s::uuid[]);

-- name: insert_raw_events
-- Adds what is not known yet and marks the days it touches. The marks are updated, not left alone, when they exist: the
-- lock makes a step that is about to work them off wait for these rows.
with arrived as (
    select *
    from unnest(
        %(event_keys)s::uuid[], %(played_ats)s::timestamptz[], %(item_types)s::text[], %(track_ids)s::text[], %(payloads)s::jsonb[]
    ) as a (event_key, played_at, item_type, track_id, payload)
),

inserted as (
    insert into raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)
    select %(user_id)s, %(source)s, event_key, played_at, item_type, track_id, payload, %(run_id)s
    from arrived
    on conflict (user_id, source, event_key) do nothing
    returning played_at, track_id
),

marked as (
    insert into pending_days (step, user_id, day)
    select distinct 'listening_events', %(user_id)s, (played_at at time zone 'UTC')::date as day
    from inserted
    order by day
    on conflict (step, user_id, day) do update set day = excluded.day
),

heard as (
    insert into heard_tracks as h (track_id, plays)
    select track_id, count(*)
    from inserted
    where track_id is not null
    group by track_id
    order by track_id
    on conflict (track_id) do update set plays = h.plays + excluded.plays
)

select count(*) from inserted;

-- name: read_settled_until
with newest_plays as (
    select played_at
    from raw_listening_events
    where user_id = %(user_id)s and source = %(source)s
    order by played_at desc
    limit %(settled_plays)s
),

moments as (
    select min(played_at) as settled_until from newest_plays
    union all
    select last_played_at from ingestion_state where user_id = %(user_id)s and pipeline = 'streaming_history'
)

select max(settled_until) from moments;

-- name: record_gap
insert into ingestion_gaps (user_id, gap_start, gap_end, run_id)
values (%(user_id)s, %(gap_start)s, %(gap_end)s, %(run_id)s)
on conflict (user_id, gap_start) do nothing;
