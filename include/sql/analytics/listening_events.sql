-- Raw rows become plays: one staging.listening_events row per real play, every other raw row in staging.excluded_events
-- with its reason. Works on the marked days of each listener, widened to the silence around them, so that no decision
-- inside depends on a row outside: whatever the order rows arrive in, the result is that of a full rebuild.
-- Parameters: session_gap_minutes.

select lock_marks();
set local work_mem = '128MB';
set local jit = off;

create temp table marked_days on commit drop as
select user_id, day from takeable_days where step = 'listening_events';

delete from takeable_days where step = 'listening_events';

analyze marked_days;

-- The ranges to rebuild: the marked days, and where their late rows were heard. Where a late row is placed depends on the
-- rows within 15 minutes of where it was heard; so late rows heard close to what is rebuilt bring the time they were reported.
create temp table ranges on commit drop as
with
consecutive as (
    select user_id, day, day - (row_number() over (partition by user_id order by day))::integer as island
    from marked_days
),
windows as (
    select
        user_id,
        min(day)::timestamp at time zone 'UTC' as low,
        (max(day) + 1)::timestamp at time zone 'UTC' as high
    from consecutive
    group by user_id, island
),
heard as (
    select user_id, low, high from windows
    union
    select w.user_id, r.ended_at, r.ended_at + interval '1 microsecond'
    from windows w
    cross join lateral (
        select r.ended_at from raw_listening_events r
        where r.user_id = w.user_id and r.played_at - r.ended_at > interval '1 minute'
            and r.played_at >= w.low and r.played_at < w.high
        offset 0  -- by the index, window by window
    ) r
    where not exists (
        select from marked_days d where d.user_id = w.user_id and d.day = (r.ended_at at time zone 'UTC')::date
    )
),
reported as (
    select h.user_id, r.played_at
    from heard h
    cross join lateral (
        select r.played_at from raw_listening_events r
        where r.user_id = h.user_id and r.played_at - r.ended_at > interval '1 minute'
            and r.ended_at >= h.low - interval '16 minutes' and r.ended_at < h.high + interval '16 minutes'
        offset 0
    ) r
    where not exists (
        select from marked_days d where d.user_id = h.user_id and d.day = (r.played_at at time zone 'UTC')::date
    )
)
select user_id, low, high from heard
union
select user_id, played_at, played_at + interval '1 microsecond' from reported;

analyze ranges;

select staging.close_ranges();

-- Late rows that overlap more plays where they should have been heard than they meet end to start, give or take 5 s: their
-- clock was wrong, they are placed where they were reported.
create temp table misplaced on commit drop as
with
late as (
    select distinct
        r.user_id, r.event_key, r.ended_at, r.ms,
        r.ended_at - r.ms::double precision * interval '1 millisecond' as started_at
    from ranges g
    cross join lateral (
        (
            select r.user_id, r.event_key, r.ended_at, r.payload -> 'ms_played' as ms from raw_listening_events r
            where r.user_id = g.user_id and r.played_at - r.ended_at > interval '1 minute'
                and r.ended_at >= g.low and r.ended_at < g.high
            offset 0
        )
        union all
        (
            select r.user_id, r.event_key, r.ended_at, r.payload -> 'ms_played' from raw_listening_events r
            where r.user_id = g.user_id and r.played_at - r.ended_at > interval '1 minute'
                and r.played_at >= g.low and r.played_at < g.high
            offset 0
        )
    ) r
)
select l.user_id, l.event_key
from late l
cross join lateral (
    select n.event_key, n.ended_at, n.payload -> 'ms_played' as ms
    from raw_listening_events n
    where n.user_id = l.user_id
        and n.ended_at between l.ended_at - interval '15 minutes' and l.ended_at + interval '15 minutes'
        and n.source = 'extended_history'
        and n.event_key <> l.event_key
        and case when jsonb_typeof(n.payload -> 'ms_played') = 'number'
            then (n.payload -> 'ms_played')::numeric between 1 and 86400000
        end
        -- the same play, logged twice
        and not (
            n.payload -> 'ms_played' = l.ms
            and n.ended_at - l.ended_at between interval '-1 second' and interval '1 second'
        )
    offset 0
) n
cross join lateral (
    select n.ended_at - n.ms::double precision * interval '1 millisecond' as started_at
) s
group by l.user_id, l.event_key
having
    count(*) filter (
        where least(n.ended_at, l.ended_at) - greatest(s.started_at, l.started_at) > interval '5 seconds'
    ) > count(*) filter (
        where n.ended_at - l.started_at between interval '-5 seconds' and interval '5 seconds'
            or s.started_at - l.ended_at between interval '-5 seconds' and interval '5 seconds'
    );

