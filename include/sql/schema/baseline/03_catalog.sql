-- What is known of tracks and artists beyond the plays.

create table tracks (
    track_id text primary key,
    track_name text not null,
    artist_id text,
    artist_name text not null,
    album_id text,
    album_name text,
    duration_ms integer,
    isrc text,
    payload jsonb not null,
    fetched_at timestamptz not null default now()
);
comment on table tracks is 'What Spotify says about a track; kept for good.';
comment on column tracks.track_id is 'Spotify''s base62 track id; ''name:'' and a hash of artist and title where none is known.';
comment on column tracks.track_name is 'Title.';
comment on column tracks.artist_id is 'Spotify''s artist id.';
comment on column tracks.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column tracks.album_id is 'Spotify''s album id.';
comment on column tracks.album_name is 'Album; null where the source does not say.';
comment on column tracks.duration_ms is 'Length in milliseconds.';
comment on column tracks.isrc is 'International Standard Recording Code.';
comment on column tracks.payload is 'As received, IP addresses dropped.';
comment on column tracks.fetched_at is 'When it was asked for. UTC.';

create table artists (
    artist_id text primary key,
    artist_name text not null,
    genres text[],
    payload jsonb not null,
    fetched_at timestamptz not null default now()
);
comment on table artists is 'What Spotify says about an artist; kept for good.';
comment on column artists.artist_id is 'Spotify''s artist id.';
comment on column artists.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column artists.genres is 'Genres, where Spotify gives any.';
comment on column artists.payload is 'As received, IP addresses dropped.';
comment on column artists.fetched_at is 'When it was asked for. UTC.';

create table heard_tracks (
    track_id text primary key,
    plays bigint not null
);
comment on table heard_tracks is 'Tracks that raw rows name by id: whose metadata and audio features are wanted, the most played first.';
comment on column heard_tracks.track_id is 'Spotify''s base62 track id; ''name:'' and a hash of artist and title where none is known.';
comment on column heard_tracks.plays is 'Raw rows of all listeners.';

create table audio_features (
    track_id text primary key,
    source text not null,
    status text not null,
    danceability double precision,
    energy double precision,
    valence double precision,
    acousticness double precision,
    instrumentalness double precision,
    liveness double precision,
    speechiness double precision,
    loudness double precision,
    tempo double precision,
    musical_key integer,
    musical_mode integer,
    fetched_at timestamptz not null default now(),
    expires_at timestamptz,
    constraint known_source check (source = any ('{spotify,reccobeats}')),
    constraint known_status check (status = any ('{found,unknown}'))
);
comment on table audio_features is 'Audio features of a track, or that a source has none, until expires_at.';
comment on column audio_features.track_id is 'Spotify''s base62 track id; ''name:'' and a hash of artist and title where none is known.';
comment on column audio_features.source is 'spotify or reccobeats.';
comment on column audio_features.status is 'How it stands.';
comment on column audio_features.danceability is 'Danceability, 0 to 1.';
comment on column audio_features.energy is 'Energy, 0 to 1.';
comment on column audio_features.valence is 'Valence (musical positiveness), 0 to 1.';
comment on column audio_features.acousticness is 'Acousticness, 0 to 1.';
comment on column audio_features.instrumentalness is 'Instrumentalness, 0 to 1.';
comment on column audio_features.liveness is 'Liveness, 0 to 1.';
comment on column audio_features.speechiness is 'Speechiness, 0 to 1.';
comment on column audio_features.loudness is 'Loudness in dB.';
comment on column audio_features.tempo is 'Tempo in beats per minute.';
comment on column audio_features.musical_key is 'Pitch class, 0 is C; null if not detected.';
comment on column audio_features.musical_mode is '1 major, 0 minor.';
comment on column audio_features.fetched_at is 'When it was asked for. UTC.';
comment on column audio_features.expires_at is 'When it may be asked for again. UTC.';

create table unknown_ids (
    id text primary key,
    expires_at timestamptz not null
);
comment on table unknown_ids is 'Ids that Spotify does not know, so that nobody asks again before expires_at.';
comment on column unknown_ids.id is 'Spotify''s track or artist id.';
comment on column unknown_ids.expires_at is 'When it may be asked for again. UTC.';
