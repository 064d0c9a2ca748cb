-- Plays, sessions and statistics, in SQL.

create table staging.newest_run (
    as_of timestamptz not null
);
comment on table staging.newest_run is 'The newest time any run has had; what user_metrics takes for now. One row.';
comment on column staging.newest_run.as_of is 'The time of that run. UTC.';

insert into staging.newest_run values ('-infinity');

-- The id of a track known by name only.
create function name_track_id(artist_name text, track_name text) returns text
language sql immutable parallel safe return 'name:' || md5(lower(artist_name) || chr(31) || lower(track_name));

-- A name as tables have it: short enough for a key of two. Null: nobody sees anything of it (white space, marks of width 0
-- and of direction, blank letters). Raw keeps it as it came. Most names begin with a visible ASCII character, which is
-- quickly seen.
create function shown_name(name text) returns text language sql immutable parallel safe return
    case
        when ascii(name) between 33 and 126
            or btrim(name, U&' \0009\000A\000B\000C\000D\007F\0085\00A0\00AD\115F\1160\1680\180E\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\200B\200C\200D\200E\200F\2028\2029\202A\202B\202C\202D\202E\202F\205F\2060\2066\2067\2068\2069\2800\3000\3164\FEFF\FFA0') <> ''
        then left(name, 255)
    end;

