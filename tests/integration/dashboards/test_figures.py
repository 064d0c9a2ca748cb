"""Every figure on every page against a recount (recount.py) of the plays that the pipeline made of the demo's lives.

docs/metrics.md lists which test holds which figure; test_metrics_doc.py compares that list with the pages.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pandas as pd
import psycopg
import pytest
from markupsafe import Markup

from dashboards import charts, queries
from dashboards.components import blocks, formatting
from dashboards.components.vocabularies import SCORE_PARTS, WORDS
from dashboards.home import home_page
from dashboards.prerender import render
from dashboards.queries import Period, period_of
from include.stack.local import postgres
from ml.personas.personas import RECENT_DAYS
from tests.integration.dashboards.elements import figures, first, notes, of_class, parse, ranking, table, titles, words
from tests.integration.dashboards.recount import KEYS, Recount, bucket_of, effective_number, query
from tests.support.pipeline import BULK, BULK_A_DAY, BULK_DAYS, LISTENERS, NOW, RUNS

IDS = [listener.user_id for listener in LISTENERS]
PERIODS = ["28d", "2026", "all"]
GRANULARITIES = ["day", "week", "month", "quarter", "year"]
_recounts: dict[str, Recount] = {}


@pytest.fixture
def recount_of(reader: psycopg.Connection):
    def recount(user_id: str) -> Recount:
        if user_id not in _recounts:
            _recounts[user_id] = Recount.of(reader, user_id)
        return _recounts[user_id]

    return recount


class Shown:
    """A page as it is shown: its elements, and each chart's data (label → rows) with what its axes show."""

    def __init__(self, page: str, monkeypatch: pytest.MonkeyPatch, **parameters: str) -> None:
        self.charts: dict[str, dict[str, Any]] = {}

        def keep(chart: Any, *, label: str, **_: Any) -> Markup:
            self.charts[label] = chart.to_dict()
            return Markup('<figure role="img" aria-label="{}"></figure>').format(label)

        with monkeypatch.context() as patched:
            patched.setattr(charts, "figure", keep)
            self.page: Element = parse(render(page, parameters, "file"))

    def rows(self, label: str) -> pd.DataFrame:
        """A chart's data as Vega-Lite gets them."""
        chart = self.charts[label]
        return pd.DataFrame(chart["datasets"][chart["data"]["name"]])

    def axis(self, label: str, name: str) -> str:
        encoding = self.charts[label].get("encoding") or self.charts[label]["layer"][0]["encoding"]
        return encoding[name]["field"]

    def tooltips(self, label: str) -> dict[str, str]:
        """Title → field."""
        encoding = self.charts[label].get("encoding") or self.charts[label]["layer"][0]["encoding"]
        return {tooltip["title"]: tooltip["field"] for tooltip in encoding["tooltip"]}


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch):
    return lambda page, **parameters: Shown(page, monkeypatch, **parameters)


def period_for(recount: Recount, user_id: str, key: str) -> Period:
    person = queries.listener(user_id)
    assert person["first_date"] == recount.days[0]
    return period_of(key, recount.days[0], max(person["as_of"], recount.days[-1]))


def day_of(bucket: str) -> dt.date:
    return pd.Timestamp(bucket).date()


def compared(now: float, before: float | None, of_what: str) -> str:
    return words(parse(f"<p>{blocks.change(now, before, of_what)}</p>"))


# Overview -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", PERIODS)
@pytest.mark.parametrize("user_id", IDS)
def test_overview_key_figures(show, recount_of, user_id, key):
    recount, page = recount_of(user_id), show("overview", listener=user_id, period=key).page
    period = period_for(recount, user_id, key)

    def totals(of: Period) -> dict[str, float]:
        plays = recount.between(of)
        return {
            "Listening time": plays["ms_played"].sum(),
            "Plays": len(plays),
            "Artists": plays["artist_name"].nunique(),
            "Tracks": plays["track_id"].nunique(),
            "New artists": recount.discovered("artist", of),
        }

    now, plays = totals(period), recount.between(period)
    before = totals(period.previous) if period.previous else {}
    of_what = period.previous.label if period.previous else ""
    today = queries.listener(user_id)["as_of"]
    streak = recount.streaks.get(today) or recount.streaks.get(today - dt.timedelta(days=1)) or 0
    assert figures(page) == {
        "Listening time": formatting.duration(now["Listening time"]),
        **{label: f"{now[label]:,}" for label in ("Plays", "Artists", "Tracks", "New artists")},
        "Days with music": f"{plays['local_date'].nunique():,}",
        "Streak": f"{streak} days",
    }
    long_plays = (plays["ms_played"] >= 30_000).sum()
    shown = notes(page)
    assert shown.pop("Plays") == compared(now["Plays"], before.get("Plays"), of_what) + formatting.of_30s(long_plays)
    assert shown == {
        **{
            label: compared(now[label], before.get(label), of_what)
            for label in ("Listening time", "Artists", "Tracks", "New artists")
        },
        "Days with music": f"of {period.days:,}",
        "Streak": f"longest {max(recount.streaks.values())} days",
    }


