-- Until when there is no point in looking: the watch's own plan, and the end of a used-up quota. And when everything that
-- Spotify showed was stored last.
select
    max(retry_at) filter (where pipeline = 'window_watch') as next_look,
    max(retry_at) filter (where pipeline = 'recently_played' and status = 'quota') as quota_returns_at,
    max(updated_at) filter (where pipeline = 'recently_played' and status = 'ok') as all_stored_at
from ingestion_state
where user_id = %(user_id)s
