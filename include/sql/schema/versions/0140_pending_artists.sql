-- session_features.sql reads a session's plays once, for its features and for its artists.

-- Which tracks were discovered in a session.
create index track_totals_first_played_at on staging.track_totals (user_id, first_played_at);

create table pending_artists (
    user_id text not null,
    artist_name text not null,
    primary key (user_id, artist_name)
);
comment on table pending_artists is 'Artists of sessions that changed: what artist_cooccurrence still has to do, beside its pending_days.';
comment on column pending_artists.user_id is 'Spotify account id of the listener.';
comment on column pending_artists.artist_name is 'Whose pairs are to be counted again.';

-- Whoever waited to have their artists read from plays gets them with the features.
insert into pending_days (step, user_id, day)
select 'session_features', user_id, day from pending_days where step = 'artist_cooccurrence'
on conflict do nothing;
