-- What each album meant on each marked day (staging.album_days), and in all (staging.album_totals).
{% set item, key, discovery = "album", ["artist_name", "album_name"], "first_local_date" %}
{% include "analytics/item_stats.sql.j2" %}
