-- The weights of each given artist's sessions, summed.
select artist_name, sum(weight) as weight
from staging.session_artists, unnest(artists) artist_name
where user_id = %(user_id)s and artist_name = any(%(artists)s)
group by artist_name
