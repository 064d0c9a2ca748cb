-- Days to be built again from raw.

-- name: mark_interval
-- Marks the days of the interval on which the listeners have raw rows, to be built again.
insert into pending_days (step, user_id, day)
select distinct 'listening_events', user_id, (played_at at time zone 'UTC')::date as day
from raw_listening_events
where
    user_id = any(%(user_ids)s)
    and played_at >= date_trunc('day', %(replay_start)s::timestamptz, 'UTC')
    and played_at < %(replay_end)s::timestamptz + interval '1 day'
    and (played_at at time zone 'UTC')::date <= ((%(replay_end)s::timestamptz - interval '1 microsecond') at time zone 'UTC')::date
order by user_id, day
on conflict (step, user_id, day) do update set day = excluded.day;
