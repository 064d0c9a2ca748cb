-- What was heard in the last sessions, and how often.
with last_sessions as (
    select session_id, started_at
    from staging.listening_sessions
    where user_id = %(user_id)s and local_date <= %(reference_day)s
    order by session_id desc
    limit %(sessions)s
)

select session_id, track_id, count(*)::integer as plays
from staging.listening_events
where user_id = %(user_id)s
    -- a play ends after its session began
    and played_at >= (select min(started_at) from last_sessions)
    and session_id in (select session_id from last_sessions)
    and not skipped
group by session_id, track_id
