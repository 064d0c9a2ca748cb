-- What the sessions of each persona of a listener are like, and beside it (is_other) what all the other sessions are like.
-- With only one persona there is no second row.
-- In a listener's first weeks on record every track is a first listen, so those sessions do not count for discovery.
-- night … evening: share of sessions that start at 22–5, 5–10, 10–14, 14–18, 18–22 h local time.
with sessions as (
    select
        c.persona_id,
        s.ms_played,
        f.*,
        f.local_date >= min(f.local_date) over () + %(settling_days)s as is_settled
    from staging.session_clusters c
    join staging.session_features f on f.user_id = c.user_id and f.session_id = c.session_id
    join staging.listening_sessions s on s.user_id = c.user_id and s.session_id = c.session_id
    where c.user_id = %(user_id)s
),

personas as (
    select distinct persona_id from sessions
)

select
    p.persona_id,
    s.persona_id <> p.persona_id as is_other,
    count(*) as sessions,
    sum(ms_played)::bigint as ms_played,
    coalesce(sum(ms_played) filter (where local_date > %(recent_after)s), 0)::bigint as recent_ms_played,
    percentile_disc(0.5) within group (order by minutes) as minutes,
    percentile_disc(0.5) within group (order by unique_artists) as unique_artists,
    avg(discovery_rate) filter (where is_settled) as discovery,
    avg(skip_rate) as skip,
    avg(shuffle_rate) as shuffle,
    avg(repeat_rate) as repeat,
    avg(album_run_rate) as album,
    avg(is_weekend) as weekend,
    avg((start_hour >= 22 or start_hour < 5)::integer) as night,
    avg((start_hour >= 5 and start_hour < 10)::integer) as morning,
    avg((start_hour >= 10 and start_hour < 14)::integer) as midday,
    avg((start_hour >= 14 and start_hour < 18)::integer) as afternoon,
    avg((start_hour >= 18 and start_hour < 22)::integer) as evening,
    avg(energy) as energy
from personas p
cross join sessions s
group by p.persona_id, is_other
order by p.persona_id, is_other
