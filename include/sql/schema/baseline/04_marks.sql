-- Marks: what each step still has to do.

create table pending_days (
    step text,
    user_id text,
    day date,
    primary key (step, user_id, day)
);
comment on table pending_days is 'What a step still has to do: a listener''s day whose rows changed. The step removes the mark in the transaction that writes its result.';
comment on column pending_days.step is 'The step that has to work the day off.';
comment on column pending_days.user_id is 'Spotify account id of the listener.';
comment on column pending_days.day is 'UTC day of raw played_at for listening_events, the local day for every later step.';

create table pending_artists (
    user_id text,
    artist_name text,
    primary key (user_id, artist_name)
);
comment on table pending_artists is 'Artists of sessions that changed: what artist_cooccurrence still has to do, beside its pending_days.';
comment on column pending_artists.user_id is 'Spotify account id of the listener.';
comment on column pending_artists.artist_name is 'Whose pairs are to be counted again.';

create table held_listeners (
    user_id text,
    step text,
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
comment on column takeable_days.step is 'As in pending_days.';
comment on column takeable_days.user_id is 'As in pending_days.';
comment on column takeable_days.day is 'As in pending_days.';

-- Locks ---------------------------------------------------------------------------------------------------------

-- A step must not take a mark before it can see the rows that the mark is about. So whoever marks days shares this lock until
-- commit, and a step that takes marks holds it alone: it waits until everybody who is marking has committed.
create function lock_marks() returns void language sql as $$
    select pg_advisory_xact_lock(7461002)
$$;

-- For steps that run side by side. Their marks are only made by steps that hold the lock alone, so sharing it is enough; a
-- lock of the step's own makes two runs of it take turns.
create function lock_marks_of(step text) returns void language sql set search_path = pg_catalog, pg_temp as $$
    select pg_advisory_xact_lock_shared(7461002);
    select pg_advisory_xact_lock(7461003, hashtext(step));
    select set_config('listening.marks_of', step, true);
$$;

create function share_marks() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    perform pg_advisory_xact_lock_shared(7461002);
    return null;
end $$;

-- Who takes marks without lock_marks_of() holds the lock alone. A step that shares it already must not ask for that: two of
-- them would wait for each other.
create function take_marks() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    if coalesce(current_setting('listening.marks_of', true), '') = '' then
        perform lock_marks();
    end if;
    return null;
end $$;

create trigger share_marks before insert on pending_days
    for each statement execute function share_marks();
create trigger take_marks before delete on pending_days
    for each statement execute function take_marks();

-- A change of what plays are made of marks days ------------------------------------------------------------------------

-- The earliest day must count where late streams were heard, not only when they were reported.
create function mark_days(listener text, low timestamptz, high timestamptz) returns void language sql
set search_path = pg_catalog, public, pg_temp as $$
    with extent as (
        select
            greatest(low - interval '1 day', least(min(played_at), min(ended_at))) as low,
            least(high + interval '1 day', max(played_at)) as high
        from raw_listening_events
        where user_id = listener
        having count(*) > 0
    )
    insert into pending_days (step, user_id, day)
    select 'listening_events', listener, day::date
    from extent, generate_series((low at time zone 'UTC')::date, (high at time zone 'UTC')::date, interval '1 day') day
    on conflict do nothing
$$;

create function mark_new_listener() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    perform mark_days(n.user_id, '-infinity', 'infinity') from new_rows n where n.time_zone <> 'UTC';
    return null;
end $$;

create function mark_zone_of_listener() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    perform mark_days(n.user_id, '-infinity', (
        select coalesce(min(z.valid_from), 'infinity') from listener_time_zones z where z.user_id = n.user_id
    ))
    from new_rows n
    left join old_rows o using (user_id)
    where o.time_zone is distinct from n.time_zone;
    return null;
end $$;

create trigger mark_new_listener after insert on listeners referencing new table as new_rows
    for each statement execute function mark_new_listener();
create trigger mark_zone after update on listeners referencing old table as old_rows new table as new_rows
    for each statement execute function mark_zone_of_listener();

-- From the period that begins, ends or changes to the next one's beginning.
create function mark_zone_period() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    if tg_op in ('INSERT', 'UPDATE') then
        perform mark_days(n.user_id, n.valid_from, (
            select coalesce(min(z.valid_from), 'infinity') from listener_time_zones z
            where z.user_id = n.user_id and z.valid_from > n.valid_from
        )) from new_rows n;
    end if;
    if tg_op in ('DELETE', 'UPDATE') then
        perform mark_days(o.user_id, o.valid_from, (
            select coalesce(min(z.valid_from), 'infinity') from listener_time_zones z
            where z.user_id = o.user_id and z.valid_from > o.valid_from
        )) from old_rows o;
    end if;
    return null;
end $$;

create trigger mark_zone_delete after delete on listener_time_zones referencing old table as old_rows
    for each statement execute function mark_zone_period();
create trigger mark_zone_insert after insert on listener_time_zones referencing new table as new_rows
    for each statement execute function mark_zone_period();
create trigger mark_zone_update after update on listener_time_zones referencing old table as old_rows new table as new_rows
    for each statement execute function mark_zone_period();

create function mark_quarantine() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    if tg_op in ('INSERT', 'UPDATE') then
        insert into pending_days (step, user_id, day)
        select distinct 'listening_events', r.user_id, (r.played_at at time zone 'UTC')::date
        from new_rows q
        join raw_listening_events r using (user_id, source, event_key)
        on conflict do nothing;
    end if;
    if tg_op in ('DELETE', 'UPDATE') then
        insert into pending_days (step, user_id, day)
        select distinct 'listening_events', r.user_id, (r.played_at at time zone 'UTC')::date
        from old_rows q
        join raw_listening_events r using (user_id, source, event_key)
        on conflict do nothing;
    end if;
    return null;
end $$;

create trigger mark_quarantine_delete after delete on raw_quarantine referencing old table as old_rows
    for each statement execute function mark_quarantine();
create trigger mark_quarantine_insert after insert on raw_quarantine referencing new table as new_rows
    for each statement execute function mark_quarantine();
create trigger mark_quarantine_update after update on raw_quarantine referencing old table as old_rows new table as new_rows
    for each statement execute function mark_quarantine();

-- The owner may repair raw rows by hand, with the trigger append_only disabled: their days are built again.
create function mark_repaired() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    insert into pending_days (step, user_id, day)
    select 'listening_events', user_id, (played_at at time zone 'UTC')::date from old_rows
    union
    select 'listening_events', user_id, (played_at at time zone 'UTC')::date from new_rows
    on conflict do nothing;
    return null;
end $$;

create trigger mark_repaired after update on raw_listening_events referencing old table as old_rows new table as new_rows
    for each statement execute function mark_repaired();

-- An ISRC that becomes known can only join an export's play of that track to an API row of the same recording close to where
-- it was heard or reported, or part them.
create function mark_isrc(changed_tracks text[]) returns void language sql
set search_path = pg_catalog, public, pg_temp as $$
    insert into pending_days (step, user_id, day)
    select distinct 'listening_events', e.user_id, (a.played_at at time zone 'UTC')::date as day
    from staging.heard_listeners() l (user_id)
    join staging.listening_events e
        on e.user_id = l.user_id and e.track_id = any(changed_tracks) and e.source = 'extended_history'
    join raw_listening_events r on r.user_id = e.user_id and r.source = e.source and r.event_key = e.event_id
    join raw_listening_events a
        on a.user_id = e.user_id and a.source = 'api'
        and (
            a.played_at between e.started_at - interval '60 seconds' and e.played_at + interval '60 seconds'
            or a.played_at between r.played_at - interval '60 seconds' and r.played_at + interval '60 seconds'
        )
    order by e.user_id, day
    on conflict do nothing
$$;

-- A length that becomes known changes what plays of the track were.
create function mark_lengths(changed_tracks text[]) returns void language sql
set search_path = pg_catalog, public, pg_temp as $$
    insert into pending_days (step, user_id, day)
    select distinct 'listening_events', e.user_id, (e.played_at at time zone 'UTC')::date as day
    from staging.heard_listeners() l (user_id)
    join tracks t on t.track_id = any(changed_tracks)
    join staging.listening_events e on e.user_id = l.user_id and e.track_id = t.track_id and e.skipped_is_estimated
    where skipped_by_length(
        e.ms_played,
        t.duration_ms,
        (
            select max(o.ms_played) from staging.listening_events o
            where o.user_id = e.user_id and o.track_id = e.track_id
        ),
        e.ms_played_is_estimated,
        e.reason_end
    ) is distinct from e.skipped
    order by e.user_id, day
    on conflict do nothing
$$;

create function mark_new_track() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    perform mark_isrc(array(select track_id from new_rows where isrc is not null));
    perform mark_lengths(array(select track_id from new_rows where duration_ms is not null));
    return null;
end $$;

create function mark_changed_track() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    perform mark_isrc(array(
        select n.track_id from new_rows n join old_rows o using (track_id) where n.isrc is distinct from o.isrc
    ));
    perform mark_lengths(array(
        select n.track_id from new_rows n join old_rows o using (track_id) where n.duration_ms is distinct from o.duration_ms
    ));
    return null;
end $$;

create trigger mark_changed_track after update on tracks referencing old table as old_rows new table as new_rows
    for each statement execute function mark_changed_track();
create trigger mark_new_track after insert on tracks referencing new table as new_rows
    for each statement execute function mark_new_track();

-- Marks that steps make side by side are made in one order, so that no two wait for each other.
create function mark_audio(changed_tracks text[]) returns void language sql
set search_path = pg_catalog, public, pg_temp as $$
    insert into pending_days (step, user_id, day)
    select distinct 'session_features', s.user_id, s.local_date
    from staging.track_totals t
    join staging.track_days d using (user_id, track_id)
    join staging.listening_events e
        on e.user_id = d.user_id and e.local_date = d.local_date and e.track_id = d.track_id
    join staging.listening_sessions s on s.user_id = e.user_id and s.session_id = e.session_id
    where t.track_id = any(changed_tracks)
    order by s.user_id, s.local_date
    on conflict do nothing
$$;

-- Only the values that session_features averages count; a track that no source knows has none.
create function mark_new_audio() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
    if exists (select from new_rows where energy is not null) then
        perform mark_audio(array(select track_id from new_rows where energy is not null));
    end if;
    return null;
end $$;

create function mark_changed_audio() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
    changed_tracks text[] := array(
        select n.track_id
        from new_rows n
        join old_rows o using (track_id)
        where (n.energy, n.valence, n.danceability, n.acousticness, n.tempo)
            is distinct from (o.energy, o.valence, o.danceability, o.acousticness, o.tempo)
    );
begin
    if changed_tracks <> '{}' then
        perform mark_audio(changed_tracks);
    end if;
    return null;
end $$;

create trigger mark_changed_audio after update on audio_features referencing old table as old_rows new table as new_rows
    for each statement execute function mark_changed_audio();
create trigger mark_new_audio after insert on audio_features referencing new table as new_rows
    for each statement execute function mark_new_audio();
