-- What was played most.

-- name: period_totals
with days as (
    select * from analytics.daily_trends
    where user_id = %(user_id)s and local_date between %(start)s and %(end)s
),
artists as (
    select artist_name from analytics.artist_days
    where user_id = %(user_id)s and local_date between %(start)s and %(end)s and not %(is_all)s
    group by artist_name
),
tracks as (
    select track_id from analytics.track_days
    where user_id = %(user_id)s and local_date between %(start)s and %(end)s and not %(is_all)s
    group by track_id
),
totals as (select * from analytics.analytics_user_metrics where user_id = %(user_id)s)
select
    coalesce(sum(plays), 0)::bigint as plays,
    coalesce(sum(plays_30s), 0)::bigint as plays_30s,
    coalesce(sum(ms_played), 0)::bigint as ms_played,
    coalesce(sum(new_artists), 0)::bigint as new_artists,
    count(*) as active_days,
    case when %(is_all)s then (select unique_artists from totals) else (select count(*)
        from artists) end as artists,
    case when %(is_all)s then (select unique_tracks from totals) else (select count(*)
        from tracks) end as tracks
from days;

-- name: artist_months
select date_trunc(%(granularity)s, local_date::timestamp)::date as bucket, artist_name,
    sum(plays)::bigint as plays, sum(ms_played)::bigint as ms_played
from analytics.artist_days
where user_id = %(user_id)s and artist_name = any(%(artists)s) and local_date between %(start)s and %(end)s
group by 1, 2
order by 1, 2;

-- name: movers
with changes as (
    select artist_name,
        coalesce(sum(plays) filter (where local_date >= %(start)s), 0)::bigint as plays,
        coalesce(sum(plays) filter (where local_date <= %(previous_end)s), 0)::bigint as previous_plays
    from analytics.artist_days
    where user_id = %(user_id)s
        and (local_date between %(start)s and %(end)s or local_date between %(previous_start)s
            and %(previous_end)s)
    group by artist_name
),
ranked as (
    select *, plays - previous_plays as change,
        row_number() over (order by plays - previous_plays desc, artist_name) as rise,
        row_number() over (order by plays - previous_plays, artist_name) as fall
    from changes
)
select artist_name, plays, previous_plays, change
from ranked
where (rise <= %(limit)s and change > 0) or (fall <= %(limit)s and change < 0)
order by change desc, artist_name;
