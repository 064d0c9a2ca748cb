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
    or excluded.last_played_at > coalesce(s.last_played_at, '-infinity')
