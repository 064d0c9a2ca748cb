-- What was received, as it was received. Raw rows are only ever added.

-- When a stream began by the device's own clock, also of online streams: epoch seconds of offline_timestamp, which is in
-- seconds or milliseconds. Null where it cannot be one.
create function clock_seconds(payload jsonb) returns numeric language sql immutable parallel safe return
    case when jsonb_typeof(payload -> 'offline_timestamp') = 'number' then
        case
            when (payload -> 'offline_timestamp')::numeric between 1200000000 and 99999999999
                then (payload -> 'offline_timestamp')::numeric
            when (payload -> 'offline_timestamp')::numeric between 99999999999 and 9999999999999
                then (payload -> 'offline_timestamp')::numeric / 1000
        end
    end;

-- Where a stream ended by that clock. `ts` is when the app reported it, which after a pause can be weeks later. The clock is
-- not believed when the stream would end after its report (it is ahead) or more than 31 days before it: Spotify asks a
-- device to come online every 30 days.
create function stream_ended_at(payload jsonb, played_at timestamptz) returns timestamptz
language sql immutable parallel safe return
    case when jsonb_typeof(payload -> 'ms_played') = 'number' and clock_seconds(payload) is not null then
        case when (payload -> 'ms_played')::numeric between 0 and 86400000 then
            case
                when played_at - to_timestamp(
                    (clock_seconds(payload) + (payload -> 'ms_played')::numeric / 1000)::double precision
                ) between interval '-10 seconds' and interval '31 days'
                then to_timestamp((clock_seconds(payload) + (payload -> 'ms_played')::numeric / 1000)::double precision)
                else played_at
            end
            else played_at
        end
        else played_at
    end;

-- Rows that name a track by artist and title alone: account data, and exports of 2020, which have no column of URIs.
create function known_by_name(source text, payload jsonb) returns boolean language sql immutable parallel safe return
    source = 'account_history'
    or source = 'extended_history' and payload ? 'master_metadata_track_name' and not payload ? 'spotify_track_uri';

create table raw_listening_events (
    user_id text,
    source text,
    event_key uuid,
    played_at timestamptz not null,
    item_type text not null,
    track_id text,
    payload jsonb not null,
    run_id text not null,
    ingested_at timestamptz not null default now(),
    ended_at timestamptz generated always as (stream_ended_at(payload, played_at)) stored,
    primary key (user_id, source, event_key),
    constraint known_item_type check (item_type = any ('{track,episode,audiobook,video,local}')),
    constraint known_source check (source = any ('{api,extended_history,account_history}'))
);
-- What enters keys is short enough for them, moments are finite. Not valid: rows from before the rule stay as they came.
alter table raw_listening_events add constraint storable check (
    octet_length(user_id) <= 256
    and octet_length(track_id) <= 64
    and played_at between timestamptz '0001-01-01 00:00:00Z' and timestamptz '9999-12-31 23:59:59.999999Z'
) not valid;
create index raw_listening_events_ended_at on raw_listening_events (user_id, ended_at);
create index raw_listening_events_ingested_at on raw_listening_events using brin (ingested_at) with (autosummarize='on');
create index raw_listening_events_late_ended_at on raw_listening_events (user_id, ended_at) where ((played_at - ended_at) > interval '00:01:00');
create index raw_listening_events_late_played_at on raw_listening_events (user_id, played_at) where ((played_at - ended_at) > interval '00:01:00');
create index raw_listening_events_played_at on raw_listening_events (user_id, played_at);
comment on table raw_listening_events is 'Every row as it came from Spotify''s API or an export; append-only. To leave a row out, put its key into raw_quarantine.';
comment on column raw_listening_events.user_id is 'Spotify account id of the listener.';
comment on column raw_listening_events.source is 'api (recently played), extended_history or account_history (exports).';
comment on column raw_listening_events.event_key is 'md5 over the source and what makes a row of that source the same row again.';
comment on column raw_listening_events.played_at is 'Time of the row as the source gives it: played_at, ts or endTime. UTC.';
comment on column raw_listening_events.item_type is 'track, episode, audiobook, video or local.';
comment on column raw_listening_events.track_id is 'Base62 id of spotify:track:ID; null for other types and for account data.';
comment on column raw_listening_events.payload is 'As received, IP addresses dropped.';
comment on column raw_listening_events.run_id is 'Airflow run that wrote the row.';
comment on column raw_listening_events.ingested_at is 'When the row was stored. UTC.';
comment on column raw_listening_events.ended_at is 'When the stream ended by the device''s own clock, where it tells and can be believed; else played_at. UTC.';

