-- A listener's artists, each with those heard beside them.
select
    artist_name,
    array_agg(other_artist_name) as others,
    array_agg(score) as scores,
    array_agg(sessions_together) as sessions_together
from staging.artist_cooccurrence
where user_id = %(user_id)s
group by artist_name
