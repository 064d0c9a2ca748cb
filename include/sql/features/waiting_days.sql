-- Days of a listener's newest `most` sessions that the current model has not reached.
select distinct local_date
from (
    select local_date
    from staging.session_clusters
    where user_id = %(user_id)s and model_version < %(version)s
    order by session_id desc
    limit %(most)s
) waiting
order by local_date
