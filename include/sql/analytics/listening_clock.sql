-- Plays per hour of each marked local day (staging.listening_hours), by when they started. Parameters: none.

select lock_marks_of('listening_clock');
set local work_mem = '128MB';
set local jit = off;

create temp table marked_days on commit drop as
select user_id, day from takeable_days where step = 'listening_clock';

delete from takeable_days where step = 'listening_clock';

analyze marked_days;

create temp table new_hours on commit drop as
select
    e.user_id,
    e.local_date,
    extract(hour from e.local_started_at)::smallint as hour,
    count(*)::integer as plays,
    sum(e.ms_played)::bigint as ms_played
from marked_days m
join staging.listening_events e on e.user_id = m.user_id and e.local_date = m.day
group by e.user_id, e.local_date, extract(hour from e.local_started_at);

analyze new_hours;

delete from staging.listening_hours h
using marked_days m
where h.user_id = m.user_id and h.local_date = m.day
    and not exists (
        select from new_hours n
        where n.user_id = h.user_id and n.local_date = h.local_date and n.hour = h.hour and n.* is not distinct from h.*
    );

insert into staging.listening_hours (user_id, local_date, hour, plays, ms_played)
select user_id, local_date, hour, plays, ms_played from new_hours
on conflict do nothing;

select staging.refresh_statistics('listening_hours', (select count(*) from new_hours));
