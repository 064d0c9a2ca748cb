-- Listening sessions by length and start hour.

-- name: session_lengths
select
    date_part('hour', local_started_at)::int as hour,
    width_bucket(length_ms, %(bounds)s::bigint[]) as length,
    count(*) as sessions,
    (avg(length_ms) / 60000)::double precision as minutes
from analytics.listening_sessions
where user_id = %(user_id)s and local_date between %(start)s and %(end)s
group by 1, 2
order by 1, 2;

-- name: session_totals
select
    count(*) as sessions,
    coalesce(percentile_cont(0.5) within group (order by length_ms), 0)::bigint as median_ms,
    coalesce(max(length_ms), 0)::bigint as longest_ms,
    coalesce(avg(plays), 0)::double precision as mean_plays
from analytics.listening_sessions
where user_id = %(user_id)s and local_date between %(start)s and %(end)s;
