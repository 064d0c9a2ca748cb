-- The newest play known from any source, and how the account's last attempt ended.
select
    max(last_played_at) as newest_played_at,
    max(status) filter (where pipeline = 'recently_played') as status,
    max(retry_at) filter (where pipeline = 'recently_played') as retry_at
from ingestion_state
where user_id = %(user_id)s