analyze misplaced;

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

create temp table same_plays (
    user_id text not null,
    giving_way uuid not null,
    standing uuid not null,
    reason text not null default 'same_play_as_export'
) on commit drop;

-- One play in two rows of the exports: begun in the same second by the device's clock (older exports write milliseconds)
-- and of the same length. Where a row tells no clock: of the same report, with a row that knows more.
insert into same_plays
with
exported as (
    select * from candidates where reason is null and rank = 1
),
clocked as (
    select
        *,
        lag(clock_start) over same_length > clock_start - least(ms_known, 1000) * interval '1 millisecond'
            and lag(name_track_id(artist_name, track_name)) over same_length = name_track_id(artist_name, track_name)
            as is_again
    from exported
    where clock_start is not null
    window same_length as (partition by user_id, ms_known order by clock_start, event_key)
),
grouped as (
    select *, count(*) filter (where is_again is not true) over (
        partition by user_id, ms_known order by clock_start, event_key
    ) as play
    from clocked
),
chosen as (
    select *, first_value(event_key) over (
        partition by user_id, ms_known, play order by known_by_name, reported_at, event_key
    ) as standing
    from grouped
),
of_one_report as (
    select u.user_id, u.event_key as giving_way, c.standing, c.known_by_name, c.event_key
    from exported u
    join chosen c using (user_id, reported_at, ms_known)
    where u.clock_start is null
        and (
            u.track_id = c.track_id
            or u.known_by_name
                and name_track_id(u.artist_name, u.track_name) = name_track_id(c.artist_name, c.track_name)
        )
    union all
    select u.user_id, u.event_key, e.event_key, e.known_by_name, e.event_key
    from exported u
    join exported e using (user_id, reported_at, ms_known)
    where u.clock_start is null and u.known_by_name and e.clock_start is null and not e.known_by_name
        and name_track_id(u.artist_name, u.track_name) = name_track_id(e.artist_name, e.track_name)
)
select user_id, event_key, standing, 'logged_twice' from chosen where event_key <> standing
union all
(
    select distinct on (user_id, giving_way) user_id, giving_way, standing, 'logged_twice'
    from of_one_report
    order by user_id, giving_way, known_by_name, event_key
);

-- Reconciliation, across sources only, one to one, nearest first (within a rule; the lower rule goes first). First account
-- data gives way to the extended history, then the API's rows to both.
create temp table pairs (
    user_id text not null,
    giving_way uuid not null,
    standing uuid not null,
    rule smallint not null,
    distance interval not null,
    tie_break bigint not null
) on commit drop;

