select event_key
from raw_listening_events
where user_id = %(user_id)s and source = %(source)s and event_key = any(%(event_keys)s::uuid[])
