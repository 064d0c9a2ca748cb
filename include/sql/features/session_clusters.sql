-- name: listening_days_since
-- How many sessions of a listener have a persona, and on how many days they listened since the newest of these.
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
-- Days of a listener's newest `most` sessions that the current model has not reached.
select distinct local_date
from (
    select local_date
    from staging.session_clusters
    where user_id = %(user_id)s and model_version < %(version)s
    order by session_id desc
    limit %(most)s
) waiting
order by local_date;
