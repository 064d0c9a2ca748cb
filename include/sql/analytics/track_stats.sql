-- What each track meant on each marked day (staging.track_days), and in all (staging.track_totals). Session features read the
-- very play that was a track's first.
{% set item, key, discovery = "track", ["track_id"], "first_played_at" %}
{% include "analytics/item_stats.sql.j2" %}