-- Account data knows minutes, so 'same minute, give or take one'; the same length tells replays in a minute apart. A late
-- row may meet it where it was heard (rule 1) or when it was reported (rule 2).
insert into pairs
with
plays as (
    select
        c.user_id, c.event_key, c.rank, c.ms_known, m.rule, date_trunc('minute', m.moment, 'UTC') as minute,
        name_track_id(c.artist_name, c.track_name) as name_id
    from candidates c
    cross join lateral (
        values (1, c.ended_at), (2, case when c.reported_at - c.ended_at > interval '1 minute' then c.reported_at end)
    ) m (rule, moment)
    where c.reason is null and c.rank < 3 and c.user_id in (select user_id from candidates where rank = 2)
        and m.moment is not null
        and not exists (select from same_plays s where s.user_id = c.user_id and s.giving_way = c.event_key)
),
neighbours as (
    select *, minute + shift * interval '1 minute' as near_minute from plays, generate_series(-1, 1) shift where rank = 2
)
select
    a.user_id, a.event_key, e.event_key, e.rule, greatest(a.minute - e.minute, e.minute - a.minute),
    abs(a.ms_known - e.ms_known)
from neighbours a
join plays e on e.rank = 1 and e.user_id = a.user_id and e.minute = a.near_minute and e.name_id = a.name_id;

select staging.match_nearest();

-- The API's played_at is usually the end of a play (rule 1), sometimes its start (rule 2, for plays of up to 14 minutes, so
-- that both ends lie within one range), of a late row perhaps when it was reported (rule 3). The same track is the same id,
-- else the same ISRC, else the same artist and title unless the ISRCs say otherwise.
insert into pairs
with
plays as (
    select c.*, name_track_id(c.artist_name, c.track_name) as name_id
    from candidates c
    where c.reason is null and c.user_id in (select user_id from candidates where is_api)
        and not exists (select from same_plays s where s.user_id = c.user_id and s.giving_way = c.event_key)
),
neighbours as (
    select *, date_trunc('minute', ended_at, 'UTC') + shift * interval '1 minute' as near_minute
    from plays, generate_series(-1, 1) shift
    where is_api
),
moments as (
    select *, 1 as rule, ended_at as moment from plays where not is_api
    union all
    select *, 2, ended_at - ms_known * interval '1 millisecond' from plays where not is_api and ms_known between 1 and 840000
    union all
    select *, 3, reported_at from plays where not is_api and reported_at - ended_at > interval '1 minute'
),
near as (
    select
        a.user_id,
        a.event_key as giving_way,
        e.event_key as standing,
        e.rule,
        e.rank,
        case
            when e.rank = 1 then greatest(a.ended_at - e.moment, e.moment - a.ended_at)
            else greatest(
                date_trunc('minute', a.ended_at, 'UTC') - date_trunc('minute', e.moment, 'UTC'),
                date_trunc('minute', e.moment, 'UTC') - date_trunc('minute', a.ended_at, 'UTC')
            )
        end as distance,
        case
            when a.track_id = e.track_id then 0
            when a.isrc = e.isrc then 1
            when a.name_id = e.name_id and (a.isrc is null or e.isrc is null) then 2
        end as likeness
    from neighbours a
    join moments e on e.user_id = a.user_id and date_trunc('minute', e.moment, 'UTC') = a.near_minute
)
select user_id, giving_way, standing, rule, distance, likeness
from near
where likeness is not null and distance <= interval '60 seconds';

select staging.match_nearest();

analyze same_plays;

create temp table zones on commit drop as
select user_id, '-infinity'::timestamptz as valid_from, time_zone from listeners
union all
select user_id, valid_from, time_zone from listener_time_zones;

analyze zones;