create table raw_quarantine (
    user_id text,
    source text,
    event_key uuid,
    reason text not null,
    quarantined_at timestamptz not null default now(),
    quarantined_by text not null default current_user,
    primary key (user_id, source, event_key),
    constraint known_source check (source = any ('{api,extended_history,account_history}'))
);
comment on table raw_quarantine is 'Raw rows that a person decided not to count.';
comment on column raw_quarantine.user_id is 'Spotify account id of the listener.';
comment on column raw_quarantine.source is 'api (recently played), extended_history or account_history (exports).';
comment on column raw_quarantine.event_key is 'md5 over the source and what makes a row of that source the same row again.';
comment on column raw_quarantine.reason is 'Why the row does not count.';
comment on column raw_quarantine.quarantined_at is 'When it was decided. UTC.';
comment on column raw_quarantine.quarantined_by is 'Database role that decided it.';

create table ingestion_state (
    pipeline text,
    user_id text,
    last_played_at timestamptz,
    status text not null default 'ok',
    message text,
    retry_at timestamptz,
    run_id text,
    updated_at timestamptz not null default now(),
    primary key (pipeline, user_id),
    constraint known_pipeline check (pipeline = any ('{recently_played,streaming_history,window_watch}')),
    constraint known_status check (status = any ('{ok,not_authorized,refused,rate_limited,quota,unavailable,error}'))
);
comment on table ingestion_state is 'How far each account''s ingestion has come and how it went the last time.';
comment on column ingestion_state.pipeline is 'Which ingestion.';
comment on column ingestion_state.user_id is 'Spotify account id of the listener.';
comment on column ingestion_state.last_played_at is 'Newest played_at stored. UTC.';
comment on column ingestion_state.status is 'How it stands.';
comment on column ingestion_state.message is 'What a person needs to know about it.';
comment on column ingestion_state.retry_at is 'When to come back after a long rate limit. UTC.';
comment on column ingestion_state.run_id is 'Airflow run that wrote the row.';
comment on column ingestion_state.updated_at is 'When the row was last written. UTC.';

create table ingestion_gaps (
    user_id text,
    gap_start timestamptz,
    gap_end timestamptz not null,
    run_id text not null,
    detected_at timestamptz not null default now(),
    closed_at timestamptz,
    closed_by text,
    primary key (user_id, gap_start)
);
comment on table ingestion_gaps is 'Stretches in which Spotify''s window of 50 plays overflowed, until an export closes them.';
comment on column ingestion_gaps.user_id is 'Spotify account id of the listener.';
comment on column ingestion_gaps.gap_start is 'Newest play known before the gap. UTC.';
comment on column ingestion_gaps.gap_end is 'Oldest play known after the gap. UTC.';
comment on column ingestion_gaps.run_id is 'Airflow run that wrote the row.';
comment on column ingestion_gaps.detected_at is 'When it was noticed. UTC.';
comment on column ingestion_gaps.closed_at is 'When an export closed it; null while open. UTC.';
comment on column ingestion_gaps.closed_by is 'The export that closed it.';

create table ingested_files (
    sha256 text,
    user_id text,
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
    primary key (user_id, sha256),
    constraint known_skipped_rows check (not jsonb_path_exists(skipped_rows, '$.keyvalue()?(!(@."key" like_regex "^(no_timestamp|bad_timestamp|timestamp_out_of_range|ms_played_out_of_range|too_large|bad_track_uri|nothing_played|not_an_object|not_utf8|not_json|nested_too_deep|wrong_type_[A-Za-z_]+)$"))')),
    constraint known_status check (status = any ('{loaded,partial,rejected,ignored}'))
);
comment on table ingested_files is 'Export files that were read, by content, with what became of their rows.';
comment on column ingested_files.sha256 is 'SHA-256 of the content.';
comment on column ingested_files.user_id is 'Spotify account id of the listener.';
comment on column ingested_files.file_name is 'Name in the export folder.';
comment on column ingested_files.status is 'How it stands.';
comment on column ingested_files.message is 'What a person needs to know about it.';
comment on column ingested_files.size_bytes is 'Size in bytes.';
comment on column ingested_files.rows_read is 'Rows read.';
comment on column ingested_files.rows_loaded is 'Rows new to raw_listening_events.';
comment on column ingested_files.rows_already_known is 'Rows that were there already.';
comment on column ingested_files.skipped_rows is 'Rows skipped: reason to number.';
comment on column ingested_files.members is 'Files inside a zip, each with its counts.';
comment on column ingested_files.first_played_at is 'Oldest row''s time. UTC.';
comment on column ingested_files.last_played_at is 'Newest row''s time. UTC.';
comment on column ingested_files.run_id is 'Airflow run that wrote the row.';
comment on column ingested_files.ingested_at is 'When the row was stored. UTC.';