@pytest.mark.parametrize("measure", ["plays", "ms_played"])
@pytest.mark.parametrize("key", ["90d", "2026", "all"])
@pytest.mark.parametrize("user_id", ["ada", "carl"])
def test_overview_rankings(show, recount_of, user_id, key, measure):
    recount, page = recount_of(user_id), show("overview", listener=user_id, period=key, rank=measure).page
    period = period_for(recount, user_id, key)
    for kind, label in (("track", "Tracks"), ("artist", "Artists"), ("album", "Albums")):
        now = recount.ranked(kind, recount.between(period), measure).head(10)
        before = recount.ranked(kind, recount.before(period), measure).set_index(KEYS[kind])["rank"]
        expected = []
        for row in now.to_dict("records"):
            key_of = tuple(row[name] for name in KEYS[kind])
            was = before.get(key_of if len(key_of) > 1 else key_of[0])
            moved = 0 if was is None else was - row["rank"]
            name = {
                "artist": lambda row=row: row["artist_name"],
                "album": lambda row=row: row["album_name"] + row["artist_name"],
                "track": lambda row=row: recount.track_name(row["track_id"]) + recount.track_artist(row["track_id"]),
            }[kind]()
            expected.append(
                (
                    name,
                    f"{row['plays']:,} plays" if measure == "plays" else formatting.duration(row["ms_played"]),
                    "new"
                    if was is None
                    else "= same rank"
                    if not moved
                    else f"▲up {moved}"
                    if moved > 0
                    else f"▼down {-moved}",
                )
            )
        assert ranking(page, label) == expected


@pytest.mark.parametrize("key", PERIODS)
@pytest.mark.parametrize("user_id", IDS)
def test_overview_when(show, recount_of, user_id, key):
    recount, page = recount_of(user_id), show("overview", listener=user_id, period=key).page
    period = period_for(recount, user_id, key)
    plays = recount.between(period)
    shown = titles(page)

    by_day = recount.plays.groupby("local_date").agg(plays=("event_id", "size"), ms=("ms_played", "sum"))
    end = min(queries.listener(user_id)["as_of"], period.end)
    first_day = end - dt.timedelta(days=end.weekday() + 7 * 52)
    for offset in range((end - first_day).days + 1):
        day = first_day + dt.timedelta(days=offset)
        heard = by_day.loc[day] if day in by_day.index else None
        told = "no plays" if heard is None else f"{heard.plays:,} plays, {formatting.duration(heard.ms)}"
        assert f"{day:%a %-d %b %Y}: {told}" in shown

    hours = plays["local_started_at"].dt.hour
    weekdays = plays["local_date"].map(lambda day: day.weekday())
    for weekday, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
        for hour in range(24):
            heard = plays[(weekdays == weekday) & (hours == hour)]
            told = (
                "no plays" if heard.empty else f"{formatting.duration(heard['ms_played'].sum())}, {len(heard):,} plays"
            )
            assert f"{name} {hour:02d}:00–{hour:02d}:59: {told}" in shown
    for hour in range(24):
        for name, chosen in (("Monday to Friday", weekdays < 5), ("Weekend", weekdays >= 5)):
            ms = plays[chosen & (hours == hour)]["ms_played"].sum()
            assert f"{hour:02d}:00–{hour:02d}:59, {name}: {formatting.duration(ms)}" in shown
    if len(plays):
        busiest = plays.groupby(hours)["ms_played"].sum().idxmax()
        assert f"{busiest:02d}:00" in words(page)


@pytest.mark.parametrize("user_id", IDS)
def test_overview_records_and_milestones(show, recount_of, user_id):
    recount, page = recount_of(user_id), show("overview", listener=user_id, period="28d").page
    rows = {row[0]: row[1:] for row in table(page, "All-time records")}
    by_day = recount.plays.groupby("local_date").agg(plays=("event_id", "size"), ms=("ms_played", "sum"))

    def best(values: pd.Series) -> tuple[int, dt.date]:
        return values.max(), values[values == values.max()].index[0]

    plays, day = best(by_day["plays"])
    assert rows["Busiest day"] == [f"{plays:,} plays", "", formatting.day(day)]
    ms, day = best(by_day["ms"])
    assert rows["Most listening in a day"] == [formatting.duration(ms), "", formatting.day(day)]
    longest = recount.sessions.sort_values(["length_ms", "started_at"], ascending=[False, True]).iloc[0]
    assert rows["Longest session"] == [
        formatting.duration(longest["length_ms"]),
        f"{longest['plays']} plays",
        formatting.day(longest["local_date"]),
    ]
    days, day = best(pd.Series(recount.streaks))
    assert rows["Longest streak"] == [f"{days} days", "", formatting.day(day)]
    repeats = recount.plays.groupby(["local_date", "track_id"]).size()
    amount, what, on = rows["Most on repeat"]
    assert amount == f"{repeats.max()} plays"
    assert (what, on) in {
        (f"{recount.track_name(track)} · {recount.track_artist(track)}", formatting.day(day))
        for (day, track), plays in repeats.items()
        if plays == repeats.max()
    }
    # The first four weeks discover everything.
    later = [day for day in recount.days if day > recount.days[0] + dt.timedelta(days=28)]
    if later:
        new = recount.first_days("artist").value_counts().reindex(later, fill_value=0)
        count, day = best(new)
        assert rows["Most new artists in a day"] == [f"{count} artists", "", formatting.day(day)]

    steps = [int(base * 10**power) for power in range(1, 7) for base in (1, 2.5, 5)]
    reached = sorted((step for step in steps if step <= len(recount.plays)), reverse=True)
    assert (table(page, "Milestones reached") if reached else []) == [
        [f"{step:,} plays", formatting.day(recount.reached(step))] for step in reached[:6]
    ]
    total, today = len(recount.plays), queries.listener(user_id)["as_of"]
    following = min(step for step in steps if step > total)
    recent = sum(today - dt.timedelta(days=28) < day <= today for day in recount.plays["local_date"])
    when = today + dt.timedelta(days=math.ceil((following - total) / (recent / 28)))
    assert f"Next: {following:,} plays, about {formatting.day(when)} at the pace" in words(page)


