-- Marks are made, and raw rows scanned, in the same tables whatever search_path a session has: Soda sets its own, and a
-- temporary table may bear any name.

create or replace function new_raw_events(scanned_layer text) returns setof raw_listening_events language sql stable as $$
    select r.*
    from public.raw_listening_events r
    where r.ingested_at > (select l.passed_at - interval '1 hour' from staging.layers l where l.layer = scanned_layer)
$$;

-- pg_temp last: when it is not named, it is searched first.
do $$
declare
    name regprocedure;
begin
    foreach name in array array[
        'mark_days(text, timestamptz, timestamptz)', 'mark_isrc(text[])', 'mark_zone_of_listener()', 'mark_new_listener()',
        'mark_zone_period()', 'mark_quarantine()', 'mark_new_track()', 'mark_changed_track()', 'mark_repaired()',
        'share_marks()', 'take_marks()', 'count_raw_insertion()'
    ]::regprocedure[] loop
        execute format('alter function %s set search_path = pg_catalog, public, pg_temp', name);
    end loop;
    alter function staging.refresh_statistics(text, bigint) set search_path = pg_catalog, pg_temp;
    alter function staging.begin_fill(text, bigint) set search_path = pg_catalog, pg_temp;
    alter function staging.end_fill(text) set search_path = pg_catalog, pg_temp;
end $$;
