"""
# Spotify listening: from plays to personas and playlists

Runs once a day, and additionally whenever an account has played so much that Spotify's list of its last 50 plays is about
to overflow.

1. **prepare_schema** migrates the listening database.
2. **ingest**: `ingest_recently_played` asks Spotify for each account's newest plays; `import_streaming_history` loads the
   files in the export folder. Both only add rows to `raw_listening_events`. `fetch_audio_features` is optional: it never
   fails the run, and no task waits for it.
3. **scan_raw → raw_quality_gate**: Soda checks the new rows. PASS and WARN go on, FAIL ends the run.
4. **analytics**: plays merged from all sources, sessions, statistics and trends, in SQL, for the days that changed.
5. **scan_analytics → analytics_quality_gate**.
6. **models**: features, KMeans clusters of sessions, personas. **playlist_generation**: artist co-occurrence, one playlist
   per persona.
7. **scan_ml → ml_quality_gate → publish_tables**: only here do the tables that people see change, all at once.
   `publish_playlists` writes playlists to Spotify for listeners who asked for it.

Each step processes only the days marked in `pending_days`, so a run costs as much as there is new data, and any task can
be cleared and run again. If a listener's data makes a step fail, the step skips that listener and goes on. Steps 4 to 6
write to the schema `staging`; readers see `analytics` and `ml`.

## Running it by hand
*Trigger* opens a form. `mode=replay` with `start` and `end` rebuilds those days from the raw rows, without calling
Spotify. `airflow backfill create` does the same for each past day.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator
from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    AssetWatcher,
    AsyncCallback,
    CronDataIntervalTimetable,
    DeadlineAlert,
    DeadlineReference,
    Label,
    Param,
    TaskGroup,
    TriggerRule,
    chain,
    dag,
)
from listening.callbacks import deadline_missed, run_failed
from listening.operators.ingestion import (
    FetchAudioFeaturesOperator,
    ImportStreamingHistoryOperator,
    IngestionFailedOperator,
    IngestRecentlyPlayedOperator,
    ListAccountsOperator,
)
from listening.operators.publishing import PublishPlaylistsOperator
from listening.operators.soda import QualityFailedOperator, SodaScanOperator, choose_branch
from listening.operators.steps import BuildStepOperator, ListenersHeldOperator, ModelStepOperator
from listening.retry_policy import SpotifyRetryPolicy
from listening.task_docs import about, failure_table
from listening.triggers.window import WindowTrigger

from include.listening_db import LISTENING_DB, migrate_listening_db
from include.pipeline import DAG_ID, SESSION_GAP_MINUTES

SQL_FOLDER = Path(__file__).resolve().parents[1] / "include" / "sql"
EXPORTS = os.environ.get("LISTENING_EXPORTS", "")

# The run says what "now" is, never the clock: replaying a past day gives that day's result.
AS_OF = (
    "{{ (dag_run.data_interval_end if dag_run.run_type in ('scheduled', 'backfill') else none)"
    " or dag_run.logical_date or dag_run.run_after }}"
)
MODE = "{{ 'replay' if dag_run.run_type == 'backfill' else params.mode }}"
START = "{{ params.start or dag_run.data_interval_start or '' }}"
END = "{{ params.end or dag_run.data_interval_end or '' }}"

SPOTIFY_WINDOW = Asset(
    uri="spotify://recently-played",
    name="spotify_recently_played",
    watchers=[AssetWatcher(name="spotify_window", trigger=WindowTrigger())],
)
RAW_EVENTS = Asset(uri="postgres://listening-db/listening/public/raw_listening_events", name="raw_listening_events")
ANALYTICS = Asset(uri="postgres://listening-db/listening/analytics/analytics_listening_events", name="analytics_tables")
PERSONAS = Asset(uri="postgres://listening-db/listening/ml/personas", name="personas")
PLAYLISTS = Asset(uri="postgres://listening-db/listening/ml/playlists", name="playlists")
DASHBOARDS = Asset(uri="marimo://dashboards", name="dashboards")


@dag(
    dag_id=DAG_ID,
    dag_display_name="Spotify listening",
    description="Plays in, personas and explainable playlists out",
    doc_md=f"{__doc__}\n## When it fails\n\n{failure_table()}",
    schedule=AssetOrTimeSchedule(
        timetable=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"), assets=[SPOTIFY_WINDOW]
    ),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=3),
        callback=AsyncCallback(deadline_missed),
    ),
    on_failure_callback=run_failed,
    default_args={
        "owner": "listening",
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=2),
    },
    params={
        "mode": Param(
            "incremental",
            enum=["incremental", "replay"],
            title="Mode",
            description="incremental: ask Spotify, import new exports, build what changed. replay: rebuild the days from start to end from raw rows.",
        ),
        "start": Param(
            None, type=["null", "string"], format="date-time", title="Replay from", description="Only for replay."
        ),
        "end": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="Replay until",
            description="Only for replay; exclusive.",
        ),
        "accounts": Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            title="Accounts",
            description="Listeners to ask Spotify for, by user_id. Empty: all.",
        ),
        "publish": Param(
            True,
            type="boolean",
            title="Publish playlists",
            description="Whether playlists may be written to Spotify, for listeners who opted in.",
        ),
    },
    template_searchpath=[str(SQL_FOLDER)],
    tags=["spotify", "listening", "soda", "kmeans"],
)
def spotify_listening():
    def build(task_id: str, step: str, **kwargs) -> BuildStepOperator:
        return BuildStepOperator(
            **about(task_id),
            conn_id=LISTENING_DB,
            step=step,
            sql=f"analytics/{step}.sql",
            parameters={"as_of": AS_OF, "session_gap_minutes": SESSION_GAP_MINUTES},
            **kwargs,
        )

    def model(step: str) -> ModelStepOperator:
        return ModelStepOperator(**about(step), step=step, as_of=AS_OF)

    def scan(layer: str, **kwargs) -> SodaScanOperator:
        return SodaScanOperator(**about(f"scan_{layer}"), scan=layer, as_of=AS_OF, **kwargs)

    def gate(layer: str, on_pass: str) -> BranchPythonOperator:
        return BranchPythonOperator(
            **about(f"{layer}_quality_gate"),
            python_callable=choose_branch,
            op_kwargs={"scan_task_id": f"scan_{layer}", "on_pass": on_pass, "on_fail": f"{layer}_rejected"},
        )

    prepare_schema = PythonOperator(**about("prepare_schema"), python_callable=migrate_listening_db)

    with TaskGroup("ingest", prefix_group_id=False, tooltip="New plays, as received"):
        accounts = ListAccountsOperator(**about("list_accounts"), accounts="{{ params.accounts or [] }}")
        recently_played = IngestRecentlyPlayedOperator.partial(
            **about("ingest_recently_played"),
            mode=MODE,
            start=START,
            end=END,
            as_of=AS_OF,
            map_index_template="{{ task.account['user_id'] }}",
            retry_policy=SpotifyRetryPolicy(),
            max_active_tis_per_dag=4,
            inlets=[SPOTIFY_WINDOW],
            outlets=[RAW_EVENTS],
        ).expand(account=accounts.output)
        streaming_history = ImportStreamingHistoryOperator(
            **about("import_streaming_history"),
            exports_path=EXPORTS,
            mode=MODE,
            start=START,
            end=END,
            as_of=AS_OF,
            outlets=[RAW_EVENTS],
        )
    audio_features = FetchAudioFeaturesOperator(**about("fetch_audio_features"), trigger_rule=TriggerRule.ALL_DONE)
    ingestion_failed = IngestionFailedOperator(
        **about("ingestion_failed"), trigger_rule=TriggerRule.ONE_FAILED, retries=0
    )

    # One failed account does not stop the others; ingestion_failed still fails the run at its end.
    # ALL_DONE_MIN_ONE_SUCCESS would skip everything as soon as one account is skipped (its quota is used up), or there is none.
    scan_raw = scan("raw", trigger_rule=TriggerRule.ALL_DONE, inlets=[RAW_EVENTS])
    raw_gate = gate("raw", on_pass="build_listening_events")

    with TaskGroup("analytics", prefix_group_id=False, tooltip="Plays, sessions, statistics, in SQL"):
        events = build("build_listening_events", "listening_events", inlets=[RAW_EVENTS])
        sessions = build("build_sessions", "sessions")
        statistics = [build(noun, noun) for noun in ("artist_stats", "track_stats", "album_stats", "listening_clock")]
        trends = build("daily_trends", "daily_trends")
        metrics = build("user_metrics", "user_metrics")
        chain(events, sessions, statistics, trends, metrics)
    scan_analytics = scan("analytics")
    analytics_gate = gate("analytics", on_pass="start_models")

    with TaskGroup("models", prefix_group_id=False, tooltip="Features, clusters, personas"):
        start_models = EmptyOperator(**about("start_models"))
        features = [model("build_session_features"), model("build_user_features")]
        clusters = model("cluster_sessions")
        personas = model("label_personas")
        chain(start_models, features, clusters, personas)
    with TaskGroup("playlist_generation", prefix_group_id=False, tooltip="Playlists, with a reason for each track"):
        cooccurrence = model("artist_cooccurrence")
        playlists = model("generate_playlists")
        chain(cooccurrence, playlists)
    scan_ml = scan("ml")
    ml_gate = gate("ml", on_pass="publish_tables")

    publish_tables = SQLExecuteQueryOperator(
        **about("publish_tables"),
        conn_id=LISTENING_DB,
        sql="select * from staging.publish_scanned()",
        retries=10,  # refused while another run has changed staging and not scanned it yet
        retry_delay=timedelta(minutes=1),
        outlets=[ANALYTICS, PERSONAS, PLAYLISTS, DASHBOARDS],
    )
    publish_playlists = PublishPlaylistsOperator(
        **about("publish_playlists"), publish="{{ params.publish }}", as_of=AS_OF, mode=MODE, inlets=[PLAYLISTS]
    )

    listeners_held = ListenersHeldOperator(**about("listeners_held"), retries=0)

    # A branch skips what it does not choose at once. Gates that shared quality_failed directly would skip it for each other.
    rejections = [EmptyOperator(**about(f"{layer}_rejected")) for layer in ("raw", "analytics", "ml")]
    quality_failed = QualityFailedOperator(
        **about("quality_failed"),
        scans=["raw", "analytics", "ml"],
        trigger_rule=TriggerRule.ONE_SUCCESS,
        retries=0,
    )

    ingested = [recently_played, streaming_history]
    chain(prepare_schema, [accounts, streaming_history])
    chain(ingested, audio_features)
    chain(ingested, ingestion_failed)
    chain(ingested, scan_raw, raw_gate, Label("PASS or WARN"), events)
    chain(metrics, scan_analytics, analytics_gate, Label("PASS or WARN"), start_models)
    chain(personas, cooccurrence)
    chain(playlists, scan_ml, ml_gate, Label("PASS or WARN"), publish_tables, [publish_playlists, listeners_held])
    for failing_gate, rejection in zip((raw_gate, analytics_gate, ml_gate), rejections, strict=True):
        chain(failing_gate, Label("FAIL"), rejection, quality_failed)


spotify_listening()
