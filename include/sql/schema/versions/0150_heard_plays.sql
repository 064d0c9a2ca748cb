-- Plays stand where they were heard, and each is heard, skipped or unknown by one rule for all sources.

drop index raw_listening_events_moved_from;
drop index raw_listening_events_moved_to;

-- When a stream began by the device's own clock, also of online streams: epoch seconds of offline_timestamp, which is in
-- seconds or milliseconds. Null where it cannot be one.
create function clock_seconds(payload jsonb) returns numeric language sql immutable parallel safe return
    case when jsonb_typeof(payload -> 'offline_timestamp') = 'number' then
        case
            when (payload -> 'offline_timestamp')::numeric between 1200000000 and 99999999999
                then (payload -> 'offline_timestamp')::numeric
            when (payload -> 'offline_timestamp')::numeric between 99999999999 and 9999999999999
                then (payload -> 'offline_timestamp')::numeric / 1000
        end
    end;

-- Where a stream ended by that clock. `ts` is when the app reported it, which after a pause can be weeks later. The clock is
-- not believed when the stream would end after its report (it is ahead) or more than 31 days before it: Spotify asks a
-- device to come online every 30 days.
create or replace function stream_ended_at(payload jsonb, played_at timestamptz) returns timestamptz
language sql immutable parallel safe return
    case when jsonb_typeof(payload -> 'ms_played') = 'number' and clock_seconds(payload) is not null then
        case when (payload -> 'ms_played')::numeric between 0 and 86400000 then
            case
                when played_at - to_timestamp(
                    (clock_seconds(payload) + (payload -> 'ms_played')::numeric / 1000)::double precision
                ) between interval '-10 seconds' and interval '31 days'
                then to_timestamp((clock_seconds(payload) + (payload -> 'ms_played')::numeric / 1000)::double precision)
                else played_at
            end
            else played_at
        end
        else played_at
    end;

-- Exports of 2020 say where somebody was. That is as personal as an IP address, which never was stored.
alter table raw_listening_events disable trigger append_only;
update raw_listening_events
set payload = payload - array['city', 'region', 'metro_code', 'longitude', 'latitude']
where payload ?| array['city', 'region', 'metro_code', 'longitude', 'latitude'];
alter table raw_listening_events enable trigger append_only;

alter table raw_listening_events
    add column ended_at timestamptz generated always as (stream_ended_at(payload, played_at)) stored;
comment on column raw_listening_events.ended_at is 'When the stream ended by the device''s own clock, where it tells and can be believed; else played_at. UTC.';

create index raw_listening_events_ended_at on raw_listening_events (user_id, ended_at);
-- Late rows, reported more than a minute after they ended, have two places in time.
create index raw_listening_events_late_played_at on raw_listening_events (user_id, played_at)
    where played_at - ended_at > interval '1 minute';
create index raw_listening_events_late_ended_at on raw_listening_events (user_id, ended_at)
    where played_at - ended_at > interval '1 minute';

-- The earliest day must count where late streams were heard, not only when they were reported.
create or replace function mark_days(listener text, low timestamptz, high timestamptz) returns void language sql
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