-- The plays, with the length of API rows estimated: the track's, but not back over the end of what was on before (looked
-- for 15 minutes back), and at least the 30 s without which Spotify does not list a play.
create temp table new_events on commit drop as
with
heard as (
    select c.*, lag(c.ended_at) over (partition by c.user_id order by c.ended_at, c.event_key) as previous_ended_at
    from candidates c
    where c.reason is null or (c.reason in ('podcast_episode', 'audiobook', 'video') and c.ms_known > 0)
),
estimated as (
    select
        h.*,
        case
            when h.is_api and h.ended_at - h.previous_ended_at <= interval '15 minutes' then least(
                h.ms_known,
                greatest(30000, (extract(epoch from h.ended_at - h.previous_ended_at) * 1000)::integer)
            )
            else h.ms_known
        end as ms_played
    from heard h
    where h.reason is null
        and not exists (select from same_plays s where s.user_id = h.user_id and s.giving_way = h.event_key)
),
plays as (
    select e.*, e.ended_at - e.ms_played * interval '1 millisecond' as started_at from estimated e
),
periods as (
    select
        user_id, time_zone, valid_from,
        lead(valid_from, 1, 'infinity') over (partition by user_id order by valid_from) as valid_to
    from zones
),
local as (
    select p.*, coalesce(z.time_zone, 'UTC') as time_zone
    from plays p
    left join periods z on z.user_id = p.user_id and p.started_at >= z.valid_from and p.started_at < z.valid_to
),
-- session ids as far as these ranges show; sessions.sql has the last word and finds little to correct
begun as (
    select
        l.*,
        l.started_at at time zone l.time_zone as local_started_at,
        case
            when l.started_at - lag(l.ended_at) over listener <= %(session_gap_minutes)s * interval '1 minute' then null
            else (extract(epoch from l.started_at) * 1000)::bigint
        end as begun_session
    from local l
    window listener as (partition by l.user_id order by l.ended_at, l.event_key)
)
select
    b.user_id,
    b.event_key as event_id,
    b.source,
    case
        when b.track_id is null or b.known_by_name then name_track_id(b.artist_name, b.track_name) else b.track_id
    end as track_id,
    max(b.begun_session) over (partition by b.user_id order by b.ended_at, b.event_key) as session_id,
    b.track_name,
    b.artist_name,
    b.album_name,
    b.platform,
    b.reason_start,
    b.reason_end,
    b.time_zone,
    b.ms_played,
    b.is_estimated as ms_played_is_estimated,
    b.skipped,
    b.skipped is null as skipped_is_estimated,
    b.known_by_name,
    b.shuffle,
    b.offline,
    b.incognito,
    b.ended_at as played_at,
    b.started_at,
    b.local_started_at,
    b.local_started_at::date as local_date
from begun b;

analyze new_events (user_id, event_id, source);

-- What names mean, brought up to date by the difference between these ranges' plays as they were and as they are.
create temp table changed_names on commit drop as
with
counted as (
    select user_id, artist_name, track_name, track_id, count(*) as plays
    from new_events
    where not known_by_name and track_id not like 'name:%%'
    group by user_id, artist_name, track_name, track_id
    union all
    select e.user_id, e.artist_name, e.track_name, e.track_id, -count(*)
    from ranges g
    join staging.listening_events e
        on e.user_id = g.user_id and e.played_at >= g.low and e.played_at < g.high
    where not e.known_by_name and e.track_id not like 'name:%%'
    group by e.user_id, e.artist_name, e.track_name, e.track_id
)
select user_id, name_track_id(artist_name, track_name) as name_id, track_id, sum(plays)::integer as plays
from counted
group by user_id, name_track_id(artist_name, track_name), track_id
having sum(plays) <> 0;

analyze changed_names;

insert into staging.track_names as n (user_id, name_id, track_id, plays)
select user_id, name_id, track_id, plays from changed_names
order by user_id, name_id, track_id
on conflict (user_id, name_id, track_id) do update set plays = n.plays + excluded.plays;

delete from staging.track_names n
using changed_names c
where n.user_id = c.user_id and n.name_id = c.name_id and n.track_id = c.track_id and n.plays = 0;

update new_events e
set track_id = n.track_id
from (
    select
        a.user_id, a.name_id,
        (
            select min(k.track_id collate "C") from staging.track_names k
            where k.user_id = a.user_id and k.name_id = a.name_id
        ) as track_id
    from (select distinct user_id, track_id as name_id from new_events where known_by_name) a
) n
where e.known_by_name and n.user_id = e.user_id and n.name_id = e.track_id and n.track_id is not null;

