select artist_name, other_artist_name, score, sessions_together
from staging.artist_cooccurrence
where user_id = %(user_id)s
