-- The artists that set each persona of a listener apart, the most telling first, with plays of 30 s or more: of the artist in
-- the persona's sessions and in all, and of all artists in both.
-- telling = p · log2(p / q), where p is the artist's share of the persona's plays and q of all plays: the artist's part of the
-- Kullback-Leibler divergence (1951) between the persona's plays and all plays.
with heard as (
    select c.persona_id, a.artist_name, a.plays
    from staging.session_artists s
    join staging.session_clusters c on c.user_id = s.user_id and c.session_id = s.session_id
    cross join unnest(s.artists, s.plays) as a (artist_name, plays)
    where s.user_id = %(user_id)s and a.plays > 0
),

by_artist as (
    select persona_id, artist_name, sum(plays) as plays, count(*) as sessions
    from heard
    group by persona_id, artist_name
),

shares as (
    select
        *,
        sum(plays) over (partition by persona_id) as persona_plays,
        sum(plays) over (partition by artist_name) as artist_plays,
        sum(plays) over () as all_plays
    from by_artist
),

telling as (
    select
        *,
        round(plays / persona_plays * log(2, plays / persona_plays / (artist_plays / all_plays)), 9) as telling
    from shares
),

ranked as (
    select *, row_number() over (partition by persona_id order by telling desc, plays desc, artist_name) as place
    from telling
)

select
    persona_id,
    artist_name,
    sessions,
    plays::bigint as plays,
    persona_plays::bigint as persona_plays,
    artist_plays::bigint as artist_plays,
    all_plays::bigint as all_plays
from ranked
where place <= %(places)s
order by persona_id, place
