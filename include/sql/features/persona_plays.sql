-- Number of plays of each track in each persona's sessions, and the longest of them.
select
    e.track_id,
    c.persona_id,
    count(*)::integer as plays,
    max(e.ms_played) as longest_ms
from staging.listening_events e
join staging.session_clusters c on c.user_id = e.user_id and c.session_id = e.session_id
where e.user_id = %(user_id)s and e.local_date <= %(reference_day)s
group by e.track_id, c.persona_id
