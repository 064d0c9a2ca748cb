-- One listener's data never stop a step for the others. What could is refused at the door or made harmless where raw rows
-- become plays; and when a step fails at a listener's data all the same, it goes on without that listener, who is held.

-- At the door: what enters keys is short enough for them (a key has room for 2,704 bytes), moments are finite. Not valid:
-- rows from before stay as they came.
alter table listeners add constraint storable check (octet_length(user_id) between 1 and 256) not valid;
alter table raw_listening_events add constraint storable check (
    octet_length(user_id) <= 256
    and octet_length(track_id) <= 64
    and played_at between timestamptz '0001-01-01 00:00:00Z' and timestamptz '9999-12-31 23:59:59.999999Z'
) not valid;

-- A name as tables have it: short enough for a key of two. Null: nobody sees anything of it (white space, marks of width 0
-- and of direction, blank letters). Raw keeps it as it came. Most names begin with a visible ASCII character, which is
-- quickly seen.
create function shown_name(name text) returns text language sql immutable parallel safe return
    case
        when ascii(name) between 33 and 126
            or btrim(name, U&' \0009\000A\000B\000C\000D\007F\0085\00A0\00AD\115F\1160\1680\180E\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\200B\200C\200D\200E\200F\2028\2029\202A\202B\202C\202D\202E\202F\205F\2060\2066\2067\2068\2069\2800\3000\3164\FEFF\FFA0') <> ''
        then left(name, 255)
    end;

-- Held listeners --------------------------------------------------------------------------------------------------

create table held_listeners (
    user_id text not null,
    step text not null,
    message text not null,
    held_since timestamptz not null default now(),
    tried_at timestamptz not null default now(),
    primary key (user_id, step)
);
comment on table held_listeners is 'Listeners at whose data a step failed: their marks stay, later steps leave them alone, nothing of theirs is published until the step has passed.';
comment on column held_listeners.user_id is 'Spotify account id of the listener.';
comment on column held_listeners.step is 'The step, as in pending_days; each run tries it again for this listener alone.';
comment on column held_listeners.message is 'What the step failed with, the last time.';
comment on column held_listeners.held_since is 'When it failed first. UTC.';
comment on column held_listeners.tried_at is 'When it failed last. UTC.';

-- The order of the steps, as the DAG has it; steps that run side by side have the same place. 6 and more are of layer ml.
create function staging.place_of(step text) returns integer language sql immutable parallel safe return
    case step
        when 'listening_events' then 1
        when 'sessions' then 2
        when 'artist_stats' then 3
        when 'track_stats' then 3
        when 'album_stats' then 3
        when 'listening_clock' then 3
        when 'daily_trends' then 4
        when 'user_metrics' then 5
        when 'session_features' then 6
        when 'user_features' then 6
        when 'session_clusters' then 7
        when 'personas' then 8
        when 'artist_cooccurrence' then 9
        when 'playlists' then 10
    end;

-- Whether a step is to work for the listener: for all, or for one alone where the transaction has set listening.listener.
create function staging.has_turn(user_id text) returns boolean language sql stable parallel safe return
    user_id = coalesce(nullif(current_setting('listening.listener', true), ''), user_id);

-- The one place that steps take their marks from. Without those of listeners that an earlier step holds.
create view takeable_days as
select step, user_id, day
from pending_days p
where
    staging.has_turn(user_id)
    and not exists (
        select from held_listeners h
        where h.user_id = p.user_id and staging.place_of(h.step) < staging.place_of(p.step)
    );
comment on view takeable_days is 'What steps may work on now: pending_days without held listeners. Deleting from it takes marks.';

-- What a held listener's steps changed before one failed waits here, out of sight of scans and of publish().
create table staging.held_changes (
    table_name text not null,
    user_id text not null,
    scope jsonb not null
);
create index held_changes_of on staging.held_changes (table_name, user_id);
comment on table staging.held_changes is 'Changed scopes of held listeners: rows of staging.changed_*, until their steps have passed.';
comment on column staging.held_changes.table_name is 'The changed table of schema staging.';
comment on column staging.held_changes.user_id is 'Spotify account id of the listener.';
comment on column staging.held_changes.scope is 'The row of staging.changed_<table_name>.';

-- Sets changes aside of listeners that a step of the layer, or of an earlier one, holds. Before a scan, brings those of
-- the layer back whose listeners are no longer held.
create function staging.sort_held_changes(scanned_layer text, is_before_scan boolean) returns void language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
declare
    held text[] := array(
        select distinct h.user_id from held_listeners h where scanned_layer = 'ml' or staging.place_of(h.step) < 6
    );
    p staging.published_tables;
    moved bigint;
begin
    if held = '{}' and not exists (select from staging.held_changes) then
        return;
    end if;
    for p in select * from staging.published_tables loop
        execute format(
            'with gone as (delete from staging.%1$I c where c.user_id = any($1) returning c.*)
            insert into staging.held_changes select %2$L, user_id, to_jsonb(gone) from gone',
            'changed_' || p.table_name, p.table_name
        ) using held;
        if is_before_scan and p.published_schema = scanned_layer then
            execute format(
                'with back as (
                    delete from staging.held_changes where table_name = %2$L and user_id <> all($1) returning scope
                )
                insert into staging.%1$I
                select r.* from back, jsonb_populate_record(null::staging.%1$I, back.scope) r
                on conflict do nothing',
                'changed_' || p.table_name, p.table_name
            ) using held;
            get diagnostics moved = row_count;
            if moved > 0 then
                insert into staging.layer_changes (layer) values (p.published_schema);
            end if;
        end if;
    end loop;
end $$;

create or replace function staging.begin_scan(scanned_layer text) returns bigint language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    perform lock_marks();
    if scanned_layer <> 'raw' then
        perform staging.sort_held_changes(scanned_layer, true);
    end if;
    perform staging.count_changes();
    if scanned_layer = 'raw' then
        return (select max(number) from raw_insertions);
    end if;
    return (select changed from staging.layers where layer = scanned_layer);
end $$;

create or replace function staging.publish_scanned()
returns table (table_name text, rows_removed bigint, rows_written bigint) language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
declare
    unscanned text;
begin
    perform staging.count_changes();
    select string_agg(layer, ', ' order by layer) into unscanned from staging.layers where changed > passed;
    if unscanned is not null then
        raise exception 'Nothing published: % changed after the last scan that passed. Another run is at work, or its scan failed.', unscanned
            using hint = 'Retry when that run has passed its scans; or clear scan_raw and all after it in this run.';
    end if;
    -- Who was held after the scans waits too.
    perform staging.sort_held_changes('ml', false);
    return query select * from staging.publish();
end $$;
