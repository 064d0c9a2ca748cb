-- The whole database, first version. Three kinds of place:
--   public      what arrived and the state of arriving (append-only raw, bookkeeping)
--   staging     where every run builds analytics and ml tables, incrementally
--   analytics, ml   what readers see: exact copies of staging, replaced by publish_tables after every scan passed
-- Times are timestamptz in UTC; local_* columns are in the listener's own zone. Durations are milliseconds, named *_ms
-- or ms_played. user_id leads every key, so the data can be spread over machines by it.

create schema staging;
create schema analytics;
create schema ml;

-- public: listeners and their accounts ---------------------------------------------------------------------------

create table listeners (
    user_id text primary key,
    display_name text not null,
    time_zone text not null default 'UTC',
    connection_id text unique,
    authorized_at timestamptz,
    shares_history boolean not null default false,
    publishes_playlists boolean not null default false,
    added_at timestamptz not null default now()
);

-- A listener who moves or travels: the zone that holds from valid_from on. Before the first row: listeners.time_zone.
create table listener_time_zones (
    user_id text not null references listeners on delete cascade,
    valid_from timestamptz not null,
    time_zone text not null,
    primary key (user_id, valid_from)
);

create table spotify_tokens (
    connection_id text primary key,
    encrypted_token bytea not null,
    updated_at timestamptz not null default now()
);

create table spotify_api_calls (
    user_id text not null,
    called_on date not null,
    endpoint text not null,
    calls integer not null,
    primary key (user_id, called_on, endpoint)
);

-- public: raw ----------------------------------------------------------------------------------------------------

-- event_key is a hash over source and what makes a row of that source the same row again:
-- api: played_at, track uri; extended_history: ts, item uri or names, ms_played; account_history: endTime, names, msPlayed.
create table raw_listening_events (
    user_id text not null,
    source text not null,
    event_key uuid not null,
    played_at timestamptz not null,
    item_type text not null,
    track_id text,
    payload jsonb not null,
    run_id text not null,
    ingested_at timestamptz not null default now(),
    primary key (user_id, source, event_key)
);
create index raw_listening_events_played_at on raw_listening_events (user_id, played_at);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused. To leave a row out of analytics, insert its key into raw_quarantine.',
        tg_table_name, lower(tg_op);
end $$;
create trigger append_only before update or delete or truncate on raw_listening_events
    for each statement execute function refuse_change();

-- A raw row a person decided not to count, and why. Raw stays as it came.
create table raw_quarantine (
    user_id text not null,
    source text not null,
    event_key uuid not null,
    reason text not null,
    quarantined_at timestamptz not null default now(),
    quarantined_by text not null default current_user,
    primary key (user_id, source, event_key)
);

create table ingestion_state (
    pipeline text not null,
    user_id text not null,
    last_played_at timestamptz,
    status text not null default 'ok',
    message text,
    retry_at timestamptz,
    run_id text,
    updated_at timestamptz not null default now(),
    primary key (pipeline, user_id)
);

create table ingestion_gaps (
    user_id text not null,
    gap_start timestamptz not null,
    gap_end timestamptz not null,
    run_id text not null,
    detected_at timestamptz not null default now(),
    closed_at timestamptz,
    closed_by text,
    primary key (user_id, gap_start)
);

-- One row per file of the export folder (a zip or a loose json), by content. skipped_rows: reason -> rows.
create table ingested_files (
    sha256 text not null,
    user_id text not null,
    file_name text not null,
    status text not null,
    message text,
    size_bytes bigint not null,
    rows_read bigint not null default 0,
    rows_loaded bigint not null default 0,
    rows_already_known bigint not null default 0,
    skipped_rows jsonb not null default '{}',
    members jsonb not null default '[]',
    first_played_at timestamptz,
    last_played_at timestamptz,
    run_id text not null,
    ingested_at timestamptz not null default now(),
    primary key (user_id, sha256)
);

-- public: what is known of tracks and artists --------------------------------------------------------------------

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

