create temporary table arrived_rows (
    member smallint not null,
    event_key uuid not null,
    played_at timestamptz not null,
    item_type text not null,
    track_id text,
    payload jsonb not null
) on commit drop
