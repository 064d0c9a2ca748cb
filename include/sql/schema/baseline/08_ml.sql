-- Features, personas, playlists: the tables that `ml/` fills.

create table staging.session_features (
    user_id text,
    session_id bigint,
    local_date date not null,
    plays double precision not null,
    minutes double precision not null,
    unique_artists double precision not null,
    unique_tracks double precision not null,
    artist_entropy double precision not null,
    repeat_rate double precision not null,
    discovery_rate double precision not null,
    skip_rate double precision,
    shuffle_rate double precision,
    album_run_rate double precision not null,
    start_hour double precision not null,
    start_hour_sin double precision not null,
    start_hour_cos double precision not null,
    is_weekend double precision not null,
    audio_coverage double precision not null,
    energy double precision,
    valence double precision,
    danceability double precision,
    acousticness double precision,
    tempo double precision,
    primary key (user_id, session_id)
);
create index session_features_user_id_local_date_idx on staging.session_features (user_id, local_date);
comment on table staging.session_features is 'What the clustering knows of a session. Rates lie between 0 and 1.';
comment on column staging.session_features.user_id is 'Spotify account id of the listener.';
comment on column staging.session_features.session_id is 'The session: epoch milliseconds of its first play''s start.';
comment on column staging.session_features.local_date is 'The listener''s local day on which it started.';
comment on column staging.session_features.plays is 'Number of plays.';
comment on column staging.session_features.minutes is 'Minutes played.';
comment on column staging.session_features.unique_artists is 'Different artists.';
comment on column staging.session_features.unique_tracks is 'Different tracks.';
comment on column staging.session_features.artist_entropy is 'Shannon entropy of the artists'' plays.';
comment on column staging.session_features.repeat_rate is 'Share of plays of a track already heard in the session.';
comment on column staging.session_features.discovery_rate is 'Share of plays of tracks heard for the first time.';
comment on column staging.session_features.skip_rate is 'Share of plays that were skipped; null where unknown.';
comment on column staging.session_features.shuffle_rate is 'Share of plays on shuffle; null where unknown.';
comment on column staging.session_features.album_run_rate is 'Share of plays that go on with the album of the play before.';
comment on column staging.session_features.start_hour is 'Local hour of the start, with fraction.';
comment on column staging.session_features.start_hour_sin is 'Sine of the start hour on the 24-hour circle.';
comment on column staging.session_features.start_hour_cos is 'Cosine of the start hour on the 24-hour circle.';
comment on column staging.session_features.is_weekend is '1 on Saturday and Sunday.';
comment on column staging.session_features.audio_coverage is 'Share of plays whose track has audio features.';
comment on column staging.session_features.energy is 'Energy, 0 to 1.';
comment on column staging.session_features.valence is 'Valence (musical positiveness), 0 to 1.';
comment on column staging.session_features.danceability is 'Danceability, 0 to 1.';
comment on column staging.session_features.acousticness is 'Acousticness, 0 to 1.';
comment on column staging.session_features.tempo is 'Tempo in beats per minute.';
select staging.declare_published('session_features', 'ml', 'user_id', 'local_date');

create table staging.session_artists (
    user_id text,
    session_id bigint,
    local_date date not null,
    weight double precision not null,
    artists text[] not null,
    plays integer[] not null,
    primary key (user_id, session_id)
);
create index session_artists_user_id_local_date_idx on staging.session_artists (user_id, local_date);
comment on table staging.session_artists is 'Who was heard in which session: the matrix behind artist_cooccurrence.';
comment on column staging.session_artists.user_id is 'Spotify account id of the listener.';
comment on column staging.session_artists.session_id is 'The session: epoch milliseconds of its first play''s start.';
comment on column staging.session_artists.local_date is 'The listener''s local day on which it started.';
comment on column staging.session_artists.weight is 'Plays'' weight with recency; doubles every 365 days since 2010-01-01.';
comment on column staging.session_artists.artists is 'The names of the artists heard in the session, in order.';
comment on column staging.session_artists.plays is 'How many plays of 30 s or more each of the artists has in the session, in the same order.';

