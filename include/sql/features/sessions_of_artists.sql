-- Every artist of every session in which one of the given artists was heard.
select a.session_id, a.artist_name, a.weight
from staging.session_artists a
where a.user_id = %(user_id)s and a.session_id in (
    select session_id from staging.session_artists where user_id = %(user_id)s and artist_name = any(%(artists)s)
)
order by a.session_id, a.artist_name
