-- Who is listened to, their tokens, and how many calls they made.

-- name: list_accounts
select
    user_id,
    connection_id
from listeners
where
    connection_id is not null
    and (cardinality(%(user_ids)s::text[]) = 0 or user_id = any(%(user_ids)s))
order by user_id;

-- name: list_listeners
select user_id from listeners;

-- name: lock_token
insert into spotify_tokens (connection_id, encrypted_token)
values (%(connection_id)s, %(encrypted_token)s)
on conflict (connection_id) do update set connection_id = excluded.connection_id
returning encrypted_token;

-- name: store_token
insert into spotify_tokens (connection_id, encrypted_token)
values (%(connection_id)s, %(encrypted_token)s)
on conflict (connection_id) do update set encrypted_token = excluded.encrypted_token, updated_at = now();

-- name: count_call
insert into spotify_api_calls (user_id, called_on, endpoint, calls)
values (%(user_id)s, %(called_on)s, %(endpoint)s, 1)
on conflict (user_id, called_on, endpoint) do update set calls = spotify_api_calls.calls + 1;