# Trends ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("key", PERIODS)
@pytest.mark.parametrize("user_id", IDS)
def test_trends_buckets(show, recount_of, user_id, key, granularity):
    recount, shown = recount_of(user_id), show("trends", listener=user_id, period=key, by=granularity)
    period = period_for(recount, user_id, key)
    plays = recount.between(period)
    buckets = plays["local_date"].map(lambda day: bucket_of(day, granularity))
    by_bucket = dict(list(plays.groupby(buckets)))

    time = f"Hours of listening per {granularity}"
    bars = shown.rows(time).set_index(shown.rows(time)["bucket"].map(day_of))
    assert list(bars.index) == sorted(by_bucket)
    tooltips = shown.tooltips(time)
    for bucket, heard in by_bucket.items():
        row = bars.loc[bucket]
        assert row[shown.axis(time, "y")] == pytest.approx(heard["ms_played"].sum() / 3_600_000)
        assert row[tooltips["Plays"]] == len(heard)
        assert row[tooltips["of 30 s or more"]] == (heard["ms_played"] >= 30_000).sum()
        assert row[tooltips["Days with music"]] == heard["local_date"].nunique()

    discovery = shown.rows(f"New artists and new tracks per {granularity}")
    for what, kind in (("New artists", "artist"), ("New tracks", "track")):
        days = [day for day in recount.first_days(kind) if period.start <= day <= period.end]
        new = Counter(bucket_of(day, granularity) for day in days)
        found = discovery[discovery["what"] == what]
        assert dict(zip(found["bucket"].map(day_of), found["number"], strict=True)) == {
            bucket: new[bucket] for bucket in by_bucket
        }

    for label, expected in (
        (
            f"Effective number of artists of each {granularity}",
            {bucket: effective_number(heard["artist_name"].value_counts()) for bucket, heard in by_bucket.items()},
        ),
        (
            "Share of plays that were skipped",
            {bucket: heard["skipped"].dropna().astype(float).mean() for bucket, heard in by_bucket.items()},
        ),
    ):
        rows, value = shown.rows(label), shown.axis(label, "y")
        found = dict(zip(rows["bucket"].map(day_of), rows[value].astype(float), strict=True))
        assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("key", PERIODS)
@pytest.mark.parametrize("user_id", IDS)
def test_trends_artists(show, recount_of, user_id, key):
    recount, shown = recount_of(user_id), show("trends", listener=user_id, period=key, by="month")
    period = period_for(recount, user_id, key)
    plays = recount.between(period)
    top = list(recount.ranked("artist", plays, "plays").head(10)["artist_name"])
    months = plays["local_date"].map(lambda day: bucket_of(day, "month"))
    streams = shown.rows("Plays per month of the most played artists")
    assert shown.axis("Plays per month of the most played artists", "opacity") == "plays"
    found = {(day_of(row.bucket), row.artist_name): row.plays for row in streams.itertuples()}
    of_top = plays["artist_name"].isin(top)
    assert found == plays[of_top].groupby([months[of_top], "artist_name"]).size().to_dict()

    if period.previous is None:
        return
    now, before = (recount.between(each)["artist_name"].value_counts() for each in (period, period.previous))
    change = now.sub(before, fill_value=0)
    order = sorted(change.index, key=lambda artist: (-change[artist], artist))
    # Among equals the page goes by name, so the last of those that fell are counted from the other end.
    fallen = sorted(change.index, key=lambda artist: (change[artist], artist))[:5]
    chosen = [artist for artist in order[:5] if change[artist] > 0] + [a for a in fallen if change[a] < 0]
    assert table(shown.page, f"Compared with {period.previous.label}") == [
        [artist, f"{now.get(artist, 0):,}", f"{before.get(artist, 0):,}", f"{change[artist]:+,.0f}".replace("-", "−")]
        for artist in sorted(chosen, key=lambda artist: (-change[artist], artist))
    ]


