-- Takes the marks of step session_features: marked_days, and the sessions that start on them. Tables with statistics and not
-- CTEs, whose size the planner would guess from a pending_days as it was before this run.
select lock_marks();

create temp table marked_days on commit drop as
select user_id, day from takeable_days where step = 'session_features';

delete from takeable_days where step = 'session_features';

analyze marked_days;

create temp table changed_sessions on commit drop as
select s.*
from staging.listening_sessions s
join marked_days m on m.user_id = s.user_id and m.day = s.local_date;

analyze changed_sessions;
