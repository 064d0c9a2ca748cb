-- Playlists in the listeners' own Spotify accounts.

create table published_playlists (
    user_id text,
    persona_id integer,
    spotify_playlist_id text,
    playlist_id text,
    status text not null,
    message text,
    published_at timestamptz,
    primary key (user_id, persona_id),
    constraint known_status check (status = any ('{created,published,not_authorized,refused,rate_limited,quota,unavailable,error}'))
);
comment on table published_playlists is 'Playlists written to Spotify for listeners who asked for it.';
comment on column published_playlists.user_id is 'Spotify account id of the listener.';
comment on column published_playlists.persona_id is 'The persona, stable across models of a listener.';
comment on column published_playlists.spotify_playlist_id is 'Playlist at Spotify.';
comment on column published_playlists.playlist_id is 'Generated playlist it shows.';
comment on column published_playlists.status is 'How it stands.';
comment on column published_playlists.message is 'What a person needs to know about it.';
comment on column published_playlists.published_at is 'When it was written. UTC.';
