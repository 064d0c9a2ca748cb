-- Audio features of tracks.

-- name: list_wanted_features
-- Tracks whose audio features nobody has asked for, or whose "none known" has expired, the most played first.
select h.track_id
from heard_tracks h
left join audio_features f on f.track_id = h.track_id
where f.track_id is null or f.expires_at <= %(now)s
order by h.plays desc, h.track_id
limit %(most)s;

-- name: store_features
insert into audio_features (
    track_id, source, status, danceability, energy, valence, acousticness, instrumentalness, liveness, speechiness, loudness,
    tempo, musical_key, musical_mode, expires_at
)
values (
    %(track_id)s, %(source)s, %(status)s, %(danceability)s, %(energy)s, %(valence)s, %(acousticness)s, %(instrumentalness)s,
    %(liveness)s, %(speechiness)s, %(loudness)s, %(tempo)s, %(musical_key)s, %(musical_mode)s, %(expires_at)s
)
on conflict (track_id) do update set
    source = excluded.source,
    status = excluded.status,
    danceability = excluded.danceability,
    energy = excluded.energy,
    valence = excluded.valence,
    acousticness = excluded.acousticness,
    instrumentalness = excluded.instrumentalness,
    liveness = excluded.liveness,
    speechiness = excluded.speechiness,
    loudness = excluded.loudness,
    tempo = excluded.tempo,
    musical_key = excluded.musical_key,
    musical_mode = excluded.musical_mode,
    fetched_at = now(),
    expires_at = excluded.expires_at;
