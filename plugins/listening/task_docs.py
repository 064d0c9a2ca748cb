"""What the UI says of each task: its title, what it does, what it reads and writes, and what to do when it is red."""

from __future__ import annotations

ROLLED_BACK = (
    "Its transaction was rolled back and its days stay marked: mend the cause, clear the task. (A failure at one "
    "listener's data does not make it red: see *Listeners held*.)"
)

# task id: (title, text in Markdown)
TASK_DOCS = {
    "prepare_schema": (
        "Prepare schema",
        "Brings the listening database to the newest schema: migrations in `include/sql/schema/versions`, each "
        "applied once, as `listening_owner`.\n\n"
        "**Red:** the database cannot be reached, or a migration failed and was rolled back.",
    ),
    "list_accounts": (
        "List accounts",
        "The accounts to ask Spotify for, from `listeners`. An account is added by `make authorize`.",
    ),
    "ingest_recently_played": (
        "Ingest recently played",
        "One account's newest plays, at most 50 of which Spotify remembers → `raw_listening_events`, with "
        "`ingestion_state` in the same transaction. What was lost between two looks stands in `ingestion_gaps`.\n\n"
        "**Skipped:** Spotify's daily quota is used up; the next run after the recorded time goes on.\n\n"
        "**Red:** this account could not be read, the others were. The log's last line says why; a dead token "
        "wants `make authorize`.",
    ),
    "import_streaming_history": (
        "Import streaming history",
        "Exports in the export folder → `raw_listening_events`; per file, rows read, loaded and skipped by reason "
        "→ `ingested_files`. A file that is not what it should be is set aside and told there.\n\n"
        "**Red:** the folder itself cannot be read: check `LISTENING_EXPORTS`.",
    ),
    "fetch_audio_features": (
        "Fetch audio features",
        "Tempo, energy and the like of tracks that have none yet → `audio_features`, best effort: nothing waits "
        "for it.",
    ),
    "ingestion_failed": (
        "Ingestion failed",
        "Turns the run red at its end when an account or the export folder failed; all else is published.",
    ),
    "scan_raw": (
        "Scan raw",
        "Soda checks of `include/soda/raw` over what arrived → `qa_validation_results`.\n\n"
        "**Red:** a check could not be run at all; the log names it.",
    ),
    "scan_analytics": (
        "Scan analytics",
        "Soda checks of `include/soda/analytics` over the staged tables → `qa_validation_results`.\n\n"
        "**Red:** a check could not be run at all; the log names it.",
    ),
    "scan_ml": (
        "Scan ML",
        "Soda checks of `include/soda/ml` over features, clusters, personas and playlists → "
        "`qa_validation_results`.\n\n"
        "**Red:** a check could not be run at all; the log names it.",
    ),
    "raw_quality_gate": ("Raw quality gate", "PASS and WARN go on; FAIL ends the run at *Quality failed*."),
    "analytics_quality_gate": (
        "Analytics quality gate",
        "PASS and WARN go on; FAIL ends the run at *Quality failed*.",
    ),
    "ml_quality_gate": ("ML quality gate", "PASS and WARN go on; FAIL ends the run at *Quality failed*."),
    "raw_rejected": ("Raw rejected", "The scan of raw rows FAILed."),
    "analytics_rejected": ("Analytics rejected", "The scan of the analytics tables FAILed."),
    "ml_rejected": ("ML rejected", "The scan of the ml tables FAILed."),
    "quality_failed": (
        "Quality failed",
        "Tells people through connection `listening_alerts` and fails the run. Readers still see the last good "
        "data.\n\n"
        "**Red:** log and quality dashboard name check and value. Put bad raw rows into `raw_quarantine`, run "
        "again.",
    ),
    "build_listening_events": (
        "Build listening events",
        "`raw_listening_events` → `listening_events`: one row a play, reconciled over all sources, in local time; "
        "rows that are no play of their own → `excluded_events`, with the reason.\n\n"
        f"**Red:** {ROLLED_BACK}",
    ),
    "build_sessions": (
        "Build sessions",
        "`listening_events` → `listening_sessions`: plays with at most 30 minutes between them.\n\n"
        f"**Red:** {ROLLED_BACK}",
    ),
    "artist_stats": (
        "Artist statistics",
        f"`listening_events` → `artist_days`, `artist_totals`.\n\n**Red:** {ROLLED_BACK}",
    ),
    "track_stats": (
        "Track statistics",
        f"`listening_events` → `track_days`, `track_totals`.\n\n**Red:** {ROLLED_BACK}",
    ),
    "album_stats": (
        "Album statistics",
        f"`listening_events` → `album_days`, `album_totals`.\n\n**Red:** {ROLLED_BACK}",
    ),
    "listening_clock": (
        "Listening clock",
        f"`listening_events` → `listening_hours`: plays and minutes by local hour.\n\n**Red:** {ROLLED_BACK}",
    ),
    "daily_trends": (
        "Daily trends",
        "Plays, discoveries, diversity, averages over 7 and 28 days and streaks → `daily_trends`. After the "
        "statistics, which know what was first heard when.\n\n"
        f"**Red:** {ROLLED_BACK}",
    ),
    "user_metrics": (
        "User metrics",
        f"`daily_trends` and the totals → `analytics_user_metrics`, a row a listener.\n\n**Red:** {ROLLED_BACK}",
    ),
    "start_models": ("Start models", "Where the gate leads when the analytics tables are good."),
    "build_session_features": (
        "Build session features",
        "Length, variety, repeats, discoveries, skips, hour and audio means of each session → `session_features`. "
        "Formulas: `ml/features/session_features.py`.\n\n"
        f"**Red:** {ROLLED_BACK}",
    ),
    "build_user_features": (
        "Build user features",
        f"A listener's profile with recency decay → `user_features`.\n\n**Red:** {ROLLED_BACK}",
    ),
    "cluster_sessions": (
        "Cluster sessions",
        "KMeans over the session features → `session_clusters`; the model as numbers, with why this k → "
        "`clustering_models`. Fitted again only when drift or new data justify it.\n\n"
        f"**Red:** {ROLLED_BACK}",
    ),
    "label_personas": (
        "Label personas",
        "Names each cluster by what sets it apart, keeps names of behaviour that stayed the same → `personas`.\n\n"
        f"**Red:** {ROLLED_BACK}",
    ),
    "artist_cooccurrence": (
        "Artist co-occurrence",
        f"Artists heard in the same sessions, normalised and shrunk → `artist_cooccurrence`.\n\n**Red:** {ROLLED_BACK}",
    ),
    "generate_playlists": (
        "Generate playlists",
        "A playlist for each persona, each track with its score's parts and its reason → `playlists`, "
        "`playlist_tracks`.\n\n"
        f"**Red:** {ROLLED_BACK}",
    ),
    "publish_tables": (
        "Publish tables",
        "Copies what changed from `staging` to `analytics` and `ml` in one transaction, after every scan "
        "passed.\n\n"
        "**Retrying:** another run changed staging after this run's scans; it goes on when that run's scans have "
        "passed.",
    ),
    "listeners_held": (
        "Listeners held",
        "Turns the run red at its end when a step failed at a listener's data; the others are published. Skipped "
        "when that happened to nobody.\n\n"
        "**Red:** names listener, step and error, which `held_listeners` has too. Their marks stay and each run tries "
        "again; until then readers see them as they were. Put the raw rows at fault into `raw_quarantine`, or mend the "
        "step.",
    ),
    "publish_playlists": (
        "Publish playlists",
        "Writes playlists to Spotify for listeners with `publishes_playlists`: private, created once, then "
        "replaced in place, from the newest run only. Best effort.",
    ),
}


def about(task_id: str) -> dict[str, str]:
    """The arguments by which an operator is named and explained: task_id, task_display_name, doc_md.

    :raises KeyError: a task nobody has described.
    """
    title, text = TASK_DOCS[task_id]
    return {"task_id": task_id, "task_display_name": title, "doc_md": text}