-- Widens the temp table ranges (user_id, low, high) until no decision inside depends on a row outside:
-- - 15 minutes of silence close a range: rows of one play end at most 2 minutes apart, and an estimated length looks back
--   no further than that. A late row breaks the silence in both its places.
-- - A late row that may be the same play as a row of another source, which ended when it was reported, brings both places.
create function staging.close_ranges() returns void language plpgsql as $$
begin
    loop
        create temp table closed_ranges on commit drop as
        with recursive
        downwards as (
            select user_id, low, high from ranges
            union all
            select d.user_id, p.low, d.high
            from downwards d
            cross join lateral (
                select least(
                    (
                        select min(r.ended_at) from public.raw_listening_events r
                        where r.user_id = d.user_id and r.ended_at >= d.low - interval '15 minutes' and r.ended_at < d.low
                    ),
                    (
                        select min(r.played_at) from public.raw_listening_events r
                        where r.user_id = d.user_id and r.played_at - r.ended_at > interval '1 minute'
                            and r.played_at >= d.low - interval '15 minutes' and r.played_at < d.low
                    )
                ) as low
            ) p
            where p.low is not null
        ),
        upwards as (
            select user_id, min(low) as low, high from downwards group by user_id, high
            union all
            select u.user_id, u.low, p.high + interval '1 microsecond'
            from upwards u
            cross join lateral (
                select greatest(
                    (
                        select max(r.ended_at) from public.raw_listening_events r
                        where r.user_id = u.user_id and r.ended_at >= u.high and r.ended_at < u.high + interval '15 minutes'
                    ),
                    (
                        select max(r.played_at) from public.raw_listening_events r
                        where r.user_id = u.user_id and r.played_at - r.ended_at > interval '1 minute'
                            and r.played_at >= u.high and r.played_at < u.high + interval '15 minutes'
                    )
                ) as high
            ) p
            where p.high is not null
        ),
        merged as (
            select user_id, unnest(range_agg(tstzrange(low, high))) as range from upwards group by user_id
        )
        select user_id, lower(range) as low, upper(range) as high from merged;
        truncate ranges;
        insert into ranges select * from closed_ranges;
        drop table closed_ranges;
        analyze ranges;

        insert into ranges
        with
        late as (
            select g.user_id, r.played_at, r.other_place
            from ranges g
            cross join lateral (
                (
                    select r.played_at, r.ended_at as other_place from public.raw_listening_events r
                    where r.user_id = g.user_id and r.played_at - r.ended_at > interval '1 minute'
                        and r.played_at >= g.low and r.played_at < g.high
                    offset 0  -- by the index, range by range
                )
                union all
                (
                    select r.played_at, r.played_at from public.raw_listening_events r
                    where r.user_id = g.user_id and r.played_at - r.ended_at > interval '1 minute'
                        and r.ended_at >= g.low and r.ended_at < g.high
                    offset 0
                )
            ) r
            where r.other_place < g.low or r.other_place >= g.high
        )
        select distinct l.user_id, l.other_place, l.other_place + interval '1 microsecond'
        from late l
        where not exists (
                select from ranges g
                where g.user_id = l.user_id and l.other_place >= g.low and l.other_place < g.high
            )
            and exists (
                select from public.raw_listening_events n
                where n.user_id = l.user_id and n.ended_at = n.played_at
                    and n.ended_at between l.played_at - interval '2 minutes' and l.played_at + interval '2 minutes'
            );
        exit when not found;
    end loop;
end $$;
comment on function staging.close_ranges() is 'Widens the temp table ranges until no decision of build_listening_events inside depends on a row outside.';

-- Rows that name a track by artist and title alone: account data, and exports of 2020, which have no column of URIs.
create function known_by_name(source text, payload jsonb) returns boolean language sql immutable parallel safe return
    source = 'account_history'
    or source = 'extended_history' and payload ? 'master_metadata_track_name' and not payload ? 'spotify_track_uri';

