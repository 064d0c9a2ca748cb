-- Write, audit, publish. Steps write staging; statement triggers note the scope of every change (a listener's day, an
-- artist, …) in staging.changed_<table>; staging.publish() copies exactly those scopes to what readers see, in one
-- transaction, and forgets them. A run that fails its scans never reaches publish(), so readers keep what they had.

create table staging.published_tables (
    table_name text primary key,
    published_schema text not null,
    scope text[] not null
);

create function staging.note_change() returns trigger language plpgsql as $$
declare
    columns text := (
        select string_agg(quote_ident(c), ', ') from staging.published_tables p, unnest(p.scope) c
        where p.table_name = tg_table_name
    );
begin
    if tg_op in ('INSERT', 'UPDATE') then
        execute format('insert into staging.%I select distinct %s from new_rows on conflict do nothing',
            'changed_' || tg_table_name, columns);
    end if;
    if tg_op in ('DELETE', 'UPDATE') then
        execute format('insert into staging.%I select distinct %s from old_rows on conflict do nothing',
            'changed_' || tg_table_name, columns);
    end if;
    return null;
end $$;

-- Declares that staging.<name> is published to <schema>.<name>, replaced scope by scope.
create function staging.declare_published(name text, schema text, variadic scope text[]) returns void language plpgsql as $$
declare
    columns text := (select string_agg(quote_ident(c), ', ') from unnest(scope) c);
begin
    insert into staging.published_tables values (name, schema, scope);
    execute format('create table %I.%I (like staging.%I including all)', schema, name, name);
    execute format('create table staging.%I as select %s from staging.%I with no data', 'changed_' || name, columns, name);
    execute format('alter table staging.%I add primary key (%s)', 'changed_' || name, columns);
    execute format('create trigger note_insert after insert on staging.%I referencing new table as new_rows
        for each statement execute function staging.note_change()', name);
    execute format('create trigger note_update after update on staging.%I referencing new table as new_rows
        old table as old_rows for each statement execute function staging.note_change()', name);
    execute format('create trigger note_delete after delete on staging.%I referencing old table as old_rows
        for each statement execute function staging.note_change()', name);
end $$;

create function staging.publish()
returns table (table_name text, rows_removed bigint, rows_written bigint) language plpgsql as $$
declare
    p staging.published_tables;
    columns text;
begin
    perform pg_advisory_xact_lock(hashtext('staging.publish'));
    for p in select * from staging.published_tables t order by t.table_name loop
        columns := (select string_agg(quote_ident(c), ', ') from unnest(p.scope) c);
        execute format('delete from %I.%I where (%s) in (select %s from staging.%I)',
            p.published_schema, p.table_name, columns, columns, 'changed_' || p.table_name);
        get diagnostics rows_removed = row_count;
        execute format('insert into %I.%I select * from staging.%I where (%s) in (select %s from staging.%I)',
            p.published_schema, p.table_name, p.table_name, columns, columns, 'changed_' || p.table_name);
        get diagnostics rows_written = row_count;
        execute format('delete from staging.%I', 'changed_' || p.table_name);
        table_name := p.published_schema || '.' || p.table_name;
        return next;
    end loop;
end $$;

select staging.declare_published('listening_events', 'analytics', 'user_id', 'local_date');
select staging.declare_published('excluded_events', 'analytics', 'user_id', 'utc_date');
select staging.declare_published('listening_sessions', 'analytics', 'user_id', 'local_date');
select staging.declare_published('daily_trends', 'analytics', 'user_id', 'local_date');
select staging.declare_published('listening_hours', 'analytics', 'user_id', 'local_date');
select staging.declare_published('artist_days', 'analytics', 'user_id', 'local_date');
select staging.declare_published('artist_totals', 'analytics', 'user_id', 'artist_name');
select staging.declare_published('track_days', 'analytics', 'user_id', 'local_date');
select staging.declare_published('track_totals', 'analytics', 'user_id', 'track_id');
select staging.declare_published('album_days', 'analytics', 'user_id', 'local_date');
select staging.declare_published('album_totals', 'analytics', 'user_id', 'artist_name', 'album_name');
select staging.declare_published('analytics_user_metrics', 'analytics', 'user_id');
select staging.declare_published('session_features', 'ml', 'user_id', 'local_date');
select staging.declare_published('user_features', 'ml', 'user_id');
select staging.declare_published('clustering_models', 'ml', 'user_id', 'version');
select staging.declare_published('session_clusters', 'ml', 'user_id', 'local_date');
select staging.declare_published('personas', 'ml', 'user_id');
select staging.declare_published('artist_cooccurrence', 'ml', 'user_id', 'artist_name');
select staging.declare_published('playlists', 'ml', 'user_id', 'playlist_id');
select staging.declare_published('playlist_tracks', 'ml', 'user_id', 'playlist_id');

-- Views on top, the same in staging and published: what depends on the catalogue or on every other row is derived on read.
do $$
declare
    s text;
begin
    foreach s in array array['staging', 'analytics'] loop
        execute format($view$
            create view %1$I.analytics_listening_events as
            select
                e.*,
                t.duration_ms,
                least(1.0, e.ms_played::double precision / nullif(t.duration_ms, 0)) as completion
            from %1$I.listening_events e
            left join public.tracks t on t.track_id = e.track_id
        $view$, s);
        execute format($view$
            create view %1$I.listening_clock as
            select
                user_id,
                extract(isodow from local_date)::smallint as weekday,
                hour,
                sum(plays)::bigint as plays,
                sum(ms_played)::bigint as ms_played
            from %1$I.listening_hours
            group by 1, 2, 3
        $view$, s);
    end loop;
end $$;
