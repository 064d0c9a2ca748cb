-- Every session in which one of the given artists was played, with all artists of the session.
select weight, artists
from staging.session_artists
where user_id = %(user_id)s and exists (select from unnest(artists) name where name = any(%(artists)s))
order by session_id
