# ruff: noqa: E501  (statements are easier to compare on one line; all of them are constants)
"""For every check: how to corrupt the data so that it must notice, and what it must then measure.

A key is (scan, table, check). The statement runs as owner on a copy of the database of conftest.py, with the trigger that
keeps raw append-only disabled. Several corruptions for one check are a list.
"""

from __future__ import annotations

from typing import NamedTuple


class Corruption(NamedTuple):
    """`value` is what the check has to measure; None where the exact figure is the fixture's and not the check's."""

    sql: str
    outcome: str
    value: float | None = 1


# One play's worth of raw rows on ada's last full day, which has 12 rows of the extended history before any are added.
LAST_DAY = "2026-02-27"
NEW_ROWS = """
    insert into raw_listening_events (user_id, source, event_key, played_at, item_type, track_id, payload, run_id, ingested_at)
    select {user_id}, {source}, md5('corrupt' || n)::uuid, {played_at}, {item_type}, {track_id}, {payload}, 'corrupt',
        '2026-03-01T00:00:00Z'
    from generate_series(1, {rows}) n
"""
GOOD_ID = "rpad('s' || n, 22, '0')"


def new_rows(rows: int = 1, **columns: str) -> str:
    defaults = {
        "user_id": "'ada'",
        "source": "'extended_history'",
        "played_at": f"timestamptz '{LAST_DAY} 12:00:00Z' + n * interval '4 minutes'",
        "item_type": "'track'",
        "track_id": GOOD_ID,
        "payload": "'{\"ms_played\": 200000}'::jsonb",
    }
    return NEW_ROWS.format(**defaults | columns, rows=rows)


def schema(table: str, column: str, schema_name: str = "staging") -> list[Corruption]:
    """A column gone, and one of another type."""
    return [
        Corruption(f"alter table {schema_name}.{table} rename column {column} to renamed", "FAIL", 1),
    ]


FIRST_EVENT = "(select event_id from staging.listening_events order by played_at limit 1)"
ONE_EVENT = f"event_id = {FIRST_EVENT}"
ONE_SESSION = "session_id = (select min(session_id) from staging.listening_sessions)"
ONE_DAY = "local_date = '2026-02-10'"
ONE_TRACK_OF_A_PLAYLIST = "(user_id, playlist_id, position) = (select user_id, playlist_id, position from staging.playlist_tracks order by 1, 2, 3 limit 1)"
ONE_PLAYLIST = "(user_id, playlist_id) = (select user_id, playlist_id from staging.playlists order by 1, 2 limit 1)"


def totals(noun: str, key: str) -> dict[tuple[str, str, str], list[Corruption]]:
    one = f"{key} = (select min({key}) from staging.{noun}_totals)"
    one_that_day = f"{key} = (select min({key}) from staging.{noun}_days where {ONE_DAY})"
    table = f"{noun}_totals"
    return {
        ("analytics", table, f"{noun}_days_unlike_plays"): [
            Corruption(f"delete from staging.{noun}_days where {ONE_DAY}", "FAIL"),
            Corruption(
                f"update staging.{noun}_days set ms_played = ms_played + 1 where {ONE_DAY} and {one_that_day}", "FAIL"
            ),
            Corruption(f"update staging.{noun}_days set heard = heard + 1 where {ONE_DAY} and {one_that_day}", "FAIL"),
            Corruption(f"update staging.{noun}_days set plays_30s = 0 where {ONE_DAY} and {one_that_day}", "FAIL"),
        ],
        ("analytics", table, f"{noun}_totals_unlike_days"): [
            Corruption(f"update staging.{noun}_totals set plays = plays + 1 where {one}", "FAIL"),
            Corruption(f"delete from staging.{noun}_totals where {one}", "FAIL"),
            Corruption(f"update staging.{noun}_totals set first_local_date = first_local_date - 1 where {one}", "FAIL"),
            Corruption(f"update staging.{noun}_totals set plays_30s = plays_30s - 1 where {one}", "FAIL"),
        ],
        ("analytics", table, f"impossible_{noun}_totals"): [
            Corruption(f"update staging.{noun}_totals set skips = plays + 1 where {one}", "FAIL"),
            Corruption(f"update staging.{noun}_totals set heard = plays - skips + 1 where {one}", "FAIL"),
            Corruption(f"update staging.{noun}_totals set plays_30s = plays + 1 where {one}", "FAIL"),
            Corruption(
                f"update staging.{noun}_totals set last_played_at = first_played_at - interval '1 s' where {one}",
                "FAIL",
            ),
        ],
    }


