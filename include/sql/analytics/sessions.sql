-- Sessions: plays with no more than session_gap_minutes of silence between the end of one and the start of the next, in
-- the order they ended. Works on the marked local days, widened until no session, old or new, crosses an edge.
-- Parameters: session_gap_minutes.

select lock_marks();
set local work_mem = '128MB';
set local jit = off;

create temp table marked_days on commit drop as
select user_id, day from takeable_days where step = 'sessions';

delete from takeable_days where step = 'sessions';

analyze marked_days;

create temp table ranges on commit drop as
with recursive
-- A local day in UTC, whatever the zone, for plays of up to a day, and a gap before it.
windows as (
    select
        user_id,
        unnest(range_agg(tstzrange(
            (day::timestamp at time zone 'UTC') - interval '14 hours' - %(session_gap_minutes)s * interval '1 minute',
            (day::timestamp at time zone 'UTC') + interval '60 hours'
        ))) as range
    from marked_days
    group by user_id
),
-- Sessions as they were that reach into a window: the last one to begin before it, and those that begin inside.
reaching as (
    select
        w.user_id,
        least(lower(w.range), s.started_at) as low,
        greatest(upper(w.range), s.ended_at + interval '1 microsecond') as high
    from windows w
    left join lateral (
        select min(o.started_at) as started_at, max(o.ended_at) as ended_at
        from staging.listening_sessions o
        where o.user_id = w.user_id
            and o.session_id < extract(epoch from upper(w.range)) * 1000
            and o.session_id >= coalesce(
                (
                    select b.session_id from staging.listening_sessions b
                    where b.user_id = w.user_id and b.session_id < extract(epoch from lower(w.range)) * 1000
                    order by b.session_id desc limit 1
                ),
                0
            )
            and o.ended_at >= lower(w.range)
    ) s on true
),
downwards as (
    select user_id, low, high from reaching
    union all
    select d.user_id, p.low, d.high
    from downwards d
    cross join lateral (
        select min(e.played_at) as low
        from staging.listening_events e
        where e.user_id = d.user_id and e.played_at < d.low
            and e.played_at >= (
                select f.started_at from staging.listening_events f
                where f.user_id = d.user_id and f.played_at >= d.low
                order by f.played_at, f.event_id limit 1
            ) - %(session_gap_minutes)s * interval '1 minute'
    ) p
    where p.low is not null
),
upwards as (
    select user_id, min(low) as low, high from downwards group by user_id, high
    union all
    select u.user_id, u.low, n.played_at + interval '1 microsecond'
    from upwards u
    cross join lateral (
        select e.played_at, e.started_at from staging.listening_events e
        where e.user_id = u.user_id and e.played_at >= u.high
        order by e.played_at, e.event_id limit 1
    ) n
    cross join lateral (
        select e.played_at from staging.listening_events e
        where e.user_id = u.user_id and e.played_at < u.high
        order by e.played_at desc limit 1
    ) l
    where n.started_at - l.played_at <= %(session_gap_minutes)s * interval '1 minute'
),
merged as (
    select user_id, unnest(range_agg(tstzrange(low, high))) as range from upwards group by user_id
)
select user_id, lower(range) as low, upper(range) as high from merged;

analyze ranges;