-- Heard or skipped by length. Renamed plays can change a track's longest play: the last word is below.
update new_events e
set skipped = skipped_by_length(e.ms_played, l.duration_ms, l.longest_ms, e.ms_played_is_estimated, e.reason_end)
from (
    select i.user_id, i.track_id, greatest(i.longest_ms, o.longest_ms) as longest_ms, t.duration_ms
    from (
        select user_id, track_id, max(ms_played) as longest_ms
        from new_events
        group by user_id, track_id
        having bool_or(skipped_is_estimated)
    ) i
    left join (
        select c.user_id, c.track_id, max(e.ms_played) as longest_ms
        from (select distinct user_id, track_id from new_events where skipped_is_estimated) c
        join staging.listening_events e using (user_id, track_id)
        where not exists (
            select from ranges g where g.user_id = e.user_id and e.played_at >= g.low and e.played_at < g.high
        )
        group by c.user_id, c.track_id
    ) o using (user_id, track_id)
    left join tracks t on t.track_id = i.track_id
) l
where e.skipped_is_estimated and e.user_id = l.user_id and e.track_id = l.track_id;

-- Only what differs is written.
create temp table changed_days (user_id text not null, local_date date not null) on commit drop;
create temp table changed_tracks (user_id text not null, track_id text not null) on commit drop;

with
gone as (
    delete from staging.listening_events e
    using ranges g
    where e.user_id = g.user_id and e.played_at >= g.low and e.played_at < g.high
        and not exists (
            select from new_events n
            where n.user_id = e.user_id and n.event_id = e.event_id
                and (
                    n.source, n.track_id, n.track_name, n.artist_name, n.album_name, n.platform, n.reason_start,
                    n.reason_end, n.time_zone, n.ms_played, n.ms_played_is_estimated, n.skipped, n.skipped_is_estimated,
                    n.known_by_name, n.shuffle, n.offline, n.incognito, n.played_at, n.started_at, n.local_started_at
                ) is not distinct from (
                    e.source, e.track_id, e.track_name, e.artist_name, e.album_name, e.platform, e.reason_start,
                    e.reason_end, e.time_zone, e.ms_played, e.ms_played_is_estimated, e.skipped, e.skipped_is_estimated,
                    e.known_by_name, e.shuffle, e.offline, e.incognito, e.played_at, e.started_at, e.local_started_at
                )
        )
    returning e.user_id, e.local_date, e.track_id
),
days as (
    insert into changed_days select distinct user_id, local_date from gone
)
insert into changed_tracks select distinct user_id, track_id from gone;

-- What is left to add. Not while adding: against a table that grows, and that the planner knows as empty, each row would
-- be looked for among all before it.
delete from new_events n
using staging.listening_events e
where e.user_id = n.user_id and e.event_id = n.event_id;

select staging.begin_fill('listening_events', (select count(*) from new_events));

with
added as (
    insert into staging.listening_events (
        user_id, event_id, source, track_id, session_id, track_name, artist_name, album_name, platform, reason_start,
        reason_end, time_zone, ms_played, ms_played_is_estimated, skipped, skipped_is_estimated, known_by_name, shuffle,
        offline, incognito, played_at, started_at, local_started_at, local_date
    )
    select
        n.user_id, n.event_id, n.source, n.track_id, n.session_id, n.track_name, n.artist_name, n.album_name, n.platform,
        n.reason_start, n.reason_end, n.time_zone, n.ms_played, n.ms_played_is_estimated, n.skipped,
        n.skipped_is_estimated, n.known_by_name, n.shuffle, n.offline, n.incognito, n.played_at, n.started_at,
        n.local_started_at, n.local_date
    from new_events n
    returning user_id, local_date
)
insert into changed_days select distinct user_id, local_date from added;

select staging.end_fill('listening_events');

insert into changed_tracks select distinct user_id, track_id from new_events;

-- What follows reads the plays that were just added.
select staging.refresh_statistics('listening_events', (select count(*) from new_events));

