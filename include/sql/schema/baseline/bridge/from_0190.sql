-- A database of revision 0190, the last before the baseline, becomes equal to one that the baseline makes. Data stay.

-- Nobody read them: the dashboards rank the days of the period that was asked for.
drop view
    staging.artist_stats, staging.track_stats, staging.album_stats, staging.listening_clock,
    analytics.artist_stats, analytics.track_stats, analytics.album_stats, analytics.listening_clock,
    staging.analytics_listening_events;

create or replace function staging.declare_published(name text, schema text, variadic scope text[]) returns void language plpgsql as $$
declare
    columns text := (select string_agg(quote_ident(c), ', ') from unnest(scope) c);
    scope_column text;
begin
    insert into staging.published_tables values (name, schema, scope);
    execute format('create table %I.%I (like staging.%I including all)', schema, name, name);
    execute format('create table staging.%I as select %s from staging.%I with no data', 'changed_' || name, columns, name);
    execute format('alter table staging.%I add primary key (%s)', 'changed_' || name, columns);
    execute format('comment on table %I.%I is %L', schema, name, obj_description(format('staging.%I', name)::regclass));
    execute format('comment on table staging.%I is %L', 'changed_' || name,
        'Scopes changed since the last publish: changed_' || name);
    foreach scope_column in array scope loop
        execute format('comment on column staging.%I.%I is %L', 'changed_' || name, scope_column, (
            select col_description(attrelid, attnum) from pg_attribute
            where attrelid = format('staging.%I', name)::regclass and attname = scope_column
        ));
    end loop;
    execute format('create trigger note_insert after insert on staging.%I referencing new table as new_rows
        for each statement execute function staging.note_change()', name);
    execute format('create trigger note_update after update on staging.%I referencing new table as new_rows
        old table as old_rows for each statement execute function staging.note_change()', name);
    execute format('create trigger note_delete after delete on staging.%I referencing old table as old_rows
        for each statement execute function staging.note_change()', name);
end $$;

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
comment on column pending_raw_events.ended_at is 'When the stream ended by the device''s own clock, where it tells and can be believed; else played_at. UTC.';

grant truncate on all tables in schema staging to listening_writer;
revoke all on forgotten_listeners, staging.dropped_indexes, alembic_version from listening_writer;

do $$
begin
    if current_setting('server_version_num')::int >= 180000 then  -- not-null constraints have names since PostgreSQL 18
        alter table staging.daily_trends
            rename constraint daily_trends_artist_diversity_not_null to daily_trends_effective_artists_not_null;
        alter table analytics.daily_trends
            rename constraint daily_trends_artist_diversity_not_null to daily_trends_effective_artists_not_null;
        alter table staging.analytics_user_metrics rename constraint
            analytics_user_metrics_artist_diversity_28d_not_null to analytics_user_metrics_effective_artists_28d_not_null;
        alter table analytics.analytics_user_metrics rename constraint
            analytics_user_metrics_artist_diversity_28d_not_null to analytics_user_metrics_effective_artists_28d_not_null;
    end if;
end $$;
