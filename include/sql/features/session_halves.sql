-- Plays of 30 s or more of each artist, in the first and in the second half of each of a listener's sessions; sessions without
-- such plays have no row. Of an odd number of plays, the middle one belongs to the first half.
with numbered as (
    select
        session_id,
        artist_name,
        ms_played >= 30000 as counts,
        2 * row_number() over (partition by session_id order by played_at, event_id)
            <= count(*) over (partition by session_id) + 1 as is_first
    from staging.listening_events
    where user_id = %(user_id)s
),

heard as (
    select
        session_id,
        artist_name,
        count(*) filter (where is_first) as first_plays,
        count(*) filter (where not is_first) as second_plays
    from numbered
    where counts
    group by session_id, artist_name
)

select
    session_id,
    array_agg(artist_name order by artist_name) as artists,
    array_agg(first_plays::integer order by artist_name) as first_plays,
    array_agg(second_plays::integer order by artist_name) as second_plays
from heard
group by session_id
