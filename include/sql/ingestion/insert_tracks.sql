insert into tracks (track_id, track_name, artist_id, artist_name, album_id, album_name, duration_ms, isrc, payload)
select *
from unnest(
    %(track_ids)s::text[], %(track_names)s::text[], %(artist_ids)s::text[], %(artist_names)s::text[], %(album_ids)s::text[],
    %(album_names)s::text[], %(durations_ms)s::integer[], %(isrcs)s::text[], %(payloads)s::jsonb[]
) as t (track_id, track_name, artist_id, artist_name, album_id, album_name, duration_ms, isrc, payload)
order by track_id
on conflict (track_id) do nothing