create table artists (
    artist_id text primary key,
    artist_name text not null,
    genres text[],
    payload jsonb not null,
    fetched_at timestamptz not null default now()
);

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
    expires_at timestamptz
);

-- public: quality and work to do ---------------------------------------------------------------------------------

create table qa_validation_results (
    run_id text not null,
    scan text not null,
    check_id text not null,
    table_name text not null,
    check_name text not null,
    check_text text not null,
    outcome text not null,
    severity text not null,
    measured_value double precision,
    message text,
    duration_ms integer,
    checked_at timestamptz not null default now(),
    primary key (run_id, scan, check_id)
);

-- What a step still has to do: whoever changes rows marks the listener's days for the steps that read them, in the same
-- transaction; the step unmarks them in the transaction that writes its result. Days are UTC days of played_at for
-- step 'listening_events', local days for every later step.
create table pending_days (
    step text not null,
    user_id text not null,
    day date not null,
    primary key (step, user_id, day)
);

create table published_playlists (
    user_id text not null,
    persona_id integer not null,
    spotify_playlist_id text,
    playlist_id text,
    status text not null,
    message text,
    published_at timestamptz,
    primary key (user_id, persona_id)
);

-- staging: analytics ---------------------------------------------------------------------------------------------

-- One row per real play. event_id is the event_key of the raw row that won the reconciliation.
-- track_id is Spotify's, or 'name:' and a hash of artist and title where no id is known.
create table staging.listening_events (
    user_id text not null,
    event_id uuid not null,
    source text not null,
    track_id text not null,
    session_id bigint,
    track_name text not null,
    artist_name text not null,
    album_name text,
    platform text,
    reason_start text,
    reason_end text,
    time_zone text not null,
    ms_played integer not null,
    ms_played_is_estimated boolean not null,
    skipped boolean not null,
    shuffle boolean,
    offline boolean,
    incognito boolean,
    played_at timestamptz not null,
    started_at timestamptz not null,
    local_started_at timestamp not null,
    local_date date not null,
    primary key (user_id, event_id)
);
create index on staging.listening_events (user_id, played_at);
create index on staging.listening_events (user_id, local_date);

-- Raw rows that are no play of their own, and why; kept_event_id is the play that stands for the row.
create table staging.excluded_events (
    user_id text not null,
    source text not null,
    event_key uuid not null,
    reason text not null,
    kept_event_id uuid,
    played_at timestamptz not null,
    utc_date date not null,
    primary key (user_id, source, event_key)
);
create index on staging.excluded_events (user_id, utc_date);

-- session_id: epoch milliseconds of the first play's start.
create table staging.listening_sessions (
    user_id text not null,
    session_id bigint not null,
    plays integer not null,
    unique_tracks integer not null,
    unique_artists integer not null,
    unique_albums integer not null,
    skips integer not null,
    ms_played bigint not null,
    length_ms bigint not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    local_started_at timestamp not null,
    local_date date not null,
    primary key (user_id, session_id)
);
create index on staging.listening_sessions (user_id, local_date);

create table staging.daily_trends (
    user_id text not null,
    local_date date not null,
    plays integer not null,
    sessions integer not null,
    unique_tracks integer not null,
    unique_artists integer not null,
    new_tracks integer not null,
    new_artists integer not null,
    skips integer not null,
    ms_played bigint not null,
    artist_diversity double precision not null,
    plays_7d_avg double precision not null,
    plays_28d_avg double precision not null,
    ms_played_7d_avg double precision not null,
    ms_played_28d_avg double precision not null,
    streak_days integer not null,
    primary key (user_id, local_date)
);

create table staging.listening_hours (
    user_id text not null,
    local_date date not null,
    hour smallint not null,
    plays integer not null,
    ms_played bigint not null,
    primary key (user_id, local_date, hour)
);

create table staging.artist_days (
    user_id text not null,
    local_date date not null,
    artist_name text not null,
    plays integer not null,
    skips integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    primary key (user_id, local_date, artist_name)
);
create index on staging.artist_days (user_id, artist_name, local_date);

