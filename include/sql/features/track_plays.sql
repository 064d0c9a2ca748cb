-- Plays and skips of a listener's tracks per bin of age in days; bins as in ml.recommender.age_bin.
select
    track_id,
    floor(4 * ln((%(reference_day)s::date - local_date + 1)::double precision) / ln(2::double precision) + 1e-9)::integer as bin,
    sum(plays)::integer as plays,
    sum(skips)::integer as skips
from staging.track_days
where user_id = %(user_id)s and local_date <= %(reference_day)s
group by track_id, bin
