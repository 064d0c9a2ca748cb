-- Takes the marks of step session_features: marked_days, and changed_sessions, the sessions that start on these days. Both are
-- tables and not CTEs, so that the planner knows their size; it would guess it from how pending_days was before this run.
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
