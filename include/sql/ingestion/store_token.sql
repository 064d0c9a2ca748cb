insert into spotify_tokens (connection_id, encrypted_token)
values (%(connection_id)s, %(encrypted_token)s)
on conflict (connection_id) do update set encrypted_token = excluded.encrypted_token, updated_at = now()
