select coalesce(sum(calls), 0)
from spotify_api_calls
where user_id = %(user_id)s and called_on = %(day)s and endpoint in ('track', 'artist')