-- Whether a play that its source does not call heard or skipped was skipped: false = heard, null = unknown. Heard is at
-- least half of the track, or 4 minutes (https://www.last.fm/api/scrobbling), of a track of unknown length 30 s. The length
-- is Spotify's, else that of the listener's longest play of it. A short play is a skip where nothing but its length is
-- known; where it ended for another reason, or its length is only estimated, nobody can tell.
create function skipped_by_length(
    ms_played integer, duration_ms integer, longest_ms integer, is_estimated boolean, reason_end text
) returns boolean language sql immutable parallel safe return
    case
        when ms_played >= least(
            240000,
            coalesce(
                case when duration_ms > 0 then duration_ms end / 2.0,
                case when longest_ms >= 30000 then longest_ms end / 2.0,
                30000
            )
        )
        then false
        when is_estimated or reason_end is not null then null
        else true
    end;

-- Events: known by name, heard or skipped -----------------------------------------------------------------------------

do $$
declare
    s text;
begin
    foreach s in array array['staging', 'analytics'] loop
        execute format('drop view %I.analytics_listening_events', s);
        execute format($table$
            alter table %I.listening_events
                alter column skipped drop not null,
                add column skipped_is_estimated boolean not null default false,
                add column known_by_name boolean not null default false
        $table$, s);
        execute format($view$
            create view %1$I.analytics_listening_events as
            select
                e.*,
                t.duration_ms,
                least(1.0, e.ms_played::double precision / nullif(t.duration_ms, 0)) as completion
            from %1$I.listening_events e
            left join public.tracks t on t.track_id = e.track_id
        $view$, s);
        execute format('comment on view %I.analytics_listening_events is %L', s,
            'Plays with their track''s length and how much of it was heard.');
        execute format('comment on column %I.listening_events.skipped is %L', s,
            'true: skipped, false: heard, null: unknown. What the export says (flag or reason_end), else by length.');
        execute format('comment on column %I.listening_events.skipped_is_estimated is %L', s,
            'Whether skipped was worked out from lengths (skipped_by_length).');
        execute format('comment on column %I.listening_events.known_by_name is %L', s,
            'Whether the row came without a track id, so that track_id is what its artist and title mean.');
        execute format('comment on column %I.listening_events.played_at is %L', s,
            'When the play ended: where it was heard, not when it was reported. UTC.');
        execute format('comment on column %I.excluded_events.reason is %L', s,
            'same_play_as_export, logged_twice (one play in two rows of the exports), podcast_episode, audiobook, video, quarantined, missing_track_id, impossible_timestamp, impossible_duration or no_playback (0 ms).');
        execute format('comment on column %I.excluded_events.kept_event_id is %L', s,
            'The play that stands for the row (same_play_as_export, logged_twice).');
    end loop;
end $$;

-- A view's columns mean what its table's do.
do $$
declare
    commented record;
begin
    for commented in
        select n.nspname, v.attname, coalesce(col_description(t.attrelid, t.attnum), case v.attname
            when 'duration_ms' then 'The track''s length in milliseconds, where known.'
            when 'completion' then 'Share of the track that was heard, at most 1.'
        end) as text
        from pg_namespace n
        join pg_class c on c.relnamespace = n.oid and c.relname = 'analytics_listening_events'
        join pg_attribute v on v.attrelid = c.oid and v.attnum > 0
        left join pg_attribute t on t.attrelid = format('%I.listening_events', n.nspname)::regclass and t.attname = v.attname
    loop
        execute format('comment on column %I.analytics_listening_events.%I is %L', commented.nspname, commented.attname, commented.text);
    end loop;
end $$;


drop index staging.listening_events_account_name;
create index listening_events_known_by_name on staging.listening_events (user_id, name_track_id(artist_name, track_name))
    where known_by_name;
-- The longest play of a track, and the plays judged by it.
create index listening_events_track on staging.listening_events (user_id, track_id, ms_played);
create index listening_events_estimated on staging.listening_events (user_id, track_id) where skipped_is_estimated;

-- Who has plays: one look into the index for each.
create function staging.heard_listeners() returns setof text language sql stable as $$
    with recursive
    heard as (
        select min(user_id) as user_id from staging.listening_events
        union all
        select (select min(e.user_id) from staging.listening_events e where e.user_id > h.user_id)
        from heard h
        where h.user_id is not null
    )
    select user_id from heard where user_id is not null
$$;

-- An ISRC that becomes known can only join an export's play of that track to an API row of the same recording close to where
-- it was heard or reported, or part them.
create or replace function mark_isrc(changed_tracks text[]) returns void language sql
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

create or replace function mark_new_track() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
    perform mark_isrc(array(select track_id from new_rows where isrc is not null));
    perform mark_lengths(array(select track_id from new_rows where duration_ms is not null));
    return null;
end $$;
create or replace function mark_changed_track() returns trigger language plpgsql
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

-- All plays are placed and judged anew.
select mark_days(user_id, '-infinity', 'infinity') from (select distinct user_id from raw_listening_events) r;