-- Range by range, in order: no window needs a sort of more than a range. No session crosses from one to another.
create temp table session_events on commit drop as
with
begun as (
    select
        g.user_id,
        g.low as range_low,
        e.event_id,
        e.session_id,
        e.track_id,
        e.artist_name,
        e.album_name,
        e.skipped,
        e.ms_played,
        e.played_at,
        e.started_at,
        e.local_started_at,
        e.local_date,
        case
            when e.started_at - lag(e.played_at) over in_range <= %(session_gap_minutes)s * interval '1 minute' then null
            else (extract(epoch from e.started_at) * 1000)::bigint
        end as begun_session
    from (select * from ranges order by user_id, low) g
    cross join lateral (
        select *
        from staging.listening_events e
        where e.user_id = g.user_id and e.played_at >= g.low and e.played_at < g.high
        offset 0
    ) e
    window in_range as (partition by g.user_id, g.low order by e.played_at, e.event_id)
)
select
    b.user_id,
    b.event_id,
    b.session_id as old_session_id,
    max(b.begun_session) over (partition by b.user_id, b.range_low order by b.played_at, b.event_id) as session_id,
    b.begun_session is not null as begins,
    b.track_id,
    b.artist_name,
    b.album_name,
    b.skipped,
    b.ms_played,
    b.played_at,
    b.started_at,
    b.local_started_at,
    b.local_date
from begun b;

analyze session_events (user_id, event_id, session_id, local_date);

update staging.listening_events e
set session_id = s.session_id
from session_events s
where s.session_id is distinct from s.old_session_id and e.user_id = s.user_id and e.event_id = s.event_id;

create temp table new_sessions on commit drop as
select
    user_id,
    session_id,
    count(*)::integer as plays,
    count(distinct track_id)::integer as unique_tracks,
    count(distinct artist_name)::integer as unique_artists,
    count(distinct artist_name || chr(31) || album_name)::integer as unique_albums,
    count(*) filter (where skipped)::integer as skips,
    sum(ms_played)::bigint as ms_played,
    (extract(epoch from max(played_at) - min(started_at) filter (where begins)) * 1000)::bigint as length_ms,
    min(started_at) filter (where begins) as started_at,
    max(played_at) as ended_at,
    min(local_started_at) filter (where begins) as local_started_at,
    min(local_date) filter (where begins) as local_date,
    count(*) filter (where ms_played >= 30000)::integer as plays_30s,
    count(*) filter (where not skipped)::integer as heard
from session_events
group by user_id, session_id;

analyze new_sessions (user_id, session_id);

create temp table changed_days (user_id text not null, local_date date not null) on commit drop;

with
gone as (
    delete from staging.listening_sessions o
    using ranges g
    where o.user_id = g.user_id
        -- no play is longer than a day, so none of these sessions begins earlier
        and o.session_id >= extract(epoch from g.low - interval '1 day') * 1000
        and o.session_id < extract(epoch from g.high) * 1000
        and o.ended_at >= g.low and o.ended_at < g.high
        and not exists (
            select from new_sessions n
            where n.user_id = o.user_id and n.session_id = o.session_id and n.* is not distinct from o.*
        )
    returning o.user_id, o.local_date
)
insert into changed_days select distinct user_id, local_date from gone;

with
added as (
    insert into staging.listening_sessions (
        user_id, session_id, plays, unique_tracks, unique_artists, unique_albums, skips, ms_played, length_ms, started_at,
        ended_at, local_started_at, local_date, plays_30s, heard
    )
    select
        n.user_id, n.session_id, n.plays, n.unique_tracks, n.unique_artists, n.unique_albums, n.skips, n.ms_played,
        n.length_ms, n.started_at, n.ended_at, n.local_started_at, n.local_date, n.plays_30s, n.heard
    from new_sessions n
    on conflict do nothing
    returning user_id, local_date
)
insert into changed_days select distinct user_id, local_date from added;

select staging.mark_readers('listening_sessions', 'changed_days');

-- What a session consists of has changed on its day when any of its plays has.
create temp table changed_contents on commit drop as
select user_id, local_date from changed_days
union
select user_id, day from marked_days
union
-- sessions that went on into a marked day
select n.user_id, n.local_date
from new_sessions n
join session_events e
    on e.user_id = n.user_id and e.session_id = n.session_id and e.local_date <> n.local_date
join marked_days m on m.user_id = e.user_id and m.day = e.local_date;

select staging.mark_readers('session contents', 'changed_contents');

select staging.refresh_statistics('listening_sessions', (select count(*) from new_sessions));