create table staging.user_features (
    user_id text primary key,
    as_of date not null,
    half_life_days double precision not null,
    decayed_plays double precision not null,
    decayed_minutes double precision not null,
    decayed_sessions double precision not null,
    artist_entropy double precision not null,
    discovery_rate double precision not null,
    repeat_rate double precision not null,
    skip_rate double precision not null,
    weekend_share double precision not null,
    night_share double precision not null,
    morning_share double precision not null,
    mean_session_minutes double precision not null
);
comment on table staging.user_features is 'A listener''s habits with exponential recency decay: every decayed_* is a sum of 0.5 ^ (age / half_life_days).';
comment on column staging.user_features.user_id is 'Spotify account id of the listener.';
comment on column staging.user_features.as_of is 'The listener''s local day of the run that wrote the row.';
comment on column staging.user_features.half_life_days is 'After how many days a play counts half.';
comment on column staging.user_features.decayed_plays is 'Plays, decayed.';
comment on column staging.user_features.decayed_minutes is 'Minutes, decayed.';
comment on column staging.user_features.decayed_sessions is 'Sessions, decayed.';
comment on column staging.user_features.artist_entropy is 'Shannon entropy of the artists'' plays.';
comment on column staging.user_features.discovery_rate is 'Share of plays of tracks heard for the first time.';
comment on column staging.user_features.repeat_rate is 'Share of plays of a track already heard in the session.';
comment on column staging.user_features.skip_rate is 'Share of plays that were skipped.';
comment on column staging.user_features.weekend_share is 'Share of plays on weekends, decayed.';
comment on column staging.user_features.night_share is 'Share of plays at night, decayed.';
comment on column staging.user_features.morning_share is 'Share of plays in the morning, decayed.';
comment on column staging.user_features.mean_session_minutes is 'Mean minutes of a session, decayed.';
select staging.declare_published('user_features', 'ml', 'user_id');

create table staging.clustering_models (
    user_id text,
    version integer,
    is_current boolean not null,
    k integer not null,
    seed integer not null,
    feature_names text[] not null,
    center double precision[] not null,
    scale double precision[] not null,
    centroids double precision[] not null,
    persona_ids integer[] not null,
    silhouette double precision,
    stability double precision,
    candidates jsonb not null,
    training_sessions integer not null,
    trained_from date not null,
    trained_to date not null,
    as_of date not null,
    reason text not null,
    training_distance double precision not null,
    weights double precision[] not null,
    artists text[] not null,
    artist_vectors double precision[] not null,
    mix text not null,
    lift double precision,
    primary key (user_id, version)
);
comment on table staging.clustering_models is 'KMeans models as arrays: scaling, centroids, how k was chosen, when they were trained and why.';
comment on column staging.clustering_models.user_id is 'Spotify account id of the listener.';
comment on column staging.clustering_models.version is 'Version of the listener''s model, from 1.';
comment on column staging.clustering_models.is_current is 'Whether sessions are assigned with it.';
comment on column staging.clustering_models.k is 'Number of clusters.';
comment on column staging.clustering_models.seed is 'Random seed of the training.';
comment on column staging.clustering_models.feature_names is 'Features in the order of the arrays.';
comment on column staging.clustering_models.center is 'What is subtracted from each feature.';
comment on column staging.clustering_models.scale is 'What each feature is then divided by.';
comment on column staging.clustering_models.centroids is 'Centroids row by row, k times the number of features, scaled.';
comment on column staging.clustering_models.persona_ids is 'Persona of each cluster.';
comment on column staging.clustering_models.silhouette is 'Mean silhouette of the training sessions.';
comment on column staging.clustering_models.stability is 'How alike clusterings of resampled sessions are, 0 to 1.';
comment on column staging.clustering_models.candidates is 'What each k tried came to.';
comment on column staging.clustering_models.training_sessions is 'Sessions trained on.';
comment on column staging.clustering_models.trained_from is 'Local day of the first of them.';
comment on column staging.clustering_models.trained_to is 'Local day of the last of them.';
comment on column staging.clustering_models.as_of is 'The listener''s local day of the run that wrote the row.';
comment on column staging.clustering_models.reason is 'Why it was trained.';
comment on column staging.clustering_models.training_distance is 'Mean distance of the training sessions to their centroids.';
comment on column staging.clustering_models.weights is 'What each feature is multiplied by once scaled: its share of its block''s weight.';
comment on column staging.clustering_models.artists is 'The artists that have a vector.';
comment on column staging.clustering_models.artist_vectors is 'The vector of each of the artists, row by row, as many numbers each as there are features of content.';
comment on column staging.clustering_models.mix is 'What the groups are made by: the weights of what is played, how and when.';
comment on column staging.clustering_models.lift is 'Bits a play by which the personas of the newest training sessions predict what else is played in them.';
select staging.declare_published('clustering_models', 'ml', 'user_id', 'version');

