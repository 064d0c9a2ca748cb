-- Adds what is not known yet and marks the days it touches. The marks are updated, not left alone, when they exist: the
-- lock makes a step that is about to work them off wait for these rows.
with members as (
    select * from unnest(%(members)s::smallint[], %(sources)s::text[]) as m (member, source)
),

inserted as (
    insert into raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)
    select %(user_id)s, m.source, a.event_key, a.played_at, a.item_type, a.track_id, a.payload, %(run_id)s
    from arrived_rows a
    inner join members m on m.member = a.member
    on conflict (user_id, source, event_key) do nothing
    returning (played_at at time zone 'UTC')::date as day, track_id
),

days as (
    select day, count(*) as plays from inserted group by day
),

marked as (
    insert into pending_days (step, user_id, day)
    select 'listening_events', %(user_id)s, day
    from days
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

select coalesce(sum(plays), 0)::bigint from days
