-- What the incremental analytics steps in include/sql/analytics need from the database: where a play ended, which known
-- track a name means, marks when a listener's zone, a quarantine or a track's ISRC changes, and rankings on read.

-- Where a stream ended. `ts` of an offline stream can be the time of a later sync; offline_timestamp (seconds or
-- milliseconds) is when it started. Plausible means: at least a minute and at most a year before the sync.
create function stream_ended_at(payload jsonb, played_at timestamptz) returns timestamptz
language sql immutable parallel safe return
    case
        when payload ->> 'offline' in ('true', '1', '1.0')
            and jsonb_typeof(payload -> 'offline_timestamp') = 'number'
            and jsonb_typeof(payload -> 'ms_played') = 'number'
            and (payload ->> 'offline_timestamp')::double precision between 1200000000 and 9999999999999
            and (payload ->> 'ms_played')::double precision between 0 and 86400000
            and played_at - to_timestamp(
                (payload ->> 'offline_timestamp')::double precision
                / case when (payload ->> 'offline_timestamp')::double precision > 99999999999 then 1000 else 1 end
                + (payload ->> 'ms_played')::double precision / 1000
            ) between interval '60 seconds' and interval '366 days'
        then to_timestamp(
            (payload ->> 'offline_timestamp')::double precision
            / case when (payload ->> 'offline_timestamp')::double precision > 99999999999 then 1000 else 1 end
            + (payload ->> 'ms_played')::double precision / 1000
        )
        else played_at
    end;

-- Only the few rows that ended elsewhere than their ts says.
create index raw_listening_events_moved_from on raw_listening_events (user_id, played_at)
    where stream_ended_at(payload, played_at) <> played_at;
create index raw_listening_events_moved_to on raw_listening_events (user_id, stream_ended_at(payload, played_at))
    where stream_ended_at(payload, played_at) <> played_at;

-- The id of a track known by name only.
create function name_track_id(artist_name text, track_name text) returns text
language sql immutable parallel safe return 'name:' || md5(lower(artist_name) || chr(31) || lower(track_name));

-- Which Spotify tracks a listener's plays give to a name, and how many plays do. The smallest id is what account rows,
-- which come without ids, resolve to.
create table staging.track_names (
    user_id text not null,
    name_id text not null,
    track_id text not null,
    plays integer not null,
    primary key (user_id, name_id, track_id)
);
create index listening_events_account_name on staging.listening_events (user_id, name_track_id(artist_name, track_name))
    where source = 'account_history';
create index track_totals_track on staging.track_totals (track_id);

-- Turns the temp table pairs (candidates for being the same play) into same_plays, one to one and nearest first, and
-- empties it. Taking the best pair of all again and again is the same as taking, in rounds, every pair that is the best
-- for both its rows.
create function staging.match_nearest() returns void language plpgsql as $$
begin
    create temp table ranked_pairs on commit drop as
    select user_id, giving_way, standing, row_number() over (order by rule, distance, tie_break, user_id, giving_way, standing) as rank
    from pairs;
    truncate pairs;
    create temp table best_pairs (user_id text, giving_way uuid, standing uuid) on commit drop;
    loop
        truncate best_pairs;
        insert into best_pairs
        select p.user_id, p.giving_way, p.standing
        from ranked_pairs p
        join (select min(rank) as rank from ranked_pairs group by user_id, giving_way) g on g.rank = p.rank
        join (select min(rank) as rank from ranked_pairs group by user_id, standing) s on s.rank = p.rank;
        exit when not found;
        insert into same_plays select user_id, giving_way, standing from best_pairs;
        delete from ranked_pairs p using best_pairs b where b.user_id = p.user_id and b.giving_way = p.giving_way;
        delete from ranked_pairs p using best_pairs b where b.user_id = p.user_id and b.standing = p.standing;
    end loop;
    drop table ranked_pairs, best_pairs;
end $$;

-- Marks ----------------------------------------------------------------------------------------------------------

-- A mark is consumed only after everybody who is marking has committed, and nobody marks while it is consumed: else a
-- step could take a mark whose rows it cannot see yet. Markers share the lock, consumers hold it alone, both until
-- their transaction ends.
create function lock_marks() returns void language sql as $$
    select pg_advisory_xact_lock(7461002)
$$;

create function share_marks() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(7461002);
    return null;
end $$;
create trigger share_marks before insert on pending_days for each statement execute function share_marks();

create function take_marks() returns trigger language plpgsql as $$
begin
    perform lock_marks();
    return null;
end $$;
create trigger take_marks before delete on pending_days for each statement execute function take_marks();

