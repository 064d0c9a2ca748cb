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
) c
