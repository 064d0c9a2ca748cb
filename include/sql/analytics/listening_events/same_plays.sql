-- Which rows tell of the same play, and which of them stands for it.

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
