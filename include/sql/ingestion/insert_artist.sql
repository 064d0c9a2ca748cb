insert into artists (artist_id, artist_name, genres, payload)
values (%(artist_id)s, %(artist_name)s, %(genres)s, %(payload)s)
on conflict (artist_id) do nothing