-- Whether a play that its source does not call heard or skipped was skipped: false = heard, null = unknown. Heard is at
-- least half of the track, or 4 minutes (https://www.last.fm/api/scrobbling), of a track of unknown length 30 s. The length
-- is Spotify's, else that of the listener's longest play of it. A short play is a skip where nothing but its length is
-- known; where it ended for another reason, or its length is only estimated, nobody can tell.
create function skipped_by_length(
    ms_played integer, duration_ms integer, longest_ms integer, is_estimated boolean, reason_end text
) returns boolean language sql immutable parallel safe return
    case
        when ms_played >= least(
            240000,
            coalesce(
                case when duration_ms > 0 then duration_ms end / 2.0,
                case when longest_ms >= 30000 then longest_ms end / 2.0,
                30000
            )
        )
        then false
        when is_estimated or reason_end is not null then null
        else true
    end;

create function effective_number(total numeric, squares numeric) returns double precision
language sql immutable parallel safe return total::double precision ^ 2 / nullif(squares::double precision, 0);

comment on function effective_number(numeric, numeric) is
    'How many artists, each played equally often, would be as diverse: 1 / sum of squared shares (Hill number of order 2, M. O. Hill, Ecology 54, 1973). total: sum of the plays of each artist; squares: sum of their squares. Null without plays.';

create table staging.listening_events (
    user_id text,
    event_id uuid,
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
    skipped boolean,
    shuffle boolean,
    offline boolean,
    incognito boolean,
    played_at timestamptz not null,
    started_at timestamptz not null,
    local_started_at timestamp not null,
    local_date date not null,
    skipped_is_estimated boolean not null default false,
    known_by_name boolean not null default false,
    primary key (user_id, event_id),
    constraint known_source check (source = any ('{api,extended_history,account_history}'))
);
create index listening_events_user_id_local_date_idx on staging.listening_events (user_id, local_date);
create index listening_events_user_id_played_at_idx on staging.listening_events (user_id, played_at);
comment on table staging.listening_events is 'One row per real play, reconciled across sources.';
comment on column staging.listening_events.user_id is 'Spotify account id of the listener.';
comment on column staging.listening_events.event_id is 'event_key of the raw row that stands for the play.';
comment on column staging.listening_events.source is 'api (recently played), extended_history or account_history (exports).';
comment on column staging.listening_events.track_id is 'Spotify''s base62 track id; ''name:'' and a hash of artist and title where none is known.';
comment on column staging.listening_events.session_id is 'The session: epoch milliseconds of its first play''s start.';
comment on column staging.listening_events.track_name is 'Title.';
comment on column staging.listening_events.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column staging.listening_events.album_name is 'Album; null where the source does not say.';
comment on column staging.listening_events.platform is 'Device or app, as the export says.';
comment on column staging.listening_events.reason_start is 'Why the play began, as the export says.';
comment on column staging.listening_events.reason_end is 'Why the play ended, as the export says.';
comment on column staging.listening_events.time_zone is 'The listener''s zone when it started.';
comment on column staging.listening_events.ms_played is 'Milliseconds played; of API rows the track''s length, cut by the play before, at least 30 s.';
comment on column staging.listening_events.ms_played_is_estimated is 'Whether ms_played is estimated rather than measured.';
comment on column staging.listening_events.skipped is 'true: skipped, false: heard, null: unknown. What the export says (flag or reason_end), else by length.';
comment on column staging.listening_events.shuffle is 'Whether shuffle was on; null where unknown.';
comment on column staging.listening_events.offline is 'Whether it was heard offline; null where unknown.';
comment on column staging.listening_events.incognito is 'Whether it was a private session; null where unknown.';
comment on column staging.listening_events.played_at is 'When the play ended: where it was heard, not when it was reported. UTC.';
comment on column staging.listening_events.started_at is 'When it started. UTC.';
comment on column staging.listening_events.local_started_at is 'When it started, in the listener''s zone.';
comment on column staging.listening_events.local_date is 'The listener''s local day on which it started.';
comment on column staging.listening_events.skipped_is_estimated is 'Whether skipped was worked out from lengths (skipped_by_length).';
comment on column staging.listening_events.known_by_name is 'Whether the row came without a track id, so that track_id is what its artist and title mean.';
select staging.declare_published('listening_events', 'analytics', 'user_id', 'local_date');
create index listening_events_estimated on staging.listening_events (user_id, track_id) where skipped_is_estimated;
create index listening_events_known_by_name on staging.listening_events (user_id, name_track_id(artist_name, track_name)) where known_by_name;
create index listening_events_track on staging.listening_events (user_id, track_id, ms_played);

create table staging.excluded_events (
    user_id text,
    source text,
    event_key uuid,
    reason text not null,
    kept_event_id uuid,
    played_at timestamptz not null,
    utc_date date not null,
    primary key (user_id, source, event_key),
    constraint known_reason check (reason = any ('{same_play_as_export,logged_twice,podcast_episode,audiobook,video,quarantined,missing_track_id,impossible_timestamp,impossible_duration,no_playback}')),
    constraint known_source check (source = any ('{api,extended_history,account_history}'))
);
create index excluded_events_user_id_utc_date_idx on staging.excluded_events (user_id, utc_date);
comment on table staging.excluded_events is 'Raw rows that are no play of their own, and why: raw rows = listening_events + excluded_events.';
comment on column staging.excluded_events.user_id is 'Spotify account id of the listener.';
comment on column staging.excluded_events.source is 'api (recently played), extended_history or account_history (exports).';
comment on column staging.excluded_events.event_key is 'md5 over the source and what makes a row of that source the same row again.';
comment on column staging.excluded_events.reason is 'same_play_as_export, logged_twice (one play in two rows of the exports), podcast_episode, audiobook, video, quarantined, missing_track_id, impossible_timestamp, impossible_duration or no_playback (0 ms).';
comment on column staging.excluded_events.kept_event_id is 'The play that stands for the row (same_play_as_export, logged_twice).';
comment on column staging.excluded_events.played_at is 'When the row ended. UTC.';
comment on column staging.excluded_events.utc_date is 'UTC day of played_at.';
select staging.declare_published('excluded_events', 'analytics', 'user_id', 'utc_date');

create table staging.listening_sessions (
    user_id text,
    session_id bigint,
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
    plays_30s integer not null,
    heard integer not null,
    primary key (user_id, session_id)
);
create index listening_sessions_user_id_local_date_idx on staging.listening_sessions (user_id, local_date);
comment on table staging.listening_sessions is 'Sessions: plays without more than the session gap (30 minutes by default) of silence between them.';
comment on column staging.listening_sessions.user_id is 'Spotify account id of the listener.';
comment on column staging.listening_sessions.session_id is 'The session: epoch milliseconds of its first play''s start.';
comment on column staging.listening_sessions.plays is 'Number of plays.';
comment on column staging.listening_sessions.unique_tracks is 'Different tracks.';
comment on column staging.listening_sessions.unique_artists is 'Different artists.';
comment on column staging.listening_sessions.unique_albums is 'Different albums.';
comment on column staging.listening_sessions.skips is 'Plays that were skipped.';
comment on column staging.listening_sessions.ms_played is 'Milliseconds played.';
comment on column staging.listening_sessions.length_ms is 'From the start of the first play to the end of the last, in milliseconds.';
comment on column staging.listening_sessions.started_at is 'When it started. UTC.';
comment on column staging.listening_sessions.ended_at is 'When its last play ended. UTC.';
comment on column staging.listening_sessions.local_started_at is 'When it started, in the listener''s zone.';
comment on column staging.listening_sessions.local_date is 'The listener''s local day on which it started.';
comment on column staging.listening_sessions.plays_30s is 'Plays of 30 s or more.';
comment on column staging.listening_sessions.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('listening_sessions', 'analytics', 'user_id', 'local_date');
create index listening_sessions_length on analytics.listening_sessions (user_id, length_ms desc, session_id);

create table staging.listening_hours (
    user_id text,
    local_date date,
    hour smallint,
    plays integer not null,
    ms_played bigint not null,
    primary key (user_id, local_date, hour)
);
comment on table staging.listening_hours is 'Plays by hour of each local day.';
comment on column staging.listening_hours.user_id is 'Spotify account id of the listener.';
comment on column staging.listening_hours.local_date is 'The listener''s local day on which it started.';
comment on column staging.listening_hours.hour is 'Local hour of the day, 0 to 23.';
comment on column staging.listening_hours.plays is 'Number of plays.';
comment on column staging.listening_hours.ms_played is 'Milliseconds played.';
select staging.declare_published('listening_hours', 'analytics', 'user_id', 'local_date');

create table staging.artist_days (
    user_id text,
    local_date date,
    artist_name text,
    plays integer not null,
    skips integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    plays_30s integer not null,
    heard integer not null,
    primary key (user_id, local_date, artist_name)
);
comment on table staging.artist_days is 'What each artist meant on each local day.';
comment on column staging.artist_days.user_id is 'Spotify account id of the listener.';
comment on column staging.artist_days.local_date is 'The listener''s local day on which it started.';
comment on column staging.artist_days.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column staging.artist_days.plays is 'Number of plays.';
comment on column staging.artist_days.skips is 'Plays that were skipped.';
comment on column staging.artist_days.ms_played is 'Milliseconds played.';
comment on column staging.artist_days.first_played_at is 'End of the first play. UTC.';
comment on column staging.artist_days.last_played_at is 'End of the last play. UTC.';
comment on column staging.artist_days.plays_30s is 'Plays of 30 s or more.';
comment on column staging.artist_days.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('artist_days', 'analytics', 'user_id', 'local_date');
create index artist_days_user_id_artist_name_local_date_idx on staging.artist_days (user_id, artist_name, local_date);
create index artist_days_of_artists on analytics.artist_days (user_id, artist_name, local_date) include (plays, ms_played);

create table staging.artist_totals (
    user_id text,
    artist_name text,
    plays integer not null,
    skips integer not null,
    days integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    first_local_date date not null,
    last_local_date date not null,
    plays_30s integer not null,
    heard integer not null,
    primary key (user_id, artist_name)
);
create index artist_totals_user_id_first_local_date_idx on staging.artist_totals (user_id, first_local_date);
comment on table staging.artist_totals is 'What each artist meant in all; sums of artist_days.';
comment on column staging.artist_totals.user_id is 'Spotify account id of the listener.';
comment on column staging.artist_totals.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column staging.artist_totals.plays is 'Number of plays.';
comment on column staging.artist_totals.skips is 'Plays that were skipped.';
comment on column staging.artist_totals.days is 'Local days with plays.';
comment on column staging.artist_totals.ms_played is 'Milliseconds played.';
comment on column staging.artist_totals.first_played_at is 'End of the first play. UTC.';
comment on column staging.artist_totals.last_played_at is 'End of the last play. UTC.';
comment on column staging.artist_totals.first_local_date is 'First local day with a play.';
comment on column staging.artist_totals.last_local_date is 'Last local day with a play.';
comment on column staging.artist_totals.plays_30s is 'Plays of 30 s or more.';
comment on column staging.artist_totals.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('artist_totals', 'analytics', 'user_id', 'artist_name');

create table staging.track_days (
    user_id text,
    local_date date,
    track_id text,
    plays integer not null,
    skips integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    plays_30s integer not null,
    heard integer not null,
    primary key (user_id, local_date, track_id)
);
create index track_days_user_id_track_id_local_date_idx on staging.track_days (user_id, track_id, local_date);
comment on table staging.track_days is 'What each track meant on each local day.';
comment on column staging.track_days.user_id is 'Spotify account id of the listener.';
comment on column staging.track_days.local_date is 'The listener''s local day on which it started.';
comment on column staging.track_days.track_id is 'Spotify''s base62 track id; ''name:'' and a hash of artist and title where none is known.';
comment on column staging.track_days.plays is 'Number of plays.';
comment on column staging.track_days.skips is 'Plays that were skipped.';
comment on column staging.track_days.ms_played is 'Milliseconds played.';
comment on column staging.track_days.first_played_at is 'End of the first play. UTC.';
comment on column staging.track_days.last_played_at is 'End of the last play. UTC.';
comment on column staging.track_days.plays_30s is 'Plays of 30 s or more.';
comment on column staging.track_days.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('track_days', 'analytics', 'user_id', 'local_date');
create index track_days_plays on analytics.track_days (user_id, plays desc, local_date);

create table staging.track_totals (
    user_id text,
    track_id text,
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
    plays_30s integer not null,
    heard integer not null,
    primary key (user_id, track_id)
);
create index track_totals_user_id_first_local_date_idx on staging.track_totals (user_id, first_local_date);
comment on table staging.track_totals is 'What each track meant in all; sums of track_days.';
comment on column staging.track_totals.user_id is 'Spotify account id of the listener.';
comment on column staging.track_totals.track_id is 'Spotify''s base62 track id; ''name:'' and a hash of artist and title where none is known.';
comment on column staging.track_totals.track_name is 'Title.';
comment on column staging.track_totals.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column staging.track_totals.album_name is 'Album; null where the source does not say.';
comment on column staging.track_totals.plays is 'Number of plays.';
comment on column staging.track_totals.skips is 'Plays that were skipped.';
comment on column staging.track_totals.days is 'Local days with plays.';
comment on column staging.track_totals.ms_played is 'Milliseconds played.';
comment on column staging.track_totals.first_played_at is 'End of the first play. UTC.';
comment on column staging.track_totals.last_played_at is 'End of the last play. UTC.';
comment on column staging.track_totals.first_local_date is 'First local day with a play.';
comment on column staging.track_totals.last_local_date is 'Last local day with a play.';
comment on column staging.track_totals.plays_30s is 'Plays of 30 s or more.';
comment on column staging.track_totals.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('track_totals', 'analytics', 'user_id', 'track_id');
create index track_totals_first_played_at on staging.track_totals (user_id, first_played_at);
create index track_totals_track on staging.track_totals (track_id);

create table staging.album_days (
    user_id text,
    local_date date,
    artist_name text,
    album_name text,
    plays integer not null,
    skips integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    plays_30s integer not null,
    heard integer not null,
    primary key (user_id, local_date, artist_name, album_name)
);
create index album_days_user_id_artist_name_album_name_local_date_idx on staging.album_days (user_id, artist_name, album_name, local_date);
comment on table staging.album_days is 'What each album (artist and name) meant on each local day.';
comment on column staging.album_days.user_id is 'Spotify account id of the listener.';
comment on column staging.album_days.local_date is 'The listener''s local day on which it started.';
comment on column staging.album_days.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column staging.album_days.album_name is 'Album; null where the source does not say.';
comment on column staging.album_days.plays is 'Number of plays.';
comment on column staging.album_days.skips is 'Plays that were skipped.';
comment on column staging.album_days.ms_played is 'Milliseconds played.';
comment on column staging.album_days.first_played_at is 'End of the first play. UTC.';
comment on column staging.album_days.last_played_at is 'End of the last play. UTC.';
comment on column staging.album_days.plays_30s is 'Plays of 30 s or more.';
comment on column staging.album_days.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('album_days', 'analytics', 'user_id', 'local_date');

create table staging.album_totals (
    user_id text,
    artist_name text,
    album_name text,
    plays integer not null,
    skips integer not null,
    days integer not null,
    ms_played bigint not null,
    first_played_at timestamptz not null,
    last_played_at timestamptz not null,
    first_local_date date not null,
    last_local_date date not null,
    plays_30s integer not null,
    heard integer not null,
    primary key (user_id, artist_name, album_name)
);
comment on table staging.album_totals is 'What each album (artist and name) meant in all; sums of album_days.';
comment on column staging.album_totals.user_id is 'Spotify account id of the listener.';
comment on column staging.album_totals.artist_name is 'Artist; artists are identified by name, because exports carry no id.';
comment on column staging.album_totals.album_name is 'Album; null where the source does not say.';
comment on column staging.album_totals.plays is 'Number of plays.';
comment on column staging.album_totals.skips is 'Plays that were skipped.';
comment on column staging.album_totals.days is 'Local days with plays.';
comment on column staging.album_totals.ms_played is 'Milliseconds played.';
comment on column staging.album_totals.first_played_at is 'End of the first play. UTC.';
comment on column staging.album_totals.last_played_at is 'End of the last play. UTC.';
comment on column staging.album_totals.first_local_date is 'First local day with a play.';
comment on column staging.album_totals.last_local_date is 'Last local day with a play.';
comment on column staging.album_totals.plays_30s is 'Plays of 30 s or more.';
comment on column staging.album_totals.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('album_totals', 'analytics', 'user_id', 'artist_name', 'album_name');

create table staging.daily_trends (
    user_id text,
    local_date date,
    plays integer not null,
    sessions integer not null,
    unique_tracks integer not null,
    unique_artists integer not null,
    new_tracks integer not null,
    new_artists integer not null,
    skips integer not null,
    ms_played bigint not null,
    effective_artists double precision not null,
    plays_7d_avg double precision not null,
    plays_28d_avg double precision not null,
    ms_played_7d_avg double precision not null,
    ms_played_28d_avg double precision not null,
    streak_days integer not null,
    plays_30s integer not null,
    heard integer not null,
    primary key (user_id, local_date)
);
comment on table staging.daily_trends is 'One row per local day with plays.';
comment on column staging.daily_trends.user_id is 'Spotify account id of the listener.';
comment on column staging.daily_trends.local_date is 'The listener''s local day on which it started.';
comment on column staging.daily_trends.plays is 'Number of plays.';
comment on column staging.daily_trends.sessions is 'Number of sessions.';
comment on column staging.daily_trends.unique_tracks is 'Different tracks.';
comment on column staging.daily_trends.unique_artists is 'Different artists.';
comment on column staging.daily_trends.new_tracks is 'Tracks never heard before that day.';
comment on column staging.daily_trends.new_artists is 'Artists never heard before that day.';
comment on column staging.daily_trends.skips is 'Plays that were skipped.';
comment on column staging.daily_trends.ms_played is 'Milliseconds played.';
comment on column staging.daily_trends.effective_artists is 'How many artists, each played equally often, would make the day as diverse: 1 / sum of squared shares of plays; see effective_number().';
comment on column staging.daily_trends.plays_7d_avg is 'Plays a day over the 7 calendar days that end with this one.';
comment on column staging.daily_trends.plays_28d_avg is 'Plays a day over the 28 calendar days that end with this one.';
comment on column staging.daily_trends.ms_played_7d_avg is 'Milliseconds a day over the 7 calendar days that end with this one.';
comment on column staging.daily_trends.ms_played_28d_avg is 'Milliseconds a day over the 28 calendar days that end with this one.';
comment on column staging.daily_trends.streak_days is 'Days in a row with plays, this one included.';
comment on column staging.daily_trends.plays_30s is 'Plays of 30 s or more.';
comment on column staging.daily_trends.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('daily_trends', 'analytics', 'user_id', 'local_date');

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
    effective_artists_28d double precision not null,
    mean_session_ms double precision not null,
    first_played_at timestamptz,
    last_played_at timestamptz,
    plays_30s integer not null,
    heard integer not null
);
comment on table staging.analytics_user_metrics is 'One row a listener: totals, and the 28 local days up to as_of.';
comment on column staging.analytics_user_metrics.user_id is 'Spotify account id of the listener.';
comment on column staging.analytics_user_metrics.as_of is 'The listener''s local day of the run that wrote the row.';
comment on column staging.analytics_user_metrics.plays is 'Number of plays.';
comment on column staging.analytics_user_metrics.sessions is 'Number of sessions.';
comment on column staging.analytics_user_metrics.active_days is 'Local days with plays.';
comment on column staging.analytics_user_metrics.unique_tracks is 'Different tracks.';
comment on column staging.analytics_user_metrics.unique_artists is 'Different artists.';
comment on column staging.analytics_user_metrics.skips is 'Plays that were skipped.';
comment on column staging.analytics_user_metrics.current_streak_days is 'Days in a row with plays up to as_of, or up to the day before; else 0.';
comment on column staging.analytics_user_metrics.longest_streak_days is 'Longest streak ever.';
comment on column staging.analytics_user_metrics.ms_played is 'Milliseconds played.';
comment on column staging.analytics_user_metrics.ms_played_28d is 'Milliseconds played in the last 28 local days.';
comment on column staging.analytics_user_metrics.plays_28d is 'Plays of the last 28 local days.';
comment on column staging.analytics_user_metrics.effective_artists_28d is 'effective_number() of the plays of the last 28 local days; 0 without plays.';
comment on column staging.analytics_user_metrics.mean_session_ms is 'Milliseconds played per session.';
comment on column staging.analytics_user_metrics.first_played_at is 'End of the first play. UTC.';
comment on column staging.analytics_user_metrics.last_played_at is 'End of the last play. UTC.';
comment on column staging.analytics_user_metrics.plays_30s is 'Plays of 30 s or more.';
comment on column staging.analytics_user_metrics.heard is 'Plays that were heard and not skipped. plays - skips - heard: plays of which neither is known.';
select staging.declare_published('analytics_user_metrics', 'analytics', 'user_id');

