copy arrived_rows (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)
from stdin (format binary)
