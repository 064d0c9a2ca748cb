-- name: user_features
-- One listener's profile at the reference moment. Everything is weighted with 0.5 ^ (age in days / half-life).
with sessions as (
    select
        session_id,
        local_started_at,
        ms_played,
        length_ms,
        power(0.5, (%(reference_day)s::date - local_date) / %(half_life_days)s::double precision) as weight
    from staging.listening_sessions
    where user_id = %(user_id)s and local_date <= %(reference_day)s and local_date > %(first_day)s
),

days as (
    select
        d.artist_name,
        d.plays,
        d.skips,
        d.ms_played,
        power(0.5, (%(reference_day)s::date - d.local_date) / %(half_life_days)s::double precision) as weight
    from staging.artist_days d
    where d.user_id = %(user_id)s and d.local_date <= %(reference_day)s and d.local_date > %(first_day)s
),

tracks as (
    select
        d.plays,
        d.local_date = t.first_local_date as is_first_day,
        power(0.5, (%(reference_day)s::date - d.local_date) / %(half_life_days)s::double precision) as weight
    from staging.track_days d
    join staging.track_totals t using (user_id, track_id)
    where d.user_id = %(user_id)s and d.local_date <= %(reference_day)s and d.local_date > %(first_day)s
),

artists as (
    select sum(plays * weight) as plays
    from days
    group by artist_name
),

shares as (
    select plays / sum(plays) over () as share
    from artists
),

by_artist as (
    select -sum(share * ln(share)) / ln(2) as artist_entropy
    from shares
    where share > 0
),

by_day as (
    select
        sum(plays * weight) as plays,
        sum(skips * weight) as skips,
        sum(ms_played * weight) / 60000 as minutes
    from days
),

by_track as (
    select
        sum(weight) filter (where is_first_day) / sum(plays * weight) as discovery_rate,
        sum((plays - 1) * weight) / sum(plays * weight) as repeat_rate
    from tracks
),

by_session as (
    select
        sum(weight) as sessions,
        sum(weight * (extract(isodow from local_started_at) >= 6)::integer) / sum(weight) as weekend_share,
        sum(weight * (extract(hour from local_started_at) not between 5 and 21)::integer) / sum(weight) as night_share,
        sum(weight * (extract(hour from local_started_at) between 5 and 9)::integer) / sum(weight) as morning_share,
        sum(weight * ms_played) / 60000 / sum(weight) as mean_session_minutes
    from sessions
)

select
    d.plays as decayed_plays,
    d.minutes as decayed_minutes,
    s.sessions as decayed_sessions,
    greatest(a.artist_entropy, 0) as artist_entropy,
    t.discovery_rate,
    t.repeat_rate,
    d.skips / d.plays as skip_rate,
    s.weekend_share,
    s.night_share,
    s.morning_share,
    s.mean_session_minutes
from by_day d
cross join by_artist a
cross join by_track t
cross join by_session s
where d.plays > 0 and s.sessions > 0;

-- name: profile_day
select as_of
from staging.user_features
where user_id = %(user_id)s;
