-- Each track that a listener had played by the reference day: its names, and when it was played. days_ago, day_plays and
-- day_heard are arrays with an entry for each day on which it was played.
with days as (
    select
        track_id,
        sum(plays)::integer as plays,
        sum(skips)::integer as skips,
        sum(heard)::integer as heard,
        coalesce(sum(plays) filter (where local_date > %(reference_day)s::date - 7), 0)::integer as plays_7d,
        coalesce(sum(plays) filter (where local_date > %(reference_day)s::date - 28), 0)::integer as plays_28d,
        min(local_date) as first_day,
        max(local_date) as last_day,
        sum(ms_played)::bigint as ms_played,
        array_agg(%(reference_day)s::date - local_date) as days_ago,
        array_agg(plays) as day_plays,
        array_agg(heard) as day_heard
    from staging.track_days
    where user_id = %(user_id)s and local_date <= %(reference_day)s
    group by track_id
)

select
    d.track_id,
    t.track_name,
    t.artist_name,
    t.album_name,
    d.plays,
    d.skips,
    d.heard,
    d.plays_7d,
    d.plays_28d,
    d.first_day,
    d.last_day,
    coalesce(c.duration_ms, d.ms_played / greatest(d.plays, 1))::bigint as duration_ms,
    c.duration_ms as known_ms,
    d.days_ago,
    d.day_plays,
    d.day_heard
from days d
join staging.track_totals t on t.user_id = %(user_id)s and t.track_id = d.track_id
left join tracks c on c.track_id = d.track_id
order by d.track_id
