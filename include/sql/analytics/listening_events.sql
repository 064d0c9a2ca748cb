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

{% include "analytics/listening_events/ranges.sql" %}
{% include "analytics/listening_events/candidates.sql" %}
{% include "analytics/listening_events/same_plays.sql" %}
{% include "analytics/listening_events/new_events.sql" %}
{% include "analytics/listening_events/track_names.sql" %}
{% include "analytics/listening_events/write_events.sql" %}
{% include "analytics/listening_events/elsewhere.sql" %}
{% include "analytics/listening_events/excluded_events.sql" %}

select staging.mark_readers('listening_events', 'changed_days');

select staging.built_from_raw();