create table staging.track_names (
    user_id text,
    name_id text,
    track_id text,
    plays integer not null,
    primary key (user_id, name_id, track_id)
);
comment on table staging.track_names is 'Which Spotify tracks a listener''s plays give to a name; the smallest id is what account rows resolve to.';
comment on column staging.track_names.user_id is 'Spotify account id of the listener.';
comment on column staging.track_names.name_id is '''name:'' and a hash of artist and title.';
comment on column staging.track_names.track_id is 'Spotify''s base62 track id; ''name:'' and a hash of artist and title where none is known.';
comment on column staging.track_names.plays is 'Plays with an id that bear the name.';

-- Covering keys for readers: sums over a year of a long history come from the keys' own pages, without visiting the rows.
alter table analytics.artist_days drop constraint artist_days_pkey,
    add primary key (user_id, local_date, artist_name) include (plays, ms_played, skips);
alter table analytics.track_days drop constraint track_days_pkey,
    add primary key (user_id, local_date, track_id) include (plays, ms_played, skips);
alter table analytics.album_days drop constraint album_days_pkey,
    add primary key (user_id, local_date, artist_name, album_name) include (plays, ms_played, skips);
alter table analytics.listening_hours drop constraint listening_hours_pkey,
    add primary key (user_id, local_date, hour) include (plays, ms_played);
alter table analytics.listening_sessions drop constraint listening_sessions_pkey,
    add primary key (user_id, session_id) include (local_date, ms_played);

-- What the steps share -------------------------------------------------------------------------------------------

-- Turns the temp table pairs (candidates for being the same play) into same_plays, one to one and nearest first, and
-- empties it. Taking the best pair of all again and again is the same as taking, in rounds, every pair that is the best
-- for both its rows.
create function staging.match_nearest() returns void language plpgsql as $$
begin
    create temp table ranked_pairs on commit drop as
    select user_id, giving_way, standing, row_number() over (order by rule, distance, tie_break, user_id, giving_way, standing) as rank
    from pairs;
    truncate pairs;
    create temp table best_pairs (user_id text, giving_way uuid, standing uuid) on commit drop;
    loop
        truncate best_pairs;
        insert into best_pairs
        select p.user_id, p.giving_way, p.standing
        from ranked_pairs p
        join (select min(rank) as rank from ranked_pairs group by user_id, giving_way) g on g.rank = p.rank
        join (select min(rank) as rank from ranked_pairs group by user_id, standing) s on s.rank = p.rank;
        exit when not found;
        insert into same_plays select user_id, giving_way, standing from best_pairs;
        delete from ranked_pairs p using best_pairs b where b.user_id = p.user_id and b.giving_way = p.giving_way;
        delete from ranked_pairs p using best_pairs b where b.user_id = p.user_id and b.standing = p.standing;
    end loop;
    drop table ranked_pairs, best_pairs;
end $$;

-- Widens the temp table ranges (user_id, low, high) until no decision inside depends on a row outside:
-- - 15 minutes of silence close a range: rows of one play end at most 2 minutes apart, and an estimated length looks back
--   no further than that. A late row breaks the silence in both its places.
-- - A late row that may be the same play as a row of another source, which ended when it was reported, brings both places.
create function staging.close_ranges() returns void language plpgsql as $$
begin
    loop
        create temp table closed_ranges on commit drop as
        with recursive
        downwards as (
            select user_id, low, high from ranges
            union all
            select d.user_id, p.low, d.high
            from downwards d
            cross join lateral (
                select least(
                    (
                        select min(r.ended_at) from public.raw_listening_events r
                        where r.user_id = d.user_id and r.ended_at >= d.low - interval '15 minutes' and r.ended_at < d.low
                    ),
                    (
                        select min(r.played_at) from public.raw_listening_events r
                        where r.user_id = d.user_id and r.played_at - r.ended_at > interval '1 minute'
                            and r.played_at >= d.low - interval '15 minutes' and r.played_at < d.low
                    )
                ) as low
            ) p
            where p.low is not null
        ),
        upwards as (
            select user_id, min(low) as low, high from downwards group by user_id, high
            union all
            select u.user_id, u.low, p.high + interval '1 microsecond'
            from upwards u
            cross join lateral (
                select greatest(
                    (
                        select max(r.ended_at) from public.raw_listening_events r
                        where r.user_id = u.user_id and r.ended_at >= u.high and r.ended_at < u.high + interval '15 minutes'
                    ),
                    (
                        select max(r.played_at) from public.raw_listening_events r
                        where r.user_id = u.user_id and r.played_at - r.ended_at > interval '1 minute'
                            and r.played_at >= u.high and r.played_at < u.high + interval '15 minutes'
                    )
                ) as high
            ) p
            where p.high is not null
        ),
        merged as (
            select user_id, unnest(range_agg(tstzrange(low, high))) as range from upwards group by user_id
        )
        select user_id, lower(range) as low, upper(range) as high from merged;
        truncate ranges;
        insert into ranges select * from closed_ranges;
        drop table closed_ranges;
        analyze ranges;

        insert into ranges
        with
        late as (
            select g.user_id, r.played_at, r.other_place
            from ranges g
            cross join lateral (
                (
                    select r.played_at, r.ended_at as other_place from public.raw_listening_events r
                    where r.user_id = g.user_id and r.played_at - r.ended_at > interval '1 minute'
                        and r.played_at >= g.low and r.played_at < g.high
                    offset 0  -- by the index, range by range
                )
                union all
                (
                    select r.played_at, r.played_at from public.raw_listening_events r
                    where r.user_id = g.user_id and r.played_at - r.ended_at > interval '1 minute'
                        and r.ended_at >= g.low and r.ended_at < g.high
                    offset 0
                )
            ) r
            where r.other_place < g.low or r.other_place >= g.high
        )
        select distinct l.user_id, l.other_place, l.other_place + interval '1 microsecond'
        from late l
        where not exists (
                select from ranges g
                where g.user_id = l.user_id and l.other_place >= g.low and l.other_place < g.high
            )
            and exists (
                select from public.raw_listening_events n
                where n.user_id = l.user_id and n.ended_at = n.played_at
                    and n.ended_at between l.played_at - interval '2 minutes' and l.played_at + interval '2 minutes'
            );
        exit when not found;
    end loop;
end $$;

-- Who has plays: one look into the index for each.
create function staging.heard_listeners() returns setof text language sql stable as $$
    with recursive
    heard as (
        select min(user_id) as user_id from staging.listening_events
        union all
        select (select min(e.user_id) from staging.listening_events e where e.user_id > h.user_id)
        from heard h
        where h.user_id is not null
    )
    select user_id from heard where user_id is not null
$$;

comment on function staging.close_ranges() is
    'Widens the temp table ranges until no decision of build_listening_events inside depends on a row outside.';

create table staging.dropped_indexes (
    table_name text,
    index_name text,
    is_primary_key boolean not null,
    definition text not null,
    primary key (table_name, index_name)
);
comment on table staging.dropped_indexes is 'Indexes that a transaction takes off an empty table while it fills it; always empty to others.';
comment on column staging.dropped_indexes.table_name is 'Table of schema staging.';
comment on column staging.dropped_indexes.index_name is 'Name of the index, or of the constraint it belongs to.';
comment on column staging.dropped_indexes.is_primary_key is 'Whether it is the table''s primary key.';
comment on column staging.dropped_indexes.definition is 'How it is made again.';

-- Before `added` rows are inserted into staging.<name>. Does nothing where it would not pay (few rows), or where rows are
-- already, or when somebody reads the table: nobody is waited for.
create function staging.begin_fill(name text, added bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    is_empty boolean;
    dropped staging.dropped_indexes;
begin
    if added < 20000 then
        return;
    end if;
    begin
        execute format('lock table staging.%I in access exclusive mode nowait', name);
    exception when lock_not_available then
        return;
    end;
    execute format('select not exists (select from staging.%I)', name) into is_empty;
    if not is_empty then
        return;
    end if;
    for dropped in
        insert into staging.dropped_indexes
        select name, c.relname, i.indisprimary,
            case when i.indisprimary then pg_get_constraintdef(k.oid) else pg_get_indexdef(i.indexrelid) end
        from pg_index i
        join pg_class c on c.oid = i.indexrelid
        left join pg_constraint k on k.conindid = i.indexrelid and k.contype = 'p'
        where i.indrelid = format('staging.%I', name)::regclass
        returning *
    loop
        if dropped.is_primary_key then
            execute format('alter table staging.%I drop constraint %I', name, dropped.index_name);
        else
            execute format('drop index staging.%I', dropped.index_name);
        end if;
    end loop;
end $$;

create function staging.end_fill(name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    dropped staging.dropped_indexes;
begin
    for dropped in delete from staging.dropped_indexes d where d.table_name = name returning * loop
        if dropped.is_primary_key then
            execute format('alter table staging.%I add constraint %I %s', name, dropped.index_name, dropped.definition);
        else
            execute dropped.definition;
        end if;
    end loop;
end $$;

-- A step that has changed a tenth of a table refreshes its statistics: the next step in the same minute plans with them,
-- and autovacuum has not come by yet.
create function staging.refresh_statistics(name text, changed bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if changed > 0 and changed >= 0.1 * greatest((
        select c.reltuples from pg_class c where c.oid = format('staging.%I', name)::regclass
    ), 0) then
        execute format('analyze staging.%I', name);
    end if;
end $$;
