-- Tracks that this listener has never played, from other listeners; both have agreed to share their history. Of several who played
-- a track, the one with the most plays is named.
with partners as (
    select o.user_id, o.display_name
    from listeners me
    join listeners o on o.user_id <> me.user_id and o.shares_history
    where me.user_id = %(user_id)s and me.shares_history
),

heard as (
    select
        d.track_id,
        p.display_name,
        d.user_id,
        sum(d.plays)::integer as plays,
        sum(d.skips)::integer as skips
    from partners p
    join staging.track_days d on d.user_id = p.user_id and d.local_date <= %(reference_day)s
    group by d.track_id, d.user_id, p.display_name
),

final as (
    select distinct on (h.track_id)
        h.track_id,
        t.track_name,
        t.artist_name,
        t.album_name,
        h.display_name,
        h.plays,
        coalesce(c.duration_ms, t.ms_played / greatest(t.plays, 1))::bigint as duration_ms,
        c.duration_ms as known_ms
    from heard h
    join staging.track_totals t on t.user_id = h.user_id and t.track_id = h.track_id
    left join tracks c on c.track_id = h.track_id
    where h.plays >= 2 and h.skips * 2 < h.plays
        and not exists (
            select from staging.track_totals mine where mine.user_id = %(user_id)s and mine.track_id = h.track_id
        )
    order by h.track_id, h.plays desc, h.user_id
)

select *
from final
order by plays desc, track_id
limit %(limit)s
