-- One row per listener: totals, and the 28 local days up to as_of. Lifetime totals are added up again for marked listeners
-- only; the window moves on for everybody. Time never goes back: of a backfill and the daily run, the later one stands.
-- Parameters: as_of.

select lock_marks();
set local work_mem = '128MB';
set local jit = off;

create temp table marked_listeners on commit drop as
select distinct user_id from takeable_days where step = 'user_metrics';

delete from takeable_days where step = 'user_metrics';

analyze marked_listeners;

update staging.newest_run set as_of = greatest(as_of, %(as_of)s::timestamptz);

create temp table new_metrics on commit drop as
with
listeners as (
    select user_id, true as is_marked from marked_listeners
    union all
    select user_id, false from staging.analytics_user_metrics
    where user_id not in (select user_id from marked_listeners)
        and staging.has_turn(user_id)
),
dated as (
    select
        l.user_id,
        l.is_marked,
        (r.as_of at time zone coalesce(
            (
                select z.time_zone from public.listener_time_zones z
                where z.user_id = l.user_id and z.valid_from <= r.as_of
                order by z.valid_from desc limit 1
            ),
            p.time_zone,
            'UTC'
        ))::date as as_of
    from listeners l
    cross join staging.newest_run r
    left join public.listeners p using (user_id)
),
totals as (
    select
        d.user_id,
        sum(t.plays)::integer as plays,
        sum(t.sessions)::integer as sessions,
        count(*)::integer as active_days,
        sum(t.new_tracks)::integer as unique_tracks,
        sum(t.new_artists)::integer as unique_artists,
        sum(t.skips)::integer as skips,
        sum(t.plays_30s)::integer as plays_30s,
        sum(t.heard)::integer as heard,
        max(t.streak_days) as longest_streak_days,
        sum(t.ms_played)::bigint as ms_played,
        (select min(e.played_at) from staging.listening_events e where e.user_id = d.user_id) as first_played_at,
        (select max(e.played_at) from staging.listening_events e where e.user_id = d.user_id) as last_played_at
    from dated d
    join staging.daily_trends t using (user_id)
    where d.is_marked
    group by d.user_id
    union all
    select
        o.user_id, o.plays, o.sessions, o.active_days, o.unique_tracks, o.unique_artists, o.skips, o.plays_30s, o.heard,
        o.longest_streak_days, o.ms_played, o.first_played_at, o.last_played_at
    from dated d
    join staging.analytics_user_metrics o using (user_id)
    where not d.is_marked
),
-- Lateral, so that each listener's window is a range of the key and not a share of the history.
recent_days as (
    select d.user_id, w.*
    from dated d
    cross join lateral (
        select
            sum(t.plays)::integer as plays,
            sum(t.ms_played)::bigint as ms_played,
            max(t.streak_days) filter (where t.local_date = d.as_of) as streak_today,
            max(t.streak_days) filter (where t.local_date = d.as_of - 1) as streak_yesterday
        from staging.daily_trends t
        where t.user_id = d.user_id and t.local_date between d.as_of - 27 and d.as_of
    ) w
),
diversity as (
    select d.user_id, w.effective_artists
    from dated d
    cross join lateral (
        select effective_number(sum(plays), sum(plays * plays)) as effective_artists
        from (
            select sum(a.plays) as plays
            from staging.artist_days a
            where a.user_id = d.user_id and a.local_date between d.as_of - 27 and d.as_of
            group by a.artist_name
        ) artists
    ) w
)
select
    t.user_id,
    d.as_of,
    t.plays,
    t.sessions,
    t.active_days,
    t.unique_tracks,
    t.unique_artists,
    t.skips,
    coalesce(r.streak_today, r.streak_yesterday, 0) as current_streak_days,
    t.longest_streak_days,
    t.ms_played,
    coalesce(r.ms_played, 0) as ms_played_28d,
    coalesce(r.plays, 0) as plays_28d,
    coalesce(v.effective_artists, 0) as effective_artists_28d,
    coalesce(t.ms_played::double precision / nullif(t.sessions, 0), 0) as mean_session_ms,
    t.first_played_at,
    t.last_played_at,
    t.plays_30s,
    t.heard
from totals t
join dated d using (user_id)
left join recent_days r using (user_id)
left join diversity v using (user_id);

-- A listener without plays has no row.
delete from staging.analytics_user_metrics o
where staging.has_turn(o.user_id) and not exists (select from new_metrics n where n.user_id = o.user_id);

insert into staging.analytics_user_metrics as o (
    user_id, as_of, plays, sessions, active_days, unique_tracks, unique_artists, skips, current_streak_days,
    longest_streak_days, ms_played, ms_played_28d, plays_28d, effective_artists_28d, mean_session_ms, first_played_at,
    last_played_at, plays_30s, heard
)
select
    user_id, as_of, plays, sessions, active_days, unique_tracks, unique_artists, skips, current_streak_days,
    longest_streak_days, ms_played, ms_played_28d, plays_28d, effective_artists_28d, mean_session_ms, first_played_at,
    last_played_at, plays_30s, heard
from new_metrics
on conflict (user_id) do update set
    as_of = excluded.as_of,
    plays = excluded.plays,
    sessions = excluded.sessions,
    active_days = excluded.active_days,
    unique_tracks = excluded.unique_tracks,
    unique_artists = excluded.unique_artists,
    skips = excluded.skips,
    current_streak_days = excluded.current_streak_days,
    longest_streak_days = excluded.longest_streak_days,
    ms_played = excluded.ms_played,
    ms_played_28d = excluded.ms_played_28d,
    plays_28d = excluded.plays_28d,
    effective_artists_28d = excluded.effective_artists_28d,
    mean_session_ms = excluded.mean_session_ms,
    first_played_at = excluded.first_played_at,
    last_played_at = excluded.last_played_at,
    plays_30s = excluded.plays_30s,
    heard = excluded.heard
where o.* is distinct from excluded.*;
