-- Marks the days that the new rows touch. The marks are updated, not left alone, when they exist: the lock makes a step
-- that is about to work them off wait for these rows.
with marked as (
    insert into pending_days (step, user_id, day)
    select distinct 'listening_events', %(user_id)s, date '2000-01-01' + day as day
    from loaded_plays
    where day is not null
    order by day
    on conflict (step, user_id, day) do update set day = excluded.day
)

insert into heard_tracks as h (track_id, plays)
select track_id, sum(plays)
from loaded_plays
where track_id is not null
group by track_id
order by track_id
on conflict (track_id) do update set plays = h.plays + excluded.plays
