select count(distinct (m.source, a.event_key))
from arrived_rows a
inner join unnest(%(members)s::smallint[], %(sources)s::text[]) as m (member, source) on m.member = a.member