create table staging.artist_totals (
    user_id text not null,
    artist_name text not null,
    plays integer not null,
    skips integer not null,
    days integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    first_local_date date not null,
    last_local_date date not null,
    primary key (user_id, artist_name)
);
create index on staging.artist_totals (user_id, first_local_date);

create table staging.track_days (
    user_id text not null,
    local_date date not null,
    track_id text not null,
    plays integer not null,
    skips integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    primary key (user_id, local_date, track_id)
);
create index on staging.track_days (user_id, track_id, local_date);

create table staging.track_totals (
    user_id text not null,
    track_id text not null,
    track_name text not null,
    artist_name text not null,
    album_name text,
    plays integer not null,
    skips integer not null,
    days integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    first_local_date date not null,
    last_local_date date not null,
    primary key (user_id, track_id)
);
create index on staging.track_totals (user_id, first_local_date);

-- An album is its artist and its name: exports carry no album id.
create table staging.album_days (
    user_id text not null,
    local_date date not null,
    artist_name text not null,
    album_name text not null,
    plays integer not null,
    skips integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    primary key (user_id, local_date, artist_name, album_name)
);
create index on staging.album_days (user_id, artist_name, album_name, local_date);

create table staging.album_totals (
    user_id text not null,
    artist_name text not null,
    album_name text not null,
    plays integer not null,
    skips integer not null,
    days integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    first_local_date date not null,
    last_local_date date not null,
    primary key (user_id, artist_name, album_name)
);

create table staging.analytics_user_metrics (
    user_id text primary key,
    as_of date not null,
    plays integer not null,
    sessions integer not null,
    active_days integer not null,
    unique_tracks integer not null,
    unique_artists integer not null,
    skips integer not null,
    current_streak_days integer not null,
    longest_streak_days integer not null,
    ms_played bigint not null,
    ms_played_28d bigint not null,
    plays_28d integer not null,
    artist_diversity_28d double precision not null,
    mean_session_ms double precision not null,
    first_played_at timestamptz,
    last_played_at timestamptz
);

-- staging: ml ----------------------------------------------------------------------------------------------------

create table staging.session_features (
    user_id text not null,
    session_id bigint not null,
    local_date date not null,
    plays double precision not null,
    minutes double precision not null,
    unique_artists double precision not null,
    unique_tracks double precision not null,
    artist_entropy double precision not null,
    repeat_rate double precision not null,
    discovery_rate double precision not null,
    skip_rate double precision not null,
    shuffle_rate double precision not null,
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
create index on staging.session_features (user_id, local_date);

-- Exponential recency decay, half-life in days: every decayed_* is a sum over plays of 0.5 ^ (age / half_life).
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

create table staging.clustering_models (
    user_id text not null,
    version integer not null,
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
    primary key (user_id, version)
);

create table staging.session_clusters (
    user_id text not null,
    session_id bigint not null,
    local_date date not null,
    model_version integer not null,
    cluster integer not null,
    persona_id integer not null,
    distance double precision not null,
    primary key (user_id, session_id)
);
create index on staging.session_clusters (user_id, local_date);

create table staging.personas (
    user_id text not null,
    persona_id integer not null,
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

create table staging.artist_cooccurrence (
    user_id text not null,
    artist_name text not null,
    other_artist_name text not null,
    sessions_together integer not null,
    weight double precision not null,
    score double precision not null,
    primary key (user_id, artist_name, other_artist_name)
);

create table staging.playlists (
    user_id text not null,
    playlist_id text not null,
    persona_id integer not null,
    as_of date not null,
    name text not null,
    description text not null,
    tracks integer not null,
    ms_total bigint not null,
    primary key (user_id, playlist_id)
);

-- score = the sum of the score_* parts.
create table staging.playlist_tracks (
    user_id text not null,
    playlist_id text not null,
    position integer not null,
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
    primary key (user_id, playlist_id, position)
);
