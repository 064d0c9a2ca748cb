-- A block of rows on its way into raw_listening_events: small enough to stay in memory.
create temporary table arrived_rows (
    user_id text not null,
    source text not null,
    event_key uuid not null,
    played_at timestamptz not null,
    item_type text not null,
    track_id text,
    payload jsonb not null,
    run_id text not null
) on commit drop