@pytest.mark.parametrize("key", PERIODS)
@pytest.mark.parametrize("user_id", IDS)
def test_trends_sessions(show, recount_of, user_id, key):
    recount, shown = recount_of(user_id), show("trends", listener=user_id, period=key)
    sessions = recount.sessions_between(period_for(recount, user_id, key))
    found = figures(shown.page)
    assert {label: found[label] for label in ("Sessions", "Median length", "Longest", "Plays a session")} == {
        "Sessions": f"{len(sessions):,}",
        "Median length": formatting.duration(round(sessions["length_ms"].median())),
        "Longest": formatting.duration(sessions["length_ms"].max()),
        "Plays a session": f"{sessions['plays'].mean():.1f}",
    }
    classes = pd.cut(
        sessions["length_ms"] / 60_000, [-1, 15, 45, 120, 1e9], labels=queries.SESSION_LENGTHS, right=False
    )
    hours = sessions["local_started_at"].dt.hour
    expected = sessions.groupby([hours, classes.astype(str)])["length_ms"].agg(["size", "mean"])
    rows = shown.rows("Sessions by start hour and length")
    assert {(row.hour, row.length): row.sessions for row in rows.itertuples()} == expected["size"].to_dict()
    assert {(row.hour, row.length): row.minutes for row in rows.itertuples()} == pytest.approx(
        (expected["mean"] / 60_000).to_dict()
    )


@pytest.mark.parametrize("user_id", IDS)
def test_trends_years(show, recount_of, user_id):
    recount, page = recount_of(user_id), show("trends", listener=user_id, period="28d").page
    shown = [each for each in page.iter("details") if "year" in each.get("class", "")]
    years = sorted({day.year for day in recount.days}, reverse=True)
    for number, element in zip(years, shown, strict=True):
        plays = recount.plays[[day.year == number for day in recount.plays["local_date"]]]
        by_day = plays.groupby("local_date").size()
        by_month = plays.groupby(plays["local_date"].map(lambda day: day.month))["ms_played"].sum()
        in_year = {
            day: min(length, day.timetuple().tm_yday) for day, length in recount.streaks.items() if day.year == number
        }
        busiest = by_day[by_day == by_day.max()].index[0]
        assert words(element.find("summary")) == (
            f"{number}{formatting.duration(plays['ms_played'].sum())}, {len(plays):,} plays on {len(by_day)} days"
        )
        assert figures(element) == {
            "Listening": formatting.duration(plays["ms_played"].sum()),
            "Plays": f"{len(plays):,}",
            "New artists": f"{sum(day.year == number for day in recount.first_days('artist')):,}",
            "Longest streak": f"{max(in_year.values())} days",
            "Busiest day": f"{busiest:%-d %b}",
            "Busiest month": f"{dt.date(number, by_month.idxmax(), 1):%B}",
        }
        assert notes(element)["Plays"] == formatting.of_30s((plays["ms_played"] >= 30_000).sum())
        assert notes(element)["Busiest day"] == f"{by_day.max():,} plays"
        for kind in ("artist", "track", "album"):
            top = recount.ranked(kind, plays, "plays").head(3)
            assert [amount for _, amount, _ in ranking(element, f"Top {kind}s of {number}")] == [
                f"{amount:,}" for amount in top["plays"]
            ]


