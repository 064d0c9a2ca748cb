-- Raw rows of the ranges in one shape, each with the reason why it is no play, if there is one.

-- Every raw row that belongs into the ranges, read once, in one shape whatever its source. rank: whose word counts for the
-- same play.
create temp table candidates on commit drop as
with
raw as (
    select r.*, r.ended_at as heard_until
    from ranges g
    join raw_listening_events r on r.user_id = g.user_id and r.ended_at >= g.low and r.ended_at < g.high
    where not exists (select from misplaced m where m.user_id = r.user_id and m.event_key = r.event_key)
    union all
    select r.*, r.played_at
    from misplaced m
    join raw_listening_events r on r.user_id = m.user_id and r.source = 'extended_history' and r.event_key = m.event_key
    join ranges g on g.user_id = r.user_id and r.played_at >= g.low and r.played_at < g.high
),
read as (
    select
        r.user_id,
        r.source,
        r.event_key,
        r.item_type,
        r.track_id,
        r.heard_until as ended_at,
        r.played_at as reported_at,
        r.ingested_at,
        r.source = 'api' as is_api,
        case r.source when 'extended_history' then 1 when 'account_history' then 2 else 3 end as rank,
        -- what becomes a key is shortened here, once: raw stays as it came
        shown_name(case r.source
            when 'api' then r.payload #>> '{track,name}'
            when 'account_history' then r.payload ->> 'trackName'
            else r.payload ->> 'master_metadata_track_name'
        end) as track_name,
        shown_name(case r.source
            when 'api' then r.payload #>> '{track,artists,0,name}'
            when 'account_history' then r.payload ->> 'artistName'
            else r.payload ->> 'master_metadata_album_artist_name'
        end) as artist_name,
        shown_name(case r.source
            when 'api' then r.payload #>> '{track,album,name}'
            else r.payload ->> 'master_metadata_album_album_name'
        end) as album_name,
        r.payload,
        case r.source
            when 'api' then r.payload #> '{track,duration_ms}'
            when 'account_history' then r.payload -> 'msPlayed'
            else r.payload -> 'ms_played'
        end as ms
    from raw r
),
measured as (
    select
        r.*,
        case when jsonb_typeof(r.ms) = 'number' then round(r.ms::numeric) end as ms_known,
        known_by_name(r.source, r.payload) as known_by_name,
        nullif(r.payload ->> 'reason_end', '') as reason_end,
        r.payload ->> 'skipped' in ('true', '1', '1.0') as flag,
        case when r.rank = 1 then to_timestamp(clock_seconds(r.payload)::double precision) end as clock_start
    from read r
    offset 0  -- else the planner has each of these worked out again wherever it is named
)
select
    m.user_id,
    m.source,
    m.event_key,
    m.track_id,
    m.ended_at,
    m.reported_at,
    m.is_api,
    m.rank,
    m.known_by_name,
    m.clock_start,
    coalesce(m.track_name, 'Unknown track') as track_name,
    coalesce(m.artist_name, 'Unknown artist') as artist_name,
    m.album_name,
    case when m.is_api then m.payload #>> '{track,external_ids,isrc}' when m.rank = 1 then t.isrc end as isrc,
    m.payload ->> 'platform' as platform,
    nullif(m.payload ->> 'reason_start', '') as reason_start,
    m.reason_end,
    -- What the source says of it; null: nothing that can be believed, its length decides. `skipped` was false whatever
    -- happened for years, so false only counts beside endplay, which without it means a skip.
    case
        when m.flag or m.reason_end in ('backbtn', 'fwdbtn', 'unknown') then true
        when m.reason_end = 'endplay' then m.flag is null
        when m.reason_end = 'trackdone' then false
    end as skipped,
    m.payload ->> 'shuffle' in ('true', '1', '1.0') as shuffle,
    m.payload ->> 'offline' in ('true', '1', '1.0') as offline,
    m.payload ->> 'incognito_mode' in ('true', '1', '1.0') as incognito,
    case when coalesce(m.ms_known, 0) between 0 and 86400000 then coalesce(m.ms_known, 0)::integer end as ms_known,
    m.is_api or m.ms_known is null as is_estimated,
    case
        when q.event_key is not null then 'quarantined'
        -- Spotify opened in October 2008; nobody heard tomorrow
        when m.ended_at < timestamptz '2008-10-01 00:00:00Z' or m.ended_at > m.ingested_at + interval '1 day'
            then 'impossible_timestamp'
        when m.ms_known not between 0 and 86400000 then 'impossible_duration'
        when m.item_type = 'episode' then 'podcast_episode'
        when m.item_type in ('audiobook', 'video') then m.item_type
        when (m.known_by_name or m.item_type = 'local') and (m.track_name is null or m.artist_name is null)
            then 'missing_track_id'
        when not m.known_by_name and m.item_type <> 'local' and m.track_id is null then 'missing_track_id'
        -- on for 0 ms is not heard
        when m.ms_known = 0 and not m.is_api then 'no_playback'
    end as reason
from measured m
left join raw_quarantine q using (user_id, source, event_key)
left join tracks t on m.rank = 1 and t.track_id = m.track_id;

analyze candidates (user_id, event_key, rank, is_api, reason, ended_at);
