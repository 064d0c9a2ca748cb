insert into unknown_ids (id, expires_at)
values (%(id)s, %(expires_at)s)
on conflict (id) do update set expires_at = excluded.expires_at
