"""What Airflow's pages say of each task: its title, what it does, and what to do when something is wrong with it.

`python -m listening.task_docs` (with plugins/ on the path) prints the table that docs/operations.md shows.
"""

from __future__ import annotations

from typing import NamedTuple

from include.pipeline import SESSION_GAP_MINUTES


class Problem(NamedTuple):
    """A state of a task that somebody may have to do something about.

    :ivar state: as Airflow shows it: red, skipped or retrying.
    """

    state: str
    meaning: str
    action: str


class TaskDoc(NamedTuple):
    title: str
    text: str
    problems: tuple[Problem, ...] = ()


CHECK_NOT_RUN = Problem(
    "red", "A check could not be run, so nothing is known about the data.", "The log names the check and Soda's reason."
)
ROLLED_BACK = Problem(
    "red",
    "Its transaction was rolled back; its days stay marked.",
    "Fix the cause and clear the task. (Data of one listener that cannot be processed does not make it red: see "
    "`listeners_held`.)",
)
GATE = "PASS and WARN go on, FAIL ends the run at *Quality failed*."


def _build(title: str, text: str) -> TaskDoc:
    return TaskDoc(title, text, (ROLLED_BACK,))


TASK_DOCS = {
    "prepare_schema": TaskDoc(
        "Prepare schema",
        "Migrates the listening database to the newest schema (`include/sql/schema/versions`), as `listening_owner`.",
        (
            Problem(
                "red",
                "The database cannot be reached, or a migration failed and was rolled back.",
                "The log has the database's error; `make doctor` tests the connection.",
            ),
        ),
    ),
    "list_accounts": TaskDoc(
        "List accounts",
        "Lists the accounts to ask Spotify for, from `listeners`. `make authorize` adds one.",
        (
            Problem(
                "red",
                "Parameter `accounts` names a listener who has no account.",
                "Correct it, or run `make authorize` for that listener.",
            ),
        ),
    ),
    "ingest_recently_played": TaskDoc(
        "Ingest recently played",
        "Asks Spotify for one account's newest plays (at most 50) and stores them in `raw_listening_events`, together "
        "with `ingestion_state`. If plays were lost since the last call, `ingestion_gaps` says which time is missing.",
        (
            Problem(
                "red",
                "This account could not be read. The others were.",
                "The log's last line says why. If the authorization has ended, run `make authorize`.",
            ),
            Problem(
                "skipped",
                "Spotify's daily quota is used up.",
                "Nothing: the first run after the time in the log asks again.",
            ),
        ),
    ),
    "import_streaming_history": TaskDoc(
        "Import streaming history",
        "Loads the exports in the export folder into `raw_listening_events`. `ingested_files` has a row per file: rows "
        "read, loaded and skipped, with the reasons. A file that cannot be read is rejected there and fails nothing.",
        (
            Problem(
                "red",
                "The export folder, or a file in it, cannot be opened.",
                "Check `LISTENING_EXPORTS` and the permissions of the file that the log names.",
            ),
        ),
    ),
    "fetch_audio_features": TaskDoc(
        "Fetch audio features",
        "Fetches what is missing in `tracks`, `artists` and `audio_features`. It never fails; no task waits for it.",
    ),
    "ingestion_failed": TaskDoc(
        "Ingestion failed",
        "Fails the run at its end if an account or the export folder could not be read.",
        (
            Problem(
                "red",
                "Everything is published except the plays of an account or of the export folder.",
                "See the red task in group *ingest*.",
            ),
        ),
    ),
    "scan_raw": TaskDoc(
        "Scan raw",
        "Runs the Soda checks in `include/soda/raw` and stores their results in `qa_validation_results`.",
        (CHECK_NOT_RUN,),
    ),
    "scan_analytics": TaskDoc(
        "Scan analytics",
        "Runs the Soda checks in `include/soda/analytics` on the tables in `staging` and stores their results in "
        "`qa_validation_results`.",
        (CHECK_NOT_RUN,),
    ),
    "scan_ml": TaskDoc(
        "Scan ML",
        "Runs the Soda checks in `include/soda/ml` on features, clusters, personas and playlists and stores their "
        "results in `qa_validation_results`.",
        (CHECK_NOT_RUN,),
    ),
    "raw_quality_gate": TaskDoc("Raw quality gate", GATE),
    "analytics_quality_gate": TaskDoc("Analytics quality gate", GATE),
    "ml_quality_gate": TaskDoc("ML quality gate", GATE),
    "raw_rejected": TaskDoc("Raw rejected", "The checks of raw rows ended in FAIL."),
    "analytics_rejected": TaskDoc("Analytics rejected", "The checks of the analytics tables ended in FAIL."),
    "ml_rejected": TaskDoc("ML rejected", "The checks of the ml tables ended in FAIL."),
    "quality_failed": TaskDoc(
        "Quality failed",
        "Sends an alert through connection `listening_alerts` and fails the run.",
        (
            Problem(
                "red",
                "A check ended in FAIL. Nothing was published; readers still see the last good data.",
                "The log and the quality page name the check and its value. Put bad raw rows into `raw_quarantine` and "
                "trigger a run.",
            ),
        ),
    ),
    "build_listening_events": _build(
        "Build listening events",
        "`raw_listening_events` → `listening_events`: one row per play, in the listener's local time, however many "
        "sources report it. Rows that are not a play of their own go to `excluded_events`, with the reason.",
    ),
    "build_sessions": _build(
        "Build sessions",
        "`listening_events` → `listening_sessions`: plays with at most "
        f"{SESSION_GAP_MINUTES} minutes of silence between them.",
    ),
    "artist_stats": _build("Artist statistics", "`listening_events` → `artist_days`, `artist_totals`."),
    "track_stats": _build("Track statistics", "`listening_events` → `track_days`, `track_totals`."),
    "album_stats": _build("Album statistics", "`listening_events` → `album_days`, `album_totals`."),
    "listening_clock": _build(
        "Listening clock", "`listening_events` → `listening_hours`: plays and minutes per local hour."
    ),
    "daily_trends": _build(
        "Daily trends",
        "Plays, discoveries, diversity, averages over 7 and 28 days, and streaks → `daily_trends`. Runs after the "
        "statistics because they know when each artist and track was first heard.",
    ),
    "user_metrics": _build(
        "User metrics", "`daily_trends` and the totals → `analytics_user_metrics`: one row per listener."
    ),
    "start_models": TaskDoc("Start models", "Where the run goes on when the analytics tables have passed."),
    "build_session_features": _build(
        "Build session features",
        "Length, variety, repeats, discoveries, skips, time of day and mean audio features of each session → "
        "`session_features`. The formulas are in `ml/features/session_features.py`.",
    ),
    "build_user_features": _build(
        "Build user features", "A profile of each listener, recent plays weighing more → `user_features`."
    ),
    "cluster_sessions": _build(
        "Cluster sessions",
        "KMeans on the session features → `session_clusters`. The model and why it has this many clusters → "
        "`clustering_models`. Fitted again only when the data have drifted or grown enough.",
    ),
    "label_personas": _build(
        "Label personas",
        "Names each cluster after what sets it apart → `personas`. A persona that did not change keeps its name.",
    ),
    "artist_cooccurrence": _build(
        "Artist co-occurrence", "Artists played in the same sessions, normalised and shrunk → `artist_cooccurrence`."
    ),
    "generate_playlists": _build(
        "Generate playlists",
        "A playlist per persona → `playlists`; its tracks, each with its score and the reason for it → "
        "`playlist_tracks`.",
    ),
    "publish_tables": TaskDoc(
        "Publish tables",
        "Copies what changed from `staging` to `analytics` and `ml`, in one transaction, after every scan has passed.",
        (
            Problem(
                "retrying",
                "Another run changed `staging` after this run's scans.",
                "Nothing: it goes on when that run's scans have passed.",
            ),
        ),
    ),
    "listeners_held": TaskDoc(
        "Listeners held",
        "Fails the run at its end if a step could not process a listener's data. Skipped if there is no such listener.",
        (
            Problem(
                "red",
                "Everything is published except the listeners it names. Readers see them as before; each run tries "
                "again.",
                "`held_listeners` has the step and the error. Put the bad raw rows into `raw_quarantine`, or fix the "
                "step.",
            ),
        ),
    ),
    "publish_playlists": TaskDoc(
        "Publish playlists",
        "Writes playlists to Spotify for listeners with `publishes_playlists`: private, created once, then updated, "
        "only by the newest run. It never fails; `published_playlists` says what became of each.",
    ),
}


def about(task_id: str) -> dict[str, str]:
    """The arguments that name and explain an operator: task_id, task_display_name, doc_md.

    :raises KeyError: a task that is not in TASK_DOCS.
    """
    title, text, problems = TASK_DOCS[task_id]
    paragraphs = [f"**{state.capitalize()}:** {meaning} {action}" for state, meaning, action in problems]
    return {"task_id": task_id, "task_display_name": title, "doc_md": "\n\n".join([text, *paragraphs])}


def failure_table() -> str:
    """A Markdown table of every problem: which tasks, what it means, what to do."""
    tasks: dict[Problem, list[str]] = {}
    for task_id, doc in TASK_DOCS.items():
        for problem in doc.problems:
            tasks.setdefault(problem, []).append(f"`{task_id}`")
    rows = [
        f"| {', '.join(task_ids)} {problem.state} | {problem.meaning} | {problem.action} |"
        for problem, task_ids in tasks.items()
    ]
    return "\n".join(["| task | what it means | what to do |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(failure_table())
