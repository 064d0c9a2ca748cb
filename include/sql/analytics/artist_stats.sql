-- What each artist meant on each marked day (staging.artist_days), and in all (staging.artist_totals).
{% set item, key, discovery = "artist", ["artist_name"], "first_local_date" %}
{% include "analytics/item_stats.sql.j2" %}