def test_milestones_of_a_million_plays(pipeline_socket, bulk_database, monkeypatch):
    """The plays lie on as many a day, so the day of any number of them follows from arithmetic."""
    dsn = postgres.conninfo(pipeline_socket, bulk_database, "listening_reader")
    monkeypatch.setenv("LISTENING_READER_DSN", dsn)
    begin = (RUNS[0] - BULK_DAYS * dt.timedelta(days=1)).date()
    found = queries.milestones(BULK)
    assert found["plays"].max() == 1_000_000
    assert len(found) == 16
    for row in found.itertuples():
        assert row.local_date == begin + dt.timedelta(days=(row.plays - 1) // BULK_A_DAY)
    page = parse(render("overview", {"listener": BULK, "period": "all"}, "file"))
    assert table(page, "Milestones reached")[0] == [
        "1,000,000 plays",
        formatting.day(begin + dt.timedelta(days=999_999 // BULK_A_DAY)),
    ]
    assert figures(page)["Plays"] == f"{BULK_DAYS * BULK_A_DAY:,}"
    cut_off = len(range(0, BULK_DAYS * BULK_A_DAY, 9))
    assert formatting.of_30s(BULK_DAYS * BULK_A_DAY - cut_off) in notes(page)["Plays"]
    by_week = queries.trend(BULK, period_of("all", begin, RUNS[0].date()), "week")
    with psycopg.connect(dsn) as connection:
        plays = query(
            connection, "select local_date, artist_name from analytics.listening_events where user_id = %s", BULK
        )
    weeks = plays["artist_name"].groupby(plays["local_date"].map(lambda day: bucket_of(day, "week")))
    assert list(by_week["effective_artists"]) == pytest.approx(
        [effective_number(names.value_counts()) for _, names in weeks]
    )


# Personas -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clustered(reader, recount_of):
    """The recount's sessions with the persona that the model gave each, and its features."""

    def sessions_of(user_id: str) -> pd.DataFrame:
        clusters = query(
            reader, "select session_id, persona_id, distance from ml.session_clusters where user_id = %s", user_id
        )
        sessions = recount_of(user_id).sessions.merge(clusters, on="session_id", how="left")
        assert sessions["persona_id"].notna().all()
        return sessions

    return sessions_of


@pytest.mark.parametrize("user_id", IDS)
def test_personas_cards(show, reader, recount_of, clustered, user_id):
    recount, sessions, page = recount_of(user_id), clustered(user_id), show("personas", listener=user_id).page
    today = sessions["local_date"].max()
    recent = sessions[[day > today - dt.timedelta(days=RECENT_DAYS) for day in sessions["local_date"]]]
    labels = query(reader, "select persona_id, label from ml.personas where user_id = %s and is_active", user_id)
    cards = {words(card.find(".//h3")): card for card in of_class(page, "persona")}
    assert cards.keys() == set(labels["label"])
    plays = recount.plays.sort_values(["played_at", "event_id"])
    features = pd.DataFrame(
        {
            "minutes": sessions["ms_played"].to_numpy() / 60_000,
            "unique_artists": sessions["artists"].to_numpy(),
            "weekend": [day.weekday() >= 5 for day in sessions["local_started_at"]],
            "night": sessions["local_started_at"].dt.hour.isin([22, 23, 0, 1, 2, 3, 4]).to_numpy(),
            "morning": sessions["local_started_at"].dt.hour.isin(range(5, 10)).to_numpy(),
            "midday": sessions["local_started_at"].dt.hour.isin(range(10, 14)).to_numpy(),
            "afternoon": sessions["local_started_at"].dt.hour.isin(range(14, 18)).to_numpy(),
            "evening": sessions["local_started_at"].dt.hour.isin(range(18, 22)).to_numpy(),
            "repeat": [1 - tracks.nunique() / len(tracks) for _, tracks in plays.groupby("session")["track_id"]],
        }
    )
    for persona_id, label in labels.itertuples(index=False):
        own = sessions["persona_id"] == persona_id
        share = sessions[own]["ms_played"].sum() / sessions["ms_played"].sum()
        lately = recent[recent["persona_id"] == persona_id]["ms_played"].sum() / max(recent["ms_played"].sum(), 1)
        told = [words(each) for each in first(cards[label], "share").iter("b")]
        assert told[0] == formatting.percent(round(share, 4))
        assert told[1] == formatting.percent(round(lately, 4))
        assert told[2] == f"{own.sum():,}"
        change = round(lately, 4) - round(share, 4)
        trend = (
            "about the same as overall"
            if abs(change) < 0.02
            else f"{abs(change) * 100:.0f} points {'more' if change > 0 else 'less'} than overall"
        )
        assert trend in words(first(cards[label], "share"))
        measures = {row[0]: row[1:] for row in table(cards[label], "Compared with your other sessions")}
        for name, values in features.items():
            counted = name in ("minutes", "unique_artists")
            expected = [
                f"{sorted(chosen)[(len(chosen) - 1) // 2]:,.0f}"
                if counted
                else formatting.percent(round(chosen.mean(), 4))
                for chosen in (values[own.to_numpy()], values if own.all() else values[~own.to_numpy()])
            ]
            assert measures[name.replace("_", " ")] == expected, name


@pytest.mark.parametrize("user_id", IDS)
def test_personas_model_note(show, reader, clustered, user_id):
    page, sessions = show("personas", listener=user_id).page, clustered(user_id)
    model = query(
        reader,
        "select k, silhouette, training_sessions, trained_from, trained_to, as_of from ml.clustering_models"
        " where user_id = %s and is_current",
        user_id,
    ).iloc[0]
    assert model["k"] == sessions["persona_id"].nunique()
    assert model["training_sessions"] == sum(
        model["trained_from"] <= day <= model["trained_to"] for day in sessions["local_date"]
    )
    assert (
        f"{model['k']} groups found in {model['training_sessions']:,} sessions from "
        f"{formatting.day(model['trained_from'])} to {formatting.day(model['trained_to'])}"
    ) in words(page)


@pytest.mark.parametrize("key", ["28d", "2026", "all"])
@pytest.mark.parametrize("user_id", IDS)
def test_personas_time_hours_and_sessions(show, reader, recount_of, clustered, user_id, key):
    recount, shown = recount_of(user_id), show("personas", listener=user_id, period=key)
    period = period_for(recount, user_id, key)
    sessions = clustered(user_id)
    sessions = sessions[(sessions["local_date"] >= period.start) & (sessions["local_date"] <= period.end)]
    names = dict(query(reader, "select persona_id, label from ml.personas where user_id = %s", user_id).to_numpy())
    persona = sessions["persona_id"].map(names)
    granularity = "week" if period.days <= 200 else "month"
    buckets = sessions["local_date"].map(lambda day: bucket_of(day, granularity))
    hours = sessions.groupby([buckets, persona])["ms_played"].sum() / 3_600_000
    rows = shown.rows("Share of listening time of each persona over time")
    found = rows.set_index([rows["bucket"].map(day_of), rows["persona"]])
    assert found["hours"].to_dict() == pytest.approx(hours.to_dict())
    shares = hours / hours.groupby(level=0).transform("sum")
    assert (found["high"] - found["low"]).to_dict() == pytest.approx(shares.to_dict())

    rows = shown.rows("Sessions of each persona by local start hour")
    kept = {(row.persona, row.hour): row.sessions for row in rows.itertuples() if row.sessions}
    assert kept == sessions.groupby([persona, sessions["local_started_at"].dt.hour]).size().to_dict()

    if len(sessions) > 2:
        points = shown.rows("Each dot is a session; similar sessions are close together")
        newest = sessions.sort_values(["local_date", "session_id"], ascending=False).head(1200)
        expected = Counter(
            zip(newest["persona_id"].map(names), newest["plays"], newest["artists"], newest["local_date"], strict=True)
        )
        assert expected == Counter(
            (row.persona, row.plays, row.unique_artists, day_of(row.local_date)) for row in points.itertuples()
        )
        assert sorted(points["minutes"]) == pytest.approx(sorted(newest["ms_played"] / 60_000), abs=1e-6)
        assert Counter(points["starts"]) == Counter(f"{start:%H:%M}" for start in newest["local_started_at"])

    typical = of_class(shown.page, "typical")
    per_persona = 1 if len(names) > 3 else 2
    nearest = sessions.sort_values(["persona_id", "distance", "session_id"], ascending=[True, True, False])
    nearest = nearest.groupby("persona_id").head(per_persona)
    assert [words(first(each, "small")) for each in typical] == [
        f"{row.local_started_at:%A %-d %B %Y, %H:%M}: {formatting.duration(row.length_ms)}, {row.plays:,} plays, "
        f"{row.artists:,} artists"
        for row in nearest.itertuples()
    ]


# Playlists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user_id", IDS)
def test_playlists(show, reader, recount_of, user_id):
    recount = recount_of(user_id)
    lists = query(
        reader,
        "select playlist_id, persona_id, as_of from ml.playlists where user_id = %s order by as_of desc, persona_id",
        user_id,
    )
    tracks = query(
        reader,
        "select p.*, t.duration_ms from ml.playlist_tracks p left join tracks t using (track_id) where user_id = %s"
        " order by playlist_id, position",
        user_id,
    )
    mean_ms = recount.plays.groupby("track_id")["ms_played"].mean()
    page = show("playlists", listener=user_id).page
    # In a file: the newest playlist of every persona.
    newest = lists.drop_duplicates("persona_id")
    parts = of_class(page, "playlist-head")
    assert len(parts) == len(newest)
    rows, changes = of_class(page, "track"), [words(each) for each in page.iter("h3")]
    shown_tracks, place = iter(rows), iter(changes)
    for head, (playlist_id, persona_id, as_of) in zip(parts, newest.itertuples(index=False), strict=True):
        own = tracks[tracks["playlist_id"] == playlist_id]
        if as_of == max(recount.days) or as_of == queries.listener(user_id)["as_of"]:
            # A track of unknown length counts with its plays' mean.
            length = sum(
                int(row.duration_ms if row.duration_ms == row.duration_ms else mean_ms[row.track_id])
                for row in own.itertuples()
            )
            assert f"{len(own)} tracks, {formatting.duration(length)}, made {formatting.day(as_of)}" in words(head)
        most = max(sum(abs(getattr(row, part)) for part in SCORE_PARTS) for row in own.itertuples())
        for row in own.itertuples():
            track = next(shown_tracks)
            assert words(first(track, "rank")) == str(row.position)
            score = sum(getattr(row, part) for part in SCORE_PARTS)
            assert words(first(track, "score")) == f"score {score:.2f}"
            widths = [float(part.get("style").split("width:")[1].split("%")[0]) for part in first(track, "parts")]
            assert widths == pytest.approx([abs(getattr(row, part)) / most * 100 for part in SCORE_PARTS], abs=0.01)
            assert [part.get("class") == "minus" for part in first(track, "parts")] == [
                getattr(row, part) < 0 for part in SCORE_PARTS
            ]
            assert words(track.findall("span")[-1]) == formatting.track_length(row.duration_ms)
            assert row.reason in words(first(track, "reason"))
        earlier = lists[(lists["persona_id"] == persona_id) & (lists["as_of"] < as_of)].head(1)
        if len(own) and len(earlier):
            before = set(tracks[tracks["playlist_id"] == earlier.iloc[0]["playlist_id"]]["track_id"])
            now = set(own["track_id"])
            assert [next(place) for _ in range(3)] == [
                f"{len(now - before)} added", f"{len(before - now)} removed", f"{len(now & before)} kept",
            ]  # fmt: skip


# Quality --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def owner(pipeline_socket, demo_database):
    """Who may read raw rows."""
    with psycopg.connect(postgres.conninfo(pipeline_socket, demo_database, "listening_owner")) as connection:
        yield connection


@pytest.mark.parametrize("user_id", IDS)
def test_quality_key_figures(show, reader, recount_of, user_id):
    recount, page = recount_of(user_id), show("quality", listener=user_id).page
    person = queries.listener(user_id)
    last = recount.plays["played_at"].max()
    features = set(
        query(reader, "select track_id from audio_features where status = 'found' and energy is not null")["track_id"]
    )
    covered = recount.plays.assign(known=recount.plays["track_id"].isin(features)).groupby("session")["known"].mean()
    authorized = {"ada": 40, "bea": 160, "carl": 90, "dora": 10}[user_id]
    at = (NOW - dt.timedelta(days=authorized)).date()
    assert figures(page) == {
        "Data up to": formatting.day(person["as_of"]),
        "Last play known": formatting.moment(last, person["time_zone"]).split(",")[0],
        "Authorization age": f"{(person['as_of'] - at).days} days",
        "Plays with audio features": formatting.percent(covered.mean()),
    }
    ends = f"expires about {formatting.day(at + dt.timedelta(days=182))}"
    assert notes(page)["Authorization age"] == (f"{ends}: authorize again" if authorized >= 150 else ends)
    assert notes(page)["Last play known"] == formatting.moment(last, person["time_zone"])


def rows_of(path: Path) -> int:
    """Rows that the export's readable JSON files hold."""
    with zipfile.ZipFile(path) as archive:
        total = 0
        for name in archive.namelist():
            try:
                read = json.loads(archive.read(name))
            except ValueError:
                continue
            total += len(read) if isinstance(read, list) else 0
        return total


def test_quality_files(show, owner, pipeline_folder):
    """As many rows as the files hold; loaded are those that raw has, and all rows are accounted for."""
    loaded: dict[str, int] = {}
    for user_id in IDS:
        page = show("quality", listener=user_id).page
        files = {path.name: path for path in (pipeline_folder / "exports" / user_id).glob("*.zip")}
        if not files:
            continue
        rows = {row[0]: row[1:] for row in table(page, "Rows of each export file")}
        assert rows.keys() == files.keys()
        for name, (state, *counts) in rows.items():
            read, new, known, skipped = (int(count.replace(",", "")) for count in counts)
            assert read == new + known + skipped
            status = {"interrupted.zip": "rejected", "half.zip": "partial", "photos.zip": "ignored"}.get(name, "loaded")
            label, mark, tone = WORDS["ingested_files", "status"][status]
            assert state.startswith(f"{mark} {label}")
            tags = [each for each in of_class(page, "tag") if words(each) == f"{mark} {label}"]
            assert {each.get("class") for each in tags} == {f"tag {tone}"}
            if name == "half.zip":
                assert (read, new, known, skipped) == (64, 56, 0, 8)
            elif status == "loaded" and "account" not in name:
                assert read == rows_of(files[name])
            loaded[user_id] = loaded.get(user_id, 0) + new
    raw = query(owner, "select user_id, count(*) as rows from raw_listening_events where source <> 'api' group by 1")
    assert loaded == dict(raw.to_numpy())


def rows_of_nothing(folder: Path) -> int:
    """Rows of a listener's extended export that name nothing."""
    with zipfile.ZipFile(folder / "my_spotify_data.zip") as archive:
        rows = [row for name in archive.namelist() if name.endswith(".json") for row in json.loads(archive.read(name))]
    names = (
        "master_metadata_track_name",
        "spotify_track_uri",
        "episode_name",
        "spotify_episode_uri",
        "audiobook_title",
    )
    return sum(not any(row.get(name) for name in names) for row in rows if "ts" in row)


def test_quality_left_out(show, owner, recount_of, pipeline_folder):
    """Every raw row is a play or is left out with a reason; rows that were no rows are counted by the importer."""
    for user_id in IDS:
        page = show("quality", listener=user_id).page
        left_out = table(page, "Rows that are not counted as plays") if user_id != "dora" else []
        rows = {label: int(count.replace(",", "")) for label, count in left_out}
        at_import = {label: count for label, count in rows.items() if label.startswith("import: ")}
        exports = pipeline_folder / "exports" / user_id
        of_nothing = rows_of_nothing(exports) if user_id in ("ada", "bea") else 0
        odd = 8 if user_id == "bea" else 0  # of tests/support/pipeline.py: one of each kind
        assert at_import.pop("import: nothing played", 0) == of_nothing + min(odd, 1)
        assert list(at_import.values()) == [1] * max(odd - 1, 0)
        at_import["import: nothing played"] = of_nothing + min(odd, 1)
        (raw,) = owner.execute("select count(*) from raw_listening_events where user_id = %s", [user_id]).fetchone()
        assert sum(rows.values()) - sum(at_import.values()) == raw - len(recount_of(user_id).plays)
        episodes, zero = owner.execute(
            "select count(*) filter (where item_type = 'episode' and source = 'extended_history'),"
            " count(*) filter (where payload ->> 'ms_played' = '0' and item_type in ('track', 'local'))"
            " from raw_listening_events where user_id = %s",
            [user_id],
        ).fetchone()
        assert rows.get("extended history: podcast episode", 0) == episodes
        assert rows.get("extended history: played for 0 ms", 0) == zero


def test_quality_accounts_gaps_and_calls(show, owner, recount_of):
    page = show("quality", listener="ada").page
    for row, listener in zip(
        [row for row in table(page, "All accounts") if not row[0].startswith("Eve")], LISTENERS, strict=True
    ):
        name, pipelines, authorized, gaps, plays = row
        recount = recount_of(listener.user_id)
        assert name == listener.display_name
        long_plays = (recount.plays["ms_played"] >= 30_000).sum()
        assert plays == f"{len(recount.plays):,}{formatting.of_30s(long_plays)}"
        assert ("✕ not authorized" in pipelines) == (listener.user_id == "carl")
        (authorized_at,) = owner.execute(
            "select authorized_at from listeners where user_id = %s", [listener.user_id]
        ).fetchone()
        assert authorized == formatting.day(authorized_at.date())
        own = query(owner, "select * from ingestion_gaps where user_id = %s order by gap_start desc", listener.user_id)
        still_open = own["closed_at"].isna().sum()
        assert gaps == (f"{still_open} open" if still_open else f"{len(own)} closed" if len(own) else "none")

        shown = show("quality", listener=listener.user_id, period="365d")
        if len(own):
            zone = queries.listener(listener.user_id)["time_zone"]
            assert [row[:2] for row in table(shown.page, "Plays lost to Spotify's window of 50")] == [
                [formatting.moment(gap.gap_start, zone), formatting.moment(gap.gap_end, zone)]
                for gap in own.itertuples()
            ]
        calls = shown.rows("Calls to Spotify a day by endpoint")
        counted = query(owner, "select * from spotify_api_calls where user_id = %s", listener.user_id)
        counted = counted[counted["called_on"] <= queries.listener(listener.user_id)["as_of"]]
        assert {(day_of(row.called_on), row.endpoint): row.calls for row in calls.itertuples()} == {
            (row.called_on, row.endpoint): row.calls for row in counted.itertuples()
        }
        # Three looks a day and more: what the pipeline asked for.
        looks = counted[counted["endpoint"].str.contains("recently")]["calls"].sum()
        assert looks >= (3 if listener.user_id == "ada" else len(RUNS) * 6)


def test_quality_checks(show, owner):
    page = show("quality", listener="ada").page
    results = query(owner, "select * from qa_validation_results")
    newest = results[results["run_id"] == results.loc[results["checked_at"].idxmax(), "run_id"]]
    noticed = newest[newest["outcome"] != "PASS"]
    rows = table(page, "Failed checks first")
    outcomes = WORDS["qa_validation_results", "outcome"]
    label = {outcome: f"{word.mark} {word.label}" for outcome, word in outcomes.items()}
    assert sorted(rows) == sorted(
        [label[row.outcome], f"{row.check_name}{row.table_name}", f"{row.measured_value:,.4g}", row.message]
        for row in noticed.itertuples()
    )
    assert f"{(newest['outcome'] == 'PASS').sum()} passed" in [words(each) for each in page.iter("summary")]
    lines = of_class(page, "check")
    assert len(lines) == len(results.groupby(["table_name", "check_name"]))
    marks = of_class(page, "mark")
    shapes = Counter(words(mark) for mark in marks)
    expected = Counter(outcomes[outcome].mark for outcome in results["outcome"])
    assert shapes == expected


# Home -----------------------------------------------------------------------------------------------------------------


def test_home(recount_of):
    page = parse(home_page().split("<body>")[1].split("</body>")[0])
    cards = {words(card.find(".//h2")): card for card in of_class(page, "listener")}
    for listener in LISTENERS:
        recount, today = recount_of(listener.user_id), queries.listener(listener.user_id)["as_of"]
        recent = [today - dt.timedelta(days=28) < day <= today for day in recount.plays["local_date"]]
        facts = words(cards[listener.display_name].find(".//p"))
        assert facts == (
            f"{formatting.duration(recount.plays[recent]['ms_played'].sum())} in the last 28 days, "
            f"{len(recount.plays):,} plays, "
            f"{formatting.of_30s((recount.plays['ms_played'] >= 30_000).sum())}, "
            f"since {formatting.day(recount.days[0])}"
        )


def test_metrics_of_28_days(reader, recount_of):
    """Not on a page, but in the table that others read."""
    for user_id in IDS:
        recount = recount_of(user_id)
        today, diversity = reader.execute(
            "select as_of, effective_artists_28d from analytics.analytics_user_metrics where user_id = %s", [user_id]
        ).fetchone()
        recent = recount.plays[[today - dt.timedelta(days=28) < day <= today for day in recount.plays["local_date"]]]
        assert diversity == pytest.approx(effective_number(recent["artist_name"].value_counts()))