CORRUPTIONS: dict[tuple[str, str, str], list[Corruption]] = {
    # raw ----------------------------------------------------------------------------------------------------------
    ("raw", "raw_listening_events", "raw_rows"): [Corruption("truncate raw_listening_events", "WARN", 0)],
    ("raw", "raw_listening_events", "hours_since_last_play"): [
        Corruption("update raw_listening_events set played_at = played_at - interval '90 hours'", "WARN", None)
    ],
    ("raw", "raw_listening_events", "null_track_share"): [
        Corruption(new_rows(track_id="null"), "WARN", 1 / 40),
        Corruption(new_rows(3, track_id="null"), "FAIL", 3 / 40),
        Corruption(
            f"update raw_listening_events set track_id = null where played_at::date = '{LAST_DAY}'", "FAIL", 12 / 40
        ),
        # nobody marked these rows' day
        Corruption(
            new_rows(3, track_id="null", played_at="timestamptz '2024-07-01 10:00:00Z' + n * interval '4 minutes'"),
            "FAIL",
            3 / 40,
        ),
    ],
    ("raw", "raw_listening_events", "future_share"): [
        Corruption(new_rows(played_at="timestamptz '2026-03-02 12:00:00Z'"), "WARN", 1 / 40),
        Corruption(new_rows(2, played_at="timestamptz '2026-03-02 12:00:00Z'"), "FAIL", 2 / 40),
    ],
    ("raw", "raw_listening_events", "before_spotify_share"): [
        Corruption(new_rows(played_at="timestamptz '1970-01-01 00:00:00Z'"), "WARN", 1 / 727),
        Corruption(new_rows(40, played_at="timestamptz '1970-01-01 00:00:00Z'"), "FAIL", 40 / 766),
    ],
    ("raw", "raw_listening_events", "impossible_length_share"): [
        Corruption(new_rows(payload="'{\"ms_played\": -1}'::jsonb"), "WARN", 1 / 40),
        Corruption(new_rows(2, payload="'{\"ms_played\": 86400001}'::jsonb"), "FAIL", 2 / 40),
        Corruption(
            new_rows(2, source="'api'", payload='\'{"track": {"duration_ms": 86400001}}\'::jsonb'), "FAIL", 2 / 40
        ),
        Corruption(new_rows(2, source="'account_history'", payload="'{\"msPlayed\": -5}'::jsonb"), "FAIL", 2 / 40),
    ],
    ("raw", "raw_listening_events", "missing_length_share"): [
        Corruption(new_rows(80, payload="'{\"ms_played\": null}'::jsonb"), "WARN", 80 / 801),
        Corruption(new_rows(800, payload="'{}'::jsonb"), "FAIL", 800 / 1521),
    ],
    ("raw", "raw_listening_events", "unnamed_account_share"): [
        Corruption(
            new_rows(source="'account_history'", track_id="null", payload='\'{"trackName": "t"}\'::jsonb'),
            "WARN",
            1 / 40,
        ),
        Corruption(
            new_rows(5, source="'account_history'", track_id="null", payload='\'{"artistName": "a"}\'::jsonb'),
            "FAIL",
            5 / 40,
        ),
    ],
    ("raw", "raw_listening_events", "same_moment_share"): [
        Corruption(
            new_rows(100, track_id=f"'{'s' * 22}'", played_at=f"timestamptz '{LAST_DAY} 12:00:00Z'"), "WARN", 99 / 824
        )
    ],
    ("raw", "raw_listening_events", "malformed_track_ids"): [
        Corruption(new_rows(track_id="'spotify:track:1'"), "WARN"),
        Corruption(new_rows(track_id="'0123456789abcdefghijk'"), "WARN"),
    ],
    ("raw", "raw_listening_events", "payloads_of_no_shape"): [Corruption(new_rows(payload="'[1]'::jsonb"), "FAIL")],
    ("raw", "raw_listening_events", "payloads_with_ip"): [
        Corruption(new_rows(payload='\'{"ms_played": 1, "ip_addr": "127.0.0.1"}\'::jsonb'), "WARN")
    ],
    ("raw", "raw_listening_events", "rows_of_nobody"): [Corruption(new_rows(2, user_id="'nobody'"), "WARN", 2)],
    ("raw", "listeners", "ending_authorizations"): [
        Corruption("update listeners set authorized_at = '2025-10-01T04:00:00Z' where user_id = 'ada'", "WARN"),
        Corruption("update listeners set authorized_at = '2025-08-31T04:00:01Z'", "WARN", 2),
    ],
    ("raw", "listeners", "ended_authorizations"): [
        Corruption("update listeners set authorized_at = '2025-08-31T04:00:00Z' where user_id = 'ada'", "WARN")
    ],
    ("raw", "ingestion_state", "failing_accounts"): [
        Corruption("update ingestion_state set status = 'not_authorized', message = 'dead'", "WARN")
    ],
    ("raw", "ingestion_state", "state_in_the_future"): [
        Corruption("update ingestion_state set last_played_at = updated_at + interval '25 hours'", "WARN")
    ],
    ("raw", "ingestion_gaps", "open_gaps"): [Corruption("update ingestion_gaps set closed_at = null", "WARN")],
    ("raw", "ingestion_gaps", "backward_gaps"): [
        Corruption("update ingestion_gaps set gap_end = gap_start - interval '1 s'", "FAIL")
    ],
    ("raw", "ingested_files", "unaccounted_file_rows"): [
        Corruption("update ingested_files set rows_loaded = 4", "FAIL", 3),
        Corruption("update ingested_files set status = 'partial', skipped_rows = '{\"nothing_played\": 3}'", "FAIL"),
    ],
    ("raw", "ingested_files", "rejected_files"): [Corruption("update ingested_files set status = 'rejected'", "WARN")],
    # analytics ----------------------------------------------------------------------------------------------------
    ("analytics", "listening_events", "unaccounted_raw_rows"): [
        Corruption(f"delete from staging.listening_events where {ONE_EVENT}", "FAIL"),
        Corruption("delete from staging.excluded_events where reason = 'podcast_episode'", "FAIL"),
        # rows of a day that no step has touched, and that nobody marked
        Corruption(new_rows(3, played_at="timestamptz '2024-07-01 10:00:00Z' + n * interval '4 minutes'"), "FAIL", 3),
    ],
    ("analytics", "listening_events", "plays_without_raw_row"): [
        Corruption(f"update staging.listening_events set event_id = md5('x')::uuid where {ONE_EVENT}", "FAIL"),
        Corruption(f"update staging.listening_events set source = 'api' where {ONE_EVENT}", "FAIL"),
    ],
    ("analytics", "listening_events", "plays_also_excluded"): [
        Corruption(
            "insert into staging.excluded_events select user_id, source, event_id, 'no_playback', null, played_at, local_date"
            f" from staging.listening_events where {ONE_EVENT}",
            "FAIL",
        )
    ],
    ("analytics", "listening_events", "impossible_plays"): [
        Corruption(f"update staging.listening_events set ms_played = -1 where {ONE_EVENT}", "FAIL"),
        Corruption(
            f"update staging.listening_events set started_at = played_at + interval '1 s' where {ONE_EVENT}", "FAIL"
        ),
        Corruption(
            "update staging.listening_events set played_at = '2000-01-01T00:00:00Z', started_at = timestamptz"
            f" '2000-01-01T00:00:00Z' - ms_played * interval '1 millisecond' where {ONE_EVENT}",
            "FAIL",
        ),
    ],
    ("analytics", "listening_events", "plays_ahead_of_run"): [
        Corruption(f"update staging.listening_events set played_at = '2026-03-03T01:00:00Z' where {ONE_EVENT}", "WARN")
    ],
    ("analytics", "listening_events", "wrong_local_times"): [
        Corruption(f"update staging.listening_events set time_zone = 'Asia/Tokyo' where {ONE_EVENT}", "FAIL"),
        Corruption(f"update staging.listening_events set local_date = local_date + 1 where {ONE_EVENT}", "FAIL"),
    ],
    ("analytics", "listening_events", "plays_without_session"): [
        Corruption(f"update staging.listening_events set session_id = null where {ONE_EVENT}", "FAIL"),
        Corruption(f"delete from staging.listening_sessions where {ONE_SESSION}", "FAIL", 8),
    ],
    ("analytics", "listening_events", "twice_counted_plays"): [
        Corruption(
            "create temp table copied as select * from staging.listening_events"
            f" where {ONE_EVENT}; update copied set event_id = md5('x')::uuid, source = 'api';"
            " insert into staging.listening_events select * from copied",
            "FAIL",
        )
    ],
    ("analytics", "listening_events", "unknown_name_share"): [
        Corruption(
            "update staging.listening_events set artist_name = 'Unknown artist' where extract(day from local_date) < 4",
            "WARN",
            None,
        )
    ],
    ("analytics", "excluded_events", "kept_plays_missing"): [
        Corruption(
            "update staging.excluded_events set kept_event_id = md5('x')::uuid where event_key in"
            " (select event_key from staging.excluded_events where reason = 'same_play_as_export' limit 1)",
            "FAIL",
        )
    ],
    ("analytics", "excluded_events", "same_play_twice"): [
        Corruption(
            "update staging.excluded_events set kept_event_id = (select kept_event_id from staging.excluded_events where"
            " reason = 'same_play_as_export' order by event_key limit 1) where event_key in (select event_key from"
            " staging.excluded_events where reason = 'same_play_as_export' order by event_key limit 2)",
            "FAIL",
        )
    ],
    ("analytics", "excluded_events", "lost_share"): [
        Corruption(
            "insert into staging.excluded_events select 'ada', 'api', md5('x' || n)::uuid, 'missing_track_id', null,"
            f" '{LAST_DAY} 12:00:00Z', '{LAST_DAY}' from generate_series(1, 20) n",
            "WARN",
            None,
        ),
        Corruption(
            "insert into staging.excluded_events select 'ada', 'api', md5('x' || n)::uuid, 'impossible_timestamp', null,"
            f" '{LAST_DAY} 12:00:00Z', '{LAST_DAY}' from generate_series(1, 200) n",
            "FAIL",
            None,
        ),
    ],
    ("analytics", "listening_sessions", "sessions_unlike_their_plays"): [
        Corruption(f"update staging.listening_sessions set plays = plays + 1 where {ONE_SESSION}", "FAIL"),
        Corruption(f"update staging.listening_sessions set ms_played = ms_played - 1 where {ONE_SESSION}", "FAIL"),
        Corruption(f"update staging.listening_sessions set plays_30s = plays_30s - 1 where {ONE_SESSION}", "FAIL"),
    ],
    ("analytics", "listening_sessions", "impossible_sessions"): [
        Corruption(f"update staging.listening_sessions set skips = plays + 1 where {ONE_SESSION}", "FAIL"),
        Corruption(
            f"update staging.listening_sessions set ended_at = started_at - interval '1 s' where {ONE_SESSION}", "FAIL"
        ),
        Corruption(
            f"update staging.listening_sessions set started_at = started_at + interval '1 s' where {ONE_SESSION}",
            "FAIL",
        ),
    ],
    ("analytics", "listening_sessions", "overlapping_sessions"): [
        Corruption(
            f"update staging.listening_sessions set ended_at = ended_at + interval '14 hours' where {ONE_SESSION}",
            "FAIL",
        )
    ],
    ("analytics", "listening_sessions", "longest_session_hours"): [
        Corruption(f"update staging.listening_sessions set length_ms = 25 * 3600000 where {ONE_SESSION}", "WARN", 25)
    ],
    ("analytics", "listening_hours", "hours_unlike_plays"): [
        Corruption(f"delete from staging.listening_hours where {ONE_DAY}", "FAIL"),
        Corruption(f"update staging.listening_hours set plays = plays + 1 where {ONE_DAY} and hour = 22", "FAIL"),
    ],
    ("analytics", "listening_hours", "impossible_hours"): [
        Corruption(f"update staging.listening_hours set hour = 24 where {ONE_DAY} and hour = 22", "FAIL")
    ],
    ("analytics", "daily_trends", "trends_unlike_plays"): [
        Corruption(f"delete from staging.daily_trends where {ONE_DAY}", "FAIL"),
        Corruption(f"update staging.daily_trends set sessions = sessions + 1 where {ONE_DAY}", "FAIL"),
        Corruption(f"update staging.daily_trends set skips = skips + 1, heard = heard - 1 where {ONE_DAY}", "FAIL"),
    ],
    ("analytics", "daily_trends", "impossible_trends"): [
        Corruption(f"update staging.daily_trends set new_tracks = unique_tracks + 1 where {ONE_DAY}", "FAIL"),
        Corruption(f"update staging.daily_trends set effective_artists = unique_artists + 0.1 where {ONE_DAY}", "FAIL"),
    ],
    ("analytics", "daily_trends", "wrong_effective_artists"): [
        # Simpson's index of the same plays
        Corruption(
            f"update staging.daily_trends set effective_artists = 1 - 1 / effective_artists where {ONE_DAY}", "FAIL"
        )
    ],
    ("analytics", "daily_trends", "broken_streaks"): [
        Corruption(
            "update staging.daily_trends set streak_days = 99 where user_id = 'ada' and local_date = '2026-02-28'",
            "FAIL",
            None,
        )
    ],
    ("analytics", "daily_trends", "wrong_averages"): [
        Corruption(f"update staging.daily_trends set plays_28d_avg = plays_28d_avg + 0.1 where {ONE_DAY}", "FAIL")
    ],
    ("analytics", "daily_trends", "quiet_listeners"): [
        Corruption("delete from staging.daily_trends where user_id = 'ada' and local_date > '2026-02-20'", "WARN")
    ],
    ("analytics", "daily_trends", "loud_days"): [
        Corruption(
            "update staging.daily_trends set plays = 500 where user_id = 'ada' and local_date = '2026-02-27'", "WARN"
        )
    ],
    ("analytics", "analytics_user_metrics", "metrics_unlike_days"): [
        Corruption("update staging.analytics_user_metrics set plays = plays + 1 where user_id = 'ada'", "FAIL"),
        Corruption("update staging.analytics_user_metrics set plays_30s = plays_30s - 1 where user_id = 'ada'", "FAIL"),
        Corruption("delete from staging.analytics_user_metrics where user_id = 'ada'", "FAIL"),
    ],
    ("analytics", "analytics_user_metrics", "metrics_unlike_tracks"): [
        Corruption(
            "update staging.analytics_user_metrics set unique_tracks = unique_tracks - 1 where user_id = 'ada'", "FAIL"
        )
    ],
    ("analytics", "analytics_user_metrics", "impossible_metrics"): [
        Corruption("update staging.analytics_user_metrics set plays_28d = plays + 1 where user_id = 'ada'", "FAIL"),
        Corruption("update staging.analytics_user_metrics set effective_artists_28d = -0.1", "FAIL", 2),
    ],
    ("analytics", "analytics_user_metrics", "stale_metrics_days"): [
        Corruption("update staging.analytics_user_metrics set as_of = '2026-02-24' where user_id = 'dora'", "WARN", 5)
    ],
    ("ml", "held_listeners", "held_listeners"): [
        Corruption("insert into held_listeners (user_id, step, message) values ('ada', 'playlists', 'x')", "WARN")
    ],
    ("analytics", "pending_days", "unfinished_days"): [
        Corruption(f"insert into pending_days values ('sessions', 'ada', '{LAST_DAY}')", "WARN")
    ],
    **totals("artist", "artist_name"),
    **totals("track", "track_id"),
    **totals("album", "album_name"),
    # ml -----------------------------------------------------------------------------------------------------------
    ("ml", "session_features", "features_without_session"): [
        Corruption(f"delete from staging.listening_sessions where {ONE_SESSION}", "FAIL")
    ],
    ("ml", "session_features", "sessions_without_features"): [
        Corruption(
            "delete from staging.session_features where session_id = (select min(session_id) from staging.session_features)",
            "FAIL",
        )
    ],
    ("ml", "session_features", "impossible_features"): [
        Corruption(f"update staging.session_features set repeat_rate = 1.5 where {ONE_SESSION}", "FAIL"),
        Corruption(f"update staging.session_features set artist_entropy = 'NaN' where {ONE_SESSION}", "FAIL"),
    ],
    ("ml", "user_features", "impossible_profiles"): [
        Corruption("update staging.user_features set night_share = 1.2 where user_id = 'ada'", "FAIL"),
        Corruption("update staging.user_features set decayed_plays = 'NaN' where user_id = 'ada'", "FAIL"),
    ],
    ("ml", "user_features", "profiles_of_nobody"): [
        Corruption("delete from staging.analytics_user_metrics where user_id = 'ada'", "FAIL")
    ],
    ("ml", "clustering_models", "current_models_off"): [
        Corruption("update staging.clustering_models set is_current = false where user_id = 'ada'", "FAIL")
    ],
    ("ml", "clustering_models", "malformed_models"): [
        Corruption("update staging.clustering_models set k = k + 1 where user_id = 'ada'", "FAIL"),
        Corruption("update staging.clustering_models set weights = weights[2:] where user_id = 'ada'", "FAIL"),
        Corruption(
            "update staging.clustering_models set artist_vectors = artist_vectors || 0.0 where user_id = 'ada'", "FAIL"
        ),
    ],
    ("ml", "clustering_models", "weakest_silhouette"): [
        Corruption("update staging.clustering_models set silhouette = 0.01 where user_id = 'ada'", "WARN", 0.01)
    ],
    ("ml", "session_clusters", "clusters_without_session"): [
        Corruption(f"delete from staging.listening_sessions where {ONE_SESSION}", "FAIL")
    ],
    ("ml", "session_clusters", "clusters_without_model"): [
        Corruption(f"update staging.session_clusters set cluster = 99 where {ONE_SESSION}", "FAIL"),
        Corruption(f"update staging.session_clusters set model_version = 99 where {ONE_SESSION}", "FAIL"),
    ],
    ("ml", "session_clusters", "sessions_without_cluster"): [
        Corruption(
            "delete from staging.session_clusters where session_id = (select min(session_id) from staging.session_clusters where user_id = 'ada')",
            "FAIL",
        )
    ],
    ("ml", "session_clusters", "far_sessions"): [
        Corruption(f"update staging.session_clusters set distance = 'NaN' where {ONE_SESSION}", "FAIL"),
        Corruption(f"update staging.session_clusters set distance = -1 where {ONE_SESSION}", "FAIL"),
    ],
    ("ml", "session_clusters", "drift"): [
        Corruption(
            "update staging.session_clusters c set distance = 2 * (select training_distance from staging.clustering_models m"
            " where m.user_id = c.user_id and m.is_current)",
            "WARN",
            2,
        )
    ],
    ("ml", "personas", "personas_without_words"): [
        Corruption(
            "update staging.personas set explanation = '' where persona_id = (select min(persona_id) from staging.personas where user_id = 'ada') and user_id = 'ada'",
            "FAIL",
        )
    ],
    ("ml", "personas", "same_labels"): [
        Corruption(
            "update staging.personas set user_id = 'ada', persona_id = persona_id + 100,"
            " label = (select min(label) from staging.personas where user_id = 'ada') where user_id <> 'ada'",
            "WARN",
        )
    ],
    ("ml", "personas", "shares_off"): [
        Corruption(
            "update staging.personas set share_of_sessions = share_of_sessions + 0.1 where user_id = 'ada'", "WARN"
        )
    ],
    ("ml", "personas", "clusters_without_persona"): [
        Corruption(
            "delete from staging.personas where user_id = 'ada' and persona_id = (select min(persona_id) from staging.personas where user_id = 'ada')",
            "FAIL",
        )
    ],
    ("ml", "artist_cooccurrence", "impossible_cooccurrence"): [
        Corruption(
            "update staging.artist_cooccurrence set score = -1 where (user_id, artist_name, other_artist_name) = (select user_id,"
            " artist_name, other_artist_name from staging.artist_cooccurrence order by 1, 2, 3 limit 1)",
            "FAIL",
        )
    ],
    ("ml", "artist_cooccurrence", "one_sided_pairs"): [
        Corruption(
            "delete from staging.artist_cooccurrence where (user_id, artist_name, other_artist_name) = (select user_id,"
            " artist_name, other_artist_name from staging.artist_cooccurrence order by 1, 2, 3 limit 1)",
            "FAIL",
        )
    ],
    ("ml", "playlists", "playlists_unlike_tracks"): [
        Corruption(f"update staging.playlists set tracks = tracks + 1 where {ONE_PLAYLIST}", "FAIL"),
        Corruption(f"delete from staging.playlist_tracks where {ONE_TRACK_OF_A_PLAYLIST}", "FAIL"),
    ],
    ("ml", "playlists", "short_playlists"): [
        Corruption(f"update staging.playlists set tracks = 19 where {ONE_PLAYLIST}", "WARN", None)
    ],
    ("ml", "playlists", "playlists_without_persona"): [
        Corruption(f"update staging.playlists set persona_id = 99 where {ONE_PLAYLIST}", "FAIL")
    ],
    ("ml", "playlist_tracks", "tracks_without_reason"): [
        Corruption(f"update staging.playlist_tracks set reason = ' ' where {ONE_TRACK_OF_A_PLAYLIST}", "FAIL")
    ],
    ("ml", "playlist_tracks", "repeated_tracks"): [
        Corruption(
            "update staging.playlist_tracks t set track_id = (select o.track_id from staging.playlist_tracks o where"
            " o.user_id = t.user_id and o.playlist_id = t.playlist_id order by position desc limit 1)"
            f" where {ONE_TRACK_OF_A_PLAYLIST}",
            "FAIL",
        )
    ],
    ("ml", "playlist_tracks", "positions_off"): [
        Corruption(f"update staging.playlist_tracks set position = 999 where {ONE_TRACK_OF_A_PLAYLIST}", "FAIL")
    ],
    ("ml", "playlist_tracks", "scores_off"): [
        Corruption(f"update staging.playlist_tracks set score = score + 0.01 where {ONE_TRACK_OF_A_PLAYLIST}", "FAIL")
    ],
    ("ml", "playlist_tracks", "tracks_nobody_heard"): [
        Corruption(f"update staging.playlist_tracks set track_id = 'nobody' where {ONE_TRACK_OF_A_PLAYLIST}", "FAIL")
    ],
}
