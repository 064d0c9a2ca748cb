-- How each account's ingestion stands: ingestion_state.

-- name: read_state
-- The newest play known from any source, and how the account's last attempt ended.
select
    max(last_played_at) as newest_played_at,
    max(status) filter (where pipeline = 'recently_played') as status,
    max(retry_at) filter (where pipeline = 'recently_played') as retry_at
from ingestion_state
where user_id = %(user_id)s;

-- name: read_watch
-- Until when there is no point in looking: the watch's own plan, and the end of a used-up quota. And when everything that
-- Spotify showed was stored last.
select
    max(retry_at) filter (where pipeline = 'window_watch') as next_look,
    max(retry_at) filter (where pipeline = 'recently_played' and status = 'quota') as quota_returns_at,
    max(updated_at) filter (where pipeline = 'recently_played' and status = 'ok') as all_stored_at
from ingestion_state
where user_id = %(user_id)s;

-- name: store_state
-- Changes nothing when there is nothing new to say; a failure always says which run it was in.
insert into ingestion_state as s (pipeline, user_id, last_played_at, status, message, retry_at, run_id)
values (%(pipeline)s, %(user_id)s, %(last_played_at)s, %(status)s, %(message)s, %(retry_at)s, %(run_id)s)
on conflict (pipeline, user_id) do update set
    last_played_at = greatest(s.last_played_at, excluded.last_played_at),
    status = excluded.status,
    message = excluded.message,
    retry_at = excluded.retry_at,
    run_id = excluded.run_id,
    updated_at = now()
where
    excluded.status <> 'ok'
    or (s.status, s.message, s.retry_at) is distinct from (excluded.status, excluded.message, excluded.retry_at)
    or excluded.last_played_at > coalesce(s.last_played_at, '-infinity');

-- name: list_failures
select user_id, message
from ingestion_state
where status not in ('ok', 'quota') and run_id = %(run_id)s
order by user_id;
