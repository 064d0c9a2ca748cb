-- Who listens.

-- name: listeners
select l.user_id, l.display_name, l.time_zone, coalesce(m.plays, 0) as plays
from listeners l
left join analytics.analytics_user_metrics m using (user_id)
order by l.display_name, l.user_id;

-- name: listener
select
    l.user_id,
    l.display_name,
    coalesce((
        select z.time_zone from listener_time_zones z
        where z.user_id = l.user_id and z.valid_from <= m.last_played_at
        order by z.valid_from desc limit 1
    ), l.time_zone) as time_zone,
    l.authorized_at,
    m.as_of, m.plays, m.plays_30s, m.current_streak_days, m.longest_streak_days, m.ms_played_28d,
    m.plays_28d, m.last_played_at,
    (select min(d.local_date) from analytics.daily_trends d where d.user_id = l.user_id) as first_date,
    (select max(d.local_date) from analytics.daily_trends d where d.user_id = l.user_id) as last_date
from listeners l
left join analytics.analytics_user_metrics m using (user_id)
where l.user_id = %(user_id)s;
