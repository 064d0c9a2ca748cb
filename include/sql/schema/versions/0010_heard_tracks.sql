-- Every track that raw rows name by id, with its plays over all listeners: what metadata and audio features are wanted
-- for, the most played first. Kept by whoever inserts raw rows, in the same transaction.
create table heard_tracks (
    track_id text primary key,
    plays bigint not null
);

insert into heard_tracks (track_id, plays)
select track_id, count(*) from raw_listening_events where track_id is not null group by track_id;

-- Ids that Spotify does not know, so that nobody asks again before expires_at.
create table unknown_ids (
    id text primary key,
    expires_at timestamptz not null
);
