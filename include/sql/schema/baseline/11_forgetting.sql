-- The one way to remove raw rows: forget_listener() removes a person from every table and leaves an audit row that says
-- when, by whom and how much, but not about whom. That row is also the permit: without one of the same transaction,
-- raw_listening_events refuses to delete.

create table forgotten_listeners (
    forget_id uuid default gen_random_uuid() primary key,
    forgotten_at timestamptz not null default now(),
    forgotten_by text not null default session_user,
    transaction_id xid8 not null default pg_current_xact_id(),
    removed_rows jsonb not null default '{}'
);
comment on table forgotten_listeners is 'Audit of forget_listener(): when, by whom and how much was removed, not about whom.';
comment on column forgotten_listeners.forget_id is 'The audit row.';
comment on column forgotten_listeners.forgotten_at is 'When. UTC.';
comment on column forgotten_listeners.forgotten_by is 'Database role.';
comment on column forgotten_listeners.transaction_id is 'Transaction whose permit to delete the row is.';
comment on column forgotten_listeners.removed_rows is 'Rows removed: table to number.';

-- The transaction's start as well as its number: a restored database counts transactions from anew.
create function is_forgetting() returns boolean language sql stable set search_path = pg_catalog, public as $$
    select exists (
        select from forgotten_listeners where transaction_id = pg_current_xact_id_if_assigned() and forgotten_at = now()
    )
$$;

create function keep_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and is_forgetting() then
        return null;
    end if;
    raise exception '% is append-only: % refused.', tg_table_name, lower(tg_op);
end $$;

create trigger append_only before delete or update or truncate on forgotten_listeners
    for each statement execute function keep_audit();

create function refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and is_forgetting() then
        return null;
    end if;
    raise exception '% is append-only: % refused. To leave a row out of analytics, insert its key into raw_quarantine.',
        tg_table_name, lower(tg_op);
end $$;

create function refuse_others() returns trigger language plpgsql as $$
begin
    if old.user_id is distinct from current_setting('listening.forgetting', true) then
        raise exception '% is append-only: only forget_listener() removes rows.', tg_table_name;
    end if;
    return old;
end $$;

create trigger append_only before delete or update or truncate on raw_listening_events
    for each statement execute function refuse_change();
create trigger only_the_forgotten before delete on raw_listening_events
    for each row execute function refuse_others();

-- Removes every trace of the listener and of tracks and artists that only they have heard; returns rows removed by table.
-- Every table with a column user_id is covered, also one that a later revision adds.
create function forget_listener(listener text) returns jsonb language plpgsql
security definer set search_path = pg_catalog, public as $$
declare
    forgetting uuid;
    removed jsonb := '{}';
    place record;
    n bigint;
    in_this_pass bigint;
    their_connections text[];
    their_tracks text[];
    their_artists text[];
begin
    insert into forgotten_listeners default values returning forget_id into forgetting;
    perform set_config('listening.forgetting', listener, true);
    -- What is being ingested right now is committed first, and then forgotten too.
    lock table raw_listening_events in exclusive mode;

    their_connections := array(select connection_id from listeners where user_id = listener and connection_id is not null)
        || ('spotify_' || listener);
    their_tracks := array(
        select distinct r.track_id from raw_listening_events r
        where r.user_id = listener and r.track_id is not null and not exists (
            select from raw_listening_events o where o.track_id = r.track_id and o.user_id <> listener
        )
    );
    their_artists := array(
        select distinct t.artist_id from tracks t
        where t.track_id = any(their_tracks) and not exists (
            select from tracks o where o.artist_id = t.artist_id and o.track_id <> all(their_tracks)
        )
    );
    update heard_tracks h set plays = h.plays - r.plays
    from (
        select track_id, count(*) as plays from raw_listening_events
        where user_id = listener and track_id is not null group by track_id
    ) r
    where r.track_id = h.track_id;

    -- Removing some rows marks others to be worked on or published, so go round until nothing is left.
    loop
        in_this_pass := 0;
        for place in
            select s.nspname as schema_name, c.relname as table_name
            from pg_class c
            join pg_namespace s on s.oid = c.relnamespace
            join pg_attribute a on a.attrelid = c.oid and a.attname = 'user_id' and not a.attisdropped
            where s.nspname in ('public', 'staging', 'analytics', 'ml') and c.relkind in ('r', 'p') and not c.relispartition
            order by c.relname <> 'raw_listening_events', s.nspname, c.relname
        loop
            execute format('delete from %I.%I where user_id = $1', place.schema_name, place.table_name) using listener;
            get diagnostics n = row_count;
            in_this_pass := in_this_pass + n;
            if n > 0 then
                removed := removed || jsonb_build_object(
                    place.schema_name || '.' || place.table_name,
                    n + coalesce((removed ->> (place.schema_name || '.' || place.table_name))::bigint, 0)
                );
            end if;
        end loop;
        exit when in_this_pass = 0;
    end loop;
    if removed = '{}' then
        raise exception 'Nobody is known as %.', listener using hint = 'select user_id, display_name from listeners';
    end if;

    delete from spotify_tokens where connection_id = any(their_connections);
    delete from heard_tracks where plays <= 0;
    delete from audio_features where track_id = any(their_tracks);
    delete from tracks where track_id = any(their_tracks);
    delete from artists where artist_id = any(their_artists);
    delete from unknown_ids where id = any(their_tracks) or id = any(their_artists);
    update qa_validation_results set message = null where position(listener in message) > 0;

    update forgotten_listeners set removed_rows = removed where forget_id = forgetting;
    return removed;
end $$;

revoke execute on function forget_listener(text) from public;
