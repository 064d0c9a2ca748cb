-- Adds what is not known yet, and notes what it touches.
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

select coalesce(sum(plays), 0)::bigint from noted
