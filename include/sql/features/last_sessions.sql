-- Tracks heard in the last sessions, and how often. A session in which nothing was heard has one row, without a track.
with last_sessions as (
    select session_id, started_at
    from staging.listening_sessions
    where user_id = %(user_id)s and local_date <= %(reference_day)s
    order by session_id desc
    limit %(sessions)s
)

select s.session_id, e.track_id, count(e.track_id)::integer as plays
from last_sessions s
left join staging.listening_events e
    on e.user_id = %(user_id)s
    -- a play ends after its session began
    and e.played_at >= (select min(started_at) from last_sessions)
    and e.session_id = s.session_id
    and not e.skipped
group by s.session_id, e.track_id