-- Plays known by name elsewhere in the history whose name now means another track.
with
renamed as (
    update staging.listening_events e
    set track_id = coalesce(
        (
            select min(n.track_id collate "C") from staging.track_names n
            where n.user_id = c.user_id and n.name_id = c.name_id
        ),
        c.name_id
    )
    from (select distinct user_id, name_id from changed_names) c
    where e.known_by_name and e.user_id = c.user_id
        and name_track_id(e.artist_name, e.track_name) = c.name_id
        and e.track_id <> coalesce(
            (
                select min(n.track_id collate "C") from staging.track_names n
                where n.user_id = c.user_id and n.name_id = c.name_id
            ),
            c.name_id
        )
    returning e.user_id, e.local_date, c.name_id
),
days as (
    insert into changed_days select distinct user_id, local_date from renamed
)
-- whatever the name means or has meant may have its longest play from here
insert into changed_tracks
select r.user_id, n.track_id from renamed r join changed_names n using (user_id, name_id)
union
select r.user_id, n.track_id from renamed r join staging.track_names n using (user_id, name_id)
union
select user_id, name_id from renamed;

analyze changed_tracks;

-- Plays elsewhere in the history whose track has another longest play now.
with
lengths as (
    select c.user_id, c.track_id, t.duration_ms, max(e.ms_played) as longest_ms
    from (select distinct user_id, track_id from changed_tracks) c
    join staging.listening_events e using (user_id, track_id)
    left join tracks t using (track_id)
    group by c.user_id, c.track_id, t.duration_ms
    having bool_or(e.skipped_is_estimated)
),
judged as (
    select e.user_id, e.event_id, skipped_by_length(
        e.ms_played, l.duration_ms, l.longest_ms, e.ms_played_is_estimated, e.reason_end
    ) as skipped
    from lengths l
    join staging.listening_events e using (user_id, track_id)
    where e.skipped_is_estimated
),
rejudged as (
    update staging.listening_events e
    set skipped = j.skipped
    from judged j
    where e.user_id = j.user_id and e.event_id = j.event_id and e.skipped is distinct from j.skipped
    returning e.user_id, e.local_date
)
insert into changed_days select distinct user_id, local_date from rejudged;

create temp table new_excluded on commit drop as
select
    c.user_id,
    c.source,
    c.event_key,
    coalesce(c.reason, s.reason) as reason,
    s.standing as kept_event_id,
    c.ended_at as played_at,
    (c.ended_at at time zone 'UTC')::date as utc_date
from candidates c
left join same_plays s on s.user_id = c.user_id and s.giving_way = c.event_key
where c.reason is not null or s.standing is not null;

-- It is nearly always empty: without knowing that, the planner reads all of excluded_events.
analyze new_excluded (user_id, source, event_key);

delete from staging.excluded_events e
using ranges g
where e.user_id = g.user_id
    and e.utc_date between (g.low at time zone 'UTC')::date and (g.high at time zone 'UTC')::date
    and e.played_at >= g.low and e.played_at < g.high
    and not exists (
        select from new_excluded n
        where n.user_id = e.user_id and n.source = e.source and n.event_key = e.event_key
            and (n.reason, n.kept_event_id) is not distinct from (e.reason, e.kept_event_id)
    );

insert into staging.excluded_events (user_id, source, event_key, reason, kept_event_id, played_at, utc_date)
select n.user_id, n.source, n.event_key, n.reason, n.kept_event_id, n.played_at, n.utc_date
from new_excluded n
on conflict do nothing;

insert into pending_days (step, user_id, day)
select distinct s.step, c.user_id, c.local_date
from changed_days c
cross join (
    values ('sessions'), ('artist_stats'), ('track_stats'), ('album_stats'), ('listening_clock'), ('daily_trends'),
        ('user_metrics')
) s (step)
on conflict do nothing;

select staging.built_from_raw();
