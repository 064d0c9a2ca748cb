-- Tracks whose audio features nobody has asked for, or whose "none known" has expired, the most played first.
select h.track_id
from heard_tracks h
left join audio_features f on f.track_id = h.track_id
where f.track_id is null or f.expires_at <= %(now)s
order by h.plays desc, h.track_id
limit %(most)s