create table staging.session_clusters (
    user_id text,
    session_id bigint,
    local_date date not null,
    model_version integer not null,
    cluster integer not null,
    persona_id integer not null,
    distance double precision not null,
    primary key (user_id, session_id)
);
create index session_clusters_user_id_local_date_idx on staging.session_clusters (user_id, local_date);
comment on table staging.session_clusters is 'Which cluster and persona each session belongs to.';
comment on column staging.session_clusters.user_id is 'Spotify account id of the listener.';
comment on column staging.session_clusters.session_id is 'The session: epoch milliseconds of its first play''s start.';
comment on column staging.session_clusters.local_date is 'The listener''s local day on which it started.';
comment on column staging.session_clusters.model_version is 'Version of the clustering model.';
comment on column staging.session_clusters.cluster is 'Cluster number in the model.';
comment on column staging.session_clusters.persona_id is 'The persona, stable across models of a listener.';
comment on column staging.session_clusters.distance is 'Distance to the cluster''s centroid, in scaled units.';
select staging.declare_published('session_clusters', 'ml', 'user_id', 'local_date');
create index session_clusters_distance on ml.session_clusters (user_id, persona_id, distance, session_id);

create table staging.personas (
    user_id text,
    persona_id integer,
    label text not null,
    description text not null,
    explanation text not null,
    traits jsonb not null,
    is_active boolean not null,
    sessions integer not null,
    share_of_sessions double precision not null,
    share_of_time double precision not null,
    recent_share_of_time double precision not null,
    model_version integer not null,
    labelled_on date not null,
    previous_label text,
    label_reason text not null,
    primary key (user_id, persona_id)
);
comment on table staging.personas is 'A listener''s personas: clusters with a label and an explanation.';
comment on column staging.personas.user_id is 'Spotify account id of the listener.';
comment on column staging.personas.persona_id is 'The persona, stable across models of a listener.';
comment on column staging.personas.label is 'Short name for people.';
comment on column staging.personas.description is 'A sentence for people.';
comment on column staging.personas.explanation is 'What sets the persona apart, in words.';
comment on column staging.personas.traits is 'The same as numbers.';
comment on column staging.personas.is_active is 'Whether the current model still has it.';
comment on column staging.personas.sessions is 'Number of sessions.';
comment on column staging.personas.share_of_sessions is 'Share of the listener''s sessions.';
comment on column staging.personas.share_of_time is 'Share of the listener''s time.';
comment on column staging.personas.recent_share_of_time is 'Share of the time of the last weeks.';
comment on column staging.personas.model_version is 'Version of the clustering model.';
comment on column staging.personas.labelled_on is 'Day the label was given.';
comment on column staging.personas.previous_label is 'Label before, if it changed.';
comment on column staging.personas.label_reason is 'Why it bears the label.';
select staging.declare_published('personas', 'ml', 'user_id');

