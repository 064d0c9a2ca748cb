-- Personas, the clustering they come from, and the sessions of each.

-- name: personas
select persona_id, label, description, explanation, traits, is_active, sessions, share_of_sessions,
    share_of_time,
    recent_share_of_time, model_version, labelled_on, previous_label, label_reason
from ml.personas
where user_id = %(user_id)s
order by is_active desc, share_of_time desc, persona_id;

-- name: current_model
select version, k, silhouette, stability, training_sessions, trained_from, trained_to, as_of, reason
from ml.clustering_models
where user_id = %(user_id)s and is_current
order by version desc
limit 1;

-- name: persona_time
select date_trunc(%(granularity)s, c.local_date::timestamp)::date as bucket, c.persona_id,
    sum(s.ms_played)::bigint as ms_played, count(*) as sessions
from ml.session_clusters c
join analytics.listening_sessions s using (user_id, session_id)
where c.user_id = %(user_id)s and c.local_date between %(start)s and %(end)s
group by 1, 2
order by 1, 2;

-- name: persona_hours
select c.persona_id, mod(floor(f.start_hour)::int, 24) as hour, count(*) as sessions
from ml.session_clusters c
join ml.session_features f using (user_id, session_id)
where c.user_id = %(user_id)s and c.local_date between %(start)s and %(end)s
    and f.local_date between %(start)s and %(end)s
group by 1, 2
order by 1, 2;

-- name: session_points
with newest as (
    select user_id, session_id, persona_id, distance
    from ml.session_clusters
    where user_id = %(user_id)s and local_date between %(start)s and %(end)s
    order by local_date desc, session_id desc
    limit %(limit)s
)
select n.persona_id, n.distance, to_char(s.local_started_at, 'HH24:MI') as starts, f.*
from newest n
join ml.session_features f using (user_id, session_id)
join analytics.listening_sessions s using (user_id, session_id)
order by f.session_id desc;

-- name: typical_sessions
with nearest as (
    select n.*
    from ml.personas p
    cross join lateral (
        select c.*, row_number() over (order by c.distance, c.session_id desc) as place
        from ml.session_clusters c
        where c.user_id = p.user_id and c.persona_id = p.persona_id
            and c.local_date between %(start)s and %(end)s
        order by c.distance, c.session_id desc
        limit %(per_persona)s
    ) n
    where p.user_id = %(user_id)s
)
select n.persona_id, s.session_id, s.local_started_at, s.length_ms, s.plays, s.unique_artists, s.skips,
    (
        select array_agg(e.track_name || ' · ' || e.artist_name order by e.played_at)
        from (
            select * from analytics.listening_events e
            where e.user_id = n.user_id and e.local_date between n.local_date and n.local_date + 1
                and e.session_id = n.session_id
            order by e.played_at
            limit 4
        ) e
    ) as first_tracks
from nearest n
join analytics.listening_sessions s using (user_id, session_id)
order by n.persona_id, n.place;
