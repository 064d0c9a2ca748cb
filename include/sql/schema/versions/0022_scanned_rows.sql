-- Which raw rows a scan looks at: also those that nobody marked, and at the cost of what is new.

-- Rows lie in the order they came, so a few kilobytes say where the newest are.
create index raw_listening_events_ingested_at on raw_listening_events using brin (ingested_at) with (autosummarize = on);

alter table staging.layers add column passed_at timestamptz not null default '-infinity';

create or replace function staging.pass_scan(scanned_layer text, seen bigint, run text) returns void language sql as $$
    update staging.layers set passed = seen, passed_by = run, passed_at = now()
    where layer = scanned_layer and passed <= seen
$$;

-- Raw rows that came since a layer's last passing scan; an hour more, because ingested_at is when a transaction began.
create function new_raw_events(scanned_layer text) returns setof raw_listening_events language sql stable as $$
    select r.*
    from raw_listening_events r
    where r.ingested_at > (select l.passed_at - interval '1 hour' from staging.layers l where l.layer = scanned_layer)
$$;

-- What raw scans look at, without the quarantined: rows of marked days, from which no step has built plays yet, so that
-- rows of a run that failed its scan are looked at again; and new rows whose day nobody marked. A marked day is a range of
-- the index on (user_id, played_at): offset 0 keeps the planner from reading the whole table instead.
create or replace view pending_raw_events as
with
marked as (
    select r.*
    from pending_days p
    cross join lateral (
        select e.*
        from raw_listening_events e
        where e.user_id = p.user_id
            and e.played_at >= p.day::timestamp at time zone 'UTC'
            and e.played_at < (p.day + 1)::timestamp at time zone 'UTC'
        offset 0
    ) r
    where p.step = 'listening_events'
),
unmarked as (
    select r.*
    from new_raw_events('raw') r
    where not exists (
        select from pending_days p
        where p.step = 'listening_events' and p.user_id = r.user_id and p.day = (r.played_at at time zone 'UTC')::date
    )
),
pending as (
    select * from marked
    union all
    select * from unmarked
)
select *
from pending r
where not exists (
    select from raw_quarantine q
    where q.user_id = r.user_id and q.source = r.source and q.event_key = r.event_key
);

-- The owner may repair raw rows by hand, with the trigger append_only disabled: their days are built again.
create function mark_repaired() returns trigger language plpgsql as $$
begin
    insert into pending_days (step, user_id, day)
    select 'listening_events', user_id, (played_at at time zone 'UTC')::date from old_rows
    union
    select 'listening_events', user_id, (played_at at time zone 'UTC')::date from new_rows
    on conflict do nothing;
    return null;
end $$;
create trigger mark_repaired after update on raw_listening_events
    referencing old table as old_rows new table as new_rows
    for each statement execute function mark_repaired();