create table staging.artist_cooccurrence (
    user_id text,
    artist_name text,
    other_artist_name text,
    sessions_together integer not null,
    weight double precision not null,
    score double precision not null,
    primary key (user_id, artist_name, other_artist_name)
);
comment on table staging.artist_cooccurrence is 'Artists heard in the same sessions, with how strongly they belong together.';
comment on column staging.artist_cooccurrence.user_id is 'Spotify account id of the listener.';
comment on column staging.artist_cooccurrence.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column staging.artist_cooccurrence.other_artist_name is 'The artist heard in the same sessions.';
comment on column staging.artist_cooccurrence.sessions_together is 'Sessions with both.';
comment on column staging.artist_cooccurrence.weight is 'Strength with recency.';
comment on column staging.artist_cooccurrence.score is 'How strongly they belong together, popularity taken out.';
select staging.declare_published('artist_cooccurrence', 'ml', 'user_id', 'artist_name');

create table staging.playlists (
    user_id text,
    playlist_id text,
    persona_id integer not null,
    as_of date not null,
    name text not null,
    description text not null,
    tracks integer not null,
    ms_total bigint not null,
    primary key (user_id, playlist_id)
);
comment on table staging.playlists is 'Generated playlists.';
comment on column staging.playlists.user_id is 'Spotify account id of the listener.';
comment on column staging.playlists.playlist_id is 'The playlist, stable for its listener, persona and day.';
comment on column staging.playlists.persona_id is 'The persona, stable across models of a listener.';
comment on column staging.playlists.as_of is 'The listener''s local day of the run that wrote the row.';
comment on column staging.playlists.name is 'Name for people.';
comment on column staging.playlists.description is 'A sentence for people.';
comment on column staging.playlists.tracks is 'Number of tracks.';
comment on column staging.playlists.ms_total is 'Length in milliseconds.';
select staging.declare_published('playlists', 'ml', 'user_id', 'playlist_id');

create table staging.playlist_tracks (
    user_id text,
    playlist_id text,
    position integer,
    track_id text not null,
    track_name text not null,
    artist_name text not null,
    album_name text,
    kind text not null,
    score double precision not null,
    score_persona double precision not null,
    score_history double precision not null,
    score_cooccurrence double precision not null,
    score_freshness double precision not null,
    reason text not null,
    primary key (user_id, playlist_id, "position"),
    constraint known_kind check (kind = any ('{familiar,rediscovered,new}'))
);
comment on table staging.playlist_tracks is 'The tracks of generated playlists, each with its reason.';
comment on column staging.playlist_tracks.user_id is 'Spotify account id of the listener.';
comment on column staging.playlist_tracks.playlist_id is 'The playlist, stable for its listener, persona and day.';
comment on column staging.playlist_tracks.position is 'Place in the playlist.';
comment on column staging.playlist_tracks.track_id is 'Spotify''s base62 track id; ''name:'' and a hash of artist and title where none is known.';
comment on column staging.playlist_tracks.track_name is 'Title.';
comment on column staging.playlist_tracks.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column staging.playlist_tracks.album_name is 'Album; null where the source does not say.';
comment on column staging.playlist_tracks.kind is 'Why it is a candidate.';
comment on column staging.playlist_tracks.score is 'Sum of the parts score_*.';
comment on column staging.playlist_tracks.score_persona is 'Part for fitting the persona.';
comment on column staging.playlist_tracks.score_history is 'Part for the listener''s own history.';
comment on column staging.playlist_tracks.score_cooccurrence is 'Part for artists that belong together.';
comment on column staging.playlist_tracks.score_freshness is 'Part for not having been heard lately.';
comment on column staging.playlist_tracks.reason is 'The reason, for people.';
select staging.declare_published('playlist_tracks', 'ml', 'user_id', 'playlist_id');

-- Covering keys for readers: sessions joined with their personas, in order of the keys.
alter table ml.session_clusters drop constraint session_clusters_pkey,
    add primary key (user_id, session_id) include (local_date, persona_id);
alter table ml.session_features drop constraint session_features_pkey,
    add primary key (user_id, session_id) include (local_date, start_hour);
