select user_id, message
from ingestion_state
where status not in ('ok', 'quota') and run_id = %(run_id)s
order by user_id
