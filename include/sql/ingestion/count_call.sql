insert into spotify_api_calls (user_id, called_on, endpoint, calls)
values (%(user_id)s, %(called_on)s, %(endpoint)s, 1)
on conflict (user_id, called_on, endpoint) do update set calls = spotify_api_calls.calls + 1
