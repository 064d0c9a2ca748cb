-- name: listening_days_since
-- How many sessions of a listener have a persona, and on how many days the listener has played music since the newest of them.
select c.sessions, (
    select count(distinct f.local_date)
    from staging.session_features f
    where f.user_id = %(user_id)s and f.local_date > c.newest_day
) as days_since
from (
    select count(*) as sessions, max(local_date) as newest_day
    from staging.session_clusters
    where user_id = %(user_id)s
) c;

-- name: waiting_days
-- The days of a listener's newest sessions that the current model has not been applied to yet, at most `most` sessions.
select distinct local_date
from (
    select local_date
    from staging.session_clusters
    where user_id = %(user_id)s and model_version < %(version)s
    order by session_id desc
    limit %(most)s
) waiting
order by local_date;
