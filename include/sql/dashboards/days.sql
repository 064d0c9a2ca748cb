-- Listening by day, hour and year; records and milestones.

-- name: days
select local_date, plays, ms_played
from analytics.daily_trends
where user_id = %(user_id)s and local_date between %(start)s and %(end)s
order by local_date;

-- name: trend
select
    date_trunc(%(granularity)s, local_date::timestamp)::date as bucket,
    sum(plays)::bigint as plays,
    sum(plays_30s)::bigint as plays_30s,
    sum(ms_played)::bigint as ms_played,
    sum(sessions)::bigint as sessions,
    sum(skips)::bigint as skips,
    sum(heard)::bigint as heard,
    sum(new_tracks)::bigint as new_tracks,
    sum(new_artists)::bigint as new_artists,
    count(*) as active_days,
    sum(effective_artists) as effective_artists
from analytics.daily_trends
where user_id = %(user_id)s and local_date between %(start)s and %(end)s
group by bucket
order by bucket;

-- name: effective_artists
with buckets as materialized (
    select distinct date_trunc(%(granularity)s, local_date::timestamp)::date as bucket
    from analytics.daily_trends
    where user_id = %(user_id)s and local_date between %(start)s and %(end)s
)
select b.bucket, a.effective_artists
from buckets b
cross join lateral (
    select effective_number(sum(plays), sum(plays * plays)) as effective_artists
    from (
        select sum(plays) as plays
        from analytics.artist_days
        where user_id = %(user_id)s
            and local_date between greatest(b.bucket, %(start)s)
                and least((b.bucket + %(length)s::interval)::date - 1, %(end)s)
        group by artist_name
    ) artists
) a;

-- name: clock
select mod(local_date - date '2001-01-01', 7) + 1 as weekday, hour::int as hour,
    sum(plays)::bigint as plays, sum(ms_played)::bigint as ms_played
from analytics.listening_hours
where user_id = %(user_id)s and local_date between %(start)s and %(end)s
group by 1, 2
order by 1, 2;

-- name: records
with busiest_day as (
    select 'Busiest day' as record, plays::bigint as value, 'plays' as unit, null as what, local_date
    from analytics.daily_trends where user_id = %(user_id)s order by plays desc, local_date limit 1
),
longest_day as (
    select 'Most listening in a day', ms_played, 'ms', null, local_date
    from analytics.daily_trends where user_id = %(user_id)s order by ms_played desc, local_date limit 1
),
longest_session as (
    select 'Longest session', length_ms, 'ms', plays || ' plays', local_date
    from analytics.listening_sessions where user_id = %(user_id)s order by length_ms desc, session_id limit 1
),
longest_streak as (
    select 'Longest streak', streak_days::bigint, 'days', null, local_date
    from analytics.daily_trends where user_id = %(user_id)s order by streak_days desc, local_date limit 1
),
on_repeat as (
    select 'Most on repeat', d.plays::bigint, 'plays', t.track_name || ' · ' || t.artist_name, d.local_date
    from (
        select * from analytics.track_days where user_id = %(user_id)s order by plays desc, local_date limit 1
    ) d
    join analytics.track_totals t on t.user_id = d.user_id and t.track_id = d.track_id
),
discoveries as (
    select 'Most new artists in a day', new_artists::bigint, 'artists', null, local_date
    from analytics.daily_trends
    where user_id = %(user_id)s
        and local_date > (
            select min(earlier.local_date) + 28 from analytics.daily_trends earlier where earlier.user_id = %(user_id)s
        )
    order by new_artists desc, local_date limit 1
)
select * from busiest_day
union all
select * from longest_day
union all
select * from longest_session
union all
select * from longest_streak
union all
select * from on_repeat
union all
select * from discoveries;

-- name: milestones
with running as (
    select local_date, plays, sum(plays) over (order by local_date) as total
    from analytics.daily_trends
    where user_id = %(user_id)s
),
marks as materialized (
    select (base * 10 ^ power)::bigint as plays
    from unnest(array[1, 2.5, 5]) base, generate_series(1, 6) power
)
select marks.plays, running.local_date
from marks
join running on marks.plays > running.total - running.plays and marks.plays <= running.total
order by marks.plays desc;

-- name: years
with days as (
    select extract(year from local_date)::int as year, *
    from analytics.daily_trends
    where user_id = %(user_id)s
),
best_days as (
    select distinct on (year) year, local_date as best_day, plays as best_day_plays
    from days order by year, plays desc, local_date
),
months as (
    select year, date_trunc('month', local_date::timestamp)::date as best_month, sum(ms_played) as ms
    from days group by 1, 2
),
best_months as (select distinct on (year) year, best_month from months order by year, ms desc, best_month)
select
    year,
    sum(plays)::bigint as plays,
    sum(plays_30s)::bigint as plays_30s,
    sum(ms_played)::bigint as ms_played,
    count(*) as active_days,
    sum(new_artists)::bigint as new_artists,
    max(least(streak_days, extract(doy from local_date)))::int as longest_streak_days,
    best_day, best_day_plays, best_month
from days
join best_days using (year)
join best_months using (year)
group by year, best_day, best_day_plays, best_month
order by year desc;
