-- Who is listened to, and how their accounts are reached.

create schema staging;
create schema analytics;
create schema ml;

create table listeners (
    user_id text primary key,
    display_name text not null,
    time_zone text not null default 'UTC',
    connection_id text unique,
    authorized_at timestamptz,
    shares_history boolean not null default false,
    publishes_playlists boolean not null default false,
    added_at timestamptz not null default now(),
    constraint known_time_zone check ((timestamptz '2020-01-01 00:00:00+00' at time zone time_zone) is not null)
);
-- What enters keys is short enough for them. Not valid: rows from before the rule stay as they came.
alter table listeners add constraint storable check (octet_length(user_id) between 1 and 256) not valid;
comment on table listeners is 'Who is listened to: one row a Spotify account.';
comment on column listeners.user_id is 'Spotify account id of the listener.';
comment on column listeners.display_name is 'Name to show.';
comment on column listeners.time_zone is 'IANA time zone; before the first row of listener_time_zones.';
comment on column listeners.connection_id is 'Airflow connection of the account.';
comment on column listeners.authorized_at is 'When the account was authorized; Spotify''s authorization ends 6 months later. UTC.';
comment on column listeners.shares_history is 'Whether other listeners'' recommendations may learn from this history.';
comment on column listeners.publishes_playlists is 'Whether playlists may be written to the account.';
comment on column listeners.added_at is 'When the listener was added. UTC.';

create table listener_time_zones (
    user_id text references listeners on delete cascade,
    valid_from timestamptz,
    time_zone text not null,
    primary key (user_id, valid_from),
    constraint known_time_zone check ((timestamptz '2020-01-01 00:00:00+00' at time zone time_zone) is not null)
);
comment on table listener_time_zones is 'Zones of listeners who moved or travelled. Before the first row of a listener: listeners.time_zone.';
comment on column listener_time_zones.user_id is 'Spotify account id of the listener.';
comment on column listener_time_zones.valid_from is 'From when the zone holds. UTC.';
comment on column listener_time_zones.time_zone is 'IANA time zone.';

create table spotify_tokens (
    connection_id text primary key,
    encrypted_token bytea not null,
    updated_at timestamptz not null default now()
);
comment on table spotify_tokens is 'Tokens that Spotify rotated, encrypted with the Airflow Fernet key.';
comment on column spotify_tokens.connection_id is 'Airflow connection of the account.';
comment on column spotify_tokens.encrypted_token is 'The token, Fernet-encrypted.';
comment on column spotify_tokens.updated_at is 'When the row was last written. UTC.';

create table spotify_api_calls (
    user_id text,
    called_on date,
    endpoint text,
    calls integer not null,
    primary key (user_id, called_on, endpoint)
);
comment on table spotify_api_calls is 'Calls to Spotify, counted by account, day and endpoint.';
comment on column spotify_api_calls.user_id is 'Spotify account id of the listener.';
comment on column spotify_api_calls.called_on is 'UTC day of the calls.';
comment on column spotify_api_calls.endpoint is 'Endpoint called.';
comment on column spotify_api_calls.calls is 'Number of calls.';