-- Marks every day of a listener's raw rows that ended or were synced within [low, high), a day wider on both sides.
create function mark_days(listener text, low timestamptz, high timestamptz) returns void language sql as $$
    with extent as (
        select
            greatest(low - interval '1 day', min(played_at)) as low,
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

create function mark_zone_of_listener() returns trigger language plpgsql as $$
begin
    perform mark_days(n.user_id, '-infinity', (
        select coalesce(min(z.valid_from), 'infinity') from listener_time_zones z where z.user_id = n.user_id
    ))
    from new_rows n
    left join old_rows o using (user_id)
    where o.time_zone is distinct from n.time_zone;
    return null;
end $$;

create function mark_new_listener() returns trigger language plpgsql as $$
begin
    perform mark_days(n.user_id, '-infinity', 'infinity') from new_rows n where n.time_zone <> 'UTC';
    return null;
end $$;

create trigger mark_new_listener after insert on listeners referencing new table as new_rows
    for each statement execute function mark_new_listener();
create trigger mark_zone after update on listeners referencing new table as new_rows old table as old_rows
    for each statement execute function mark_zone_of_listener();

-- From the period that begins, ends or changes to the next one's beginning.
create function mark_zone_period() returns trigger language plpgsql as $$
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
create trigger mark_zone_insert after insert on listener_time_zones referencing new table as new_rows
    for each statement execute function mark_zone_period();
create trigger mark_zone_update after update on listener_time_zones referencing new table as new_rows old table as old_rows
    for each statement execute function mark_zone_period();
create trigger mark_zone_delete after delete on listener_time_zones referencing old table as old_rows
    for each statement execute function mark_zone_period();

-- A zone nobody knows must be refused where it is entered, not in the middle of a run.
alter table listeners add constraint known_time_zone
    check ((timestamptz '2020-01-01 00:00:00Z' at time zone time_zone) is not null);
alter table listener_time_zones add constraint known_time_zone
    check ((timestamptz '2020-01-01 00:00:00Z' at time zone time_zone) is not null);

create function mark_quarantine() returns trigger language plpgsql as $$
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
create trigger mark_quarantine_insert after insert on raw_quarantine referencing new table as new_rows
    for each statement execute function mark_quarantine();
create trigger mark_quarantine_update after update on raw_quarantine referencing new table as new_rows old table as old_rows
    for each statement execute function mark_quarantine();
create trigger mark_quarantine_delete after delete on raw_quarantine referencing old table as old_rows
    for each statement execute function mark_quarantine();

-- An ISRC that becomes known can only join an export's play of that track to an API row of the same recording close by.
create function mark_isrc(changed_tracks text[]) returns void language sql as $$
    insert into pending_days (step, user_id, day)
    select distinct 'listening_events', a.user_id, (a.played_at at time zone 'UTC')::date
    from staging.track_totals t
    join staging.track_days d using (user_id, track_id)
    join staging.listening_events e
        on e.user_id = d.user_id and e.local_date = d.local_date and e.track_id = d.track_id
    join raw_listening_events a
        on a.user_id = e.user_id
        and a.played_at between e.started_at - interval '60 seconds' and e.played_at + interval '60 seconds'
    where t.track_id = any(changed_tracks) and e.source = 'extended_history' and a.source = 'api'
    on conflict do nothing
$$;
create function mark_new_track() returns trigger language plpgsql as $$
begin
    perform mark_isrc(array(select track_id from new_rows where isrc is not null));
    return null;
end $$;
create function mark_changed_track() returns trigger language plpgsql as $$
begin
    perform mark_isrc(array(
        select n.track_id from new_rows n join old_rows o using (track_id) where n.isrc is distinct from o.isrc
    ));
    return null;
end $$;
create trigger mark_new_track after insert on tracks referencing new table as new_rows
    for each statement execute function mark_new_track();
create trigger mark_changed_track after update on tracks referencing new table as new_rows old table as old_rows
    for each statement execute function mark_changed_track();

-- Planning -------------------------------------------------------------------------------------------------------

-- A step that has changed a tenth of a table refreshes its statistics: the next step in the same minute plans with them,
-- and autovacuum has not come by yet.
create function staging.refresh_statistics(name text, changed bigint) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    if changed > 0 and changed >= 0.1 * greatest((
        select c.reltuples from pg_class c where c.oid = format('staging.%I', name)::regclass
    ), 0) then
        execute format('analyze staging.%I', name);
    end if;
end $$;

grant select, insert, update, delete on staging.track_names to listening_writer;

-- Rankings on read: a rank depends on every other row -------------------------------------------------------------

do $$
declare
    s text;
    noun text;
    key text;
begin
    foreach s in array array['staging', 'analytics'] loop
        for noun, key in values ('artist', 'artist_name'), ('track', 'track_id'), ('album', 'artist_name, album_name') loop
            execute format($view$
                create view %1$I.%2$I as
                with
                totals as (
                    select * from %1$I.%3$I
                ),
                recent as (
                    select d.user_id, %5$s, sum(d.plays) as plays
                    from %1$I.%4$I d
                    join %1$I.analytics_user_metrics m using (user_id)
                    where d.local_date > m.as_of - 28
                    group by d.user_id, %5$s
                ),
                compared as (
                    select t.*, coalesce(r.plays, 0) as plays_28d, t.plays - coalesce(r.plays, 0) as previous_plays
                    from totals t
                    left join recent r using (user_id, %5$s)
                ),
                ranked as (
                    select
                        *,
                        plays::double precision / sum(plays) over listener as share_of_plays,
                        ms_played::double precision / nullif(sum(ms_played) over listener, 0) as share_of_time,
                        skips::double precision / plays as skip_rate,
                        rank() over (listener order by plays desc) as rank,
                        case when previous_plays > 0
                            then rank() over (listener order by previous_plays desc)
                        end as previous_rank
                    from compared
                    window listener as (partition by user_id)
                )
                select *, previous_rank - rank as rank_change from ranked
            $view$, s, noun || '_stats', noun || '_totals', noun || '_days', key);
        end loop;
    end loop;
end $$;
