-- Audit before publishing, also when two runs (a backfill and the daily one) work in staging at once. A scan that passes
-- vouches for the state it saw, whichever run changed it last; publish_scanned() refuses while a change is newer than the
-- last passing scan of its layer. The run that changed it scans it, so the last one to publish finds all scanned.

create sequence raw_insertions;
create sequence staging.changes;

create table staging.layers (
    layer text primary key,
    changed bigint not null default 0,
    passed bigint not null default 0,
    passed_by text
);
insert into staging.layers (layer) values ('raw'), ('analytics'), ('ml');

-- Whoever inserts raw rows shares the lock on marks until commit, so that a scan begins when all it counts is visible.
create function count_raw_insertion() returns trigger language plpgsql security definer set search_path = public as $$
begin
    perform pg_advisory_xact_lock_shared(7461002);
    perform nextval('raw_insertions');
    return null;
end $$;
create trigger count_insertion before insert on raw_listening_events
    for each statement execute function count_raw_insertion();

create or replace function staging.note_change() returns trigger language plpgsql as $$
declare
    declared staging.published_tables := (
        select p from staging.published_tables p where p.table_name = tg_table_name
    );
    columns text := (select string_agg(quote_ident(c), ', ') from unnest(declared.scope) c);
    is_changed boolean := false;
begin
    -- nested, because the transition table a statement does not have cannot even be named in it
    if tg_op in ('INSERT', 'UPDATE') then
        if exists (select from new_rows) then
            execute format('insert into staging.%I select distinct %s from new_rows on conflict do nothing',
                'changed_' || tg_table_name, columns);
            is_changed := true;
        end if;
    end if;
    if tg_op in ('DELETE', 'UPDATE') then
        if exists (select from old_rows) then
            execute format('insert into staging.%I select distinct %s from old_rows on conflict do nothing',
                'changed_' || tg_table_name, columns);
            is_changed := true;
        end if;
    end if;
    if is_changed then
        update staging.layers set changed = nextval('staging.changes') where layer = declared.published_schema;
    end if;
    return null;
end $$;

-- Called by build_listening_events when it has read raw rows: what staging is built from.
create function staging.built_from_raw() returns void language sql as $$
    update staging.layers set changed = (select last_value from public.raw_insertions) where layer = 'raw'
$$;

-- The number of the newest change a scan that begins now will see.
create function staging.begin_scan(scanned_layer text) returns bigint language plpgsql as $$
begin
    perform public.lock_marks();
    if scanned_layer = 'raw' then
        return (select last_value from public.raw_insertions);
    end if;
    return (select changed from staging.layers where layer = scanned_layer);
end $$;

create function staging.pass_scan(scanned_layer text, seen bigint, run text) returns void language sql as $$
    update staging.layers set passed = seen, passed_by = run where layer = scanned_layer and passed <= seen
$$;

create function staging.publish_scanned()
returns table (table_name text, rows_removed bigint, rows_written bigint) language plpgsql as $$
declare
    unscanned text;
begin
    perform public.lock_marks();
    select string_agg(layer, ', ' order by layer) into unscanned from staging.layers where changed > passed;
    if unscanned is not null then
        raise exception 'Nothing published: % changed after the last scan that passed. Another run is at work, or its scan failed.', unscanned
            using hint = 'Retry when that run has passed its scans; or clear scan_raw and all after it in this run.';
    end if;
    return query select * from staging.publish();
end $$;

-- What raw scans look at: rows that no step has built plays from yet, without the quarantined. So a scan costs what is
-- new, and rows of a run that failed its scan are looked at again.
create view pending_raw_events as
select r.*
from pending_days p
join raw_listening_events r
    on r.user_id = p.user_id
    and r.played_at >= p.day::timestamp at time zone 'UTC'
    and r.played_at < (p.day + 1)::timestamp at time zone 'UTC'
where p.step = 'listening_events'
    and not exists (
        select from raw_quarantine q
        where q.user_id = r.user_id and q.source = r.source and q.event_key = r.event_key
    );

grant select, usage on sequence raw_insertions, staging.changes to listening_writer;
grant select, update on staging.layers to listening_writer;
grant select on pending_raw_events to listening_writer;

-- Steps refresh the statistics of tables they have filled (MAINTAIN is new in PostgreSQL 17; before it, an analyze by the
-- tasks' role is passed over with a warning, and autovacuum comes by later).
do $$
begin
    if current_setting('server_version_num')::integer >= 170000 then
        grant maintain on all tables in schema public, staging, analytics, ml to listening_writer;
        alter default privileges in schema public, staging, analytics, ml grant maintain on tables to listening_writer;
    end if;
end $$;
