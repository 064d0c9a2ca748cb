"""Numbers as words, text that stays text, charts."""

import datetime as dt
import re
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import charts
from dashboards.charts import svg_charts
from dashboards.components import blocks, formatting


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 s"),
        (48_400, "48 s"),
        (59_999, "60 s"),
        (60_000, "1 min"),
        (3_599_999, "1 h 00 min"),
        (11_520_000, "3 h 12 min"),
        (86_400_000, "24 h"),
        (360_000_000, "100 h"),
        (None, "–"),
    ],
)
def test_duration(ms, words):
    assert formatting.duration(ms) == words


@given(st.text())
def test_text_never_opens_a_tag_or_ends_an_attribute(words):
    def marks(text: str) -> Counter[str]:
        return Counter(re.findall("[<>\"']", blocks.table([text], [(text,)], caption=text)))

    assert marks(words) == marks("")


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [(112, 100, "up"), (88, 100, "down"), (100, 100, "same as"), (5, 0, "none in"), (5, None, "")],
)
def test_change_says_direction_in_words(now, before, words):
    assert words in blocks.change(now, before, "last year")


def test_moment_is_local_time():
    assert formatting.moment(dt.datetime(2026, 6, 30, 22, 30, tzinfo=dt.UTC), "Europe/Berlin") == "1 Jul 2026, 00:30"


def test_calendar_has_a_mark_for_every_day_up_to_the_last():
    end = dt.date(2026, 6, 30)
    days = pd.DataFrame({"local_date": [end, dt.date(2026, 6, 1)], "plays": [3, 0], "ms_played": [600_000, 0]})
    svg = svg_charts.calendar(days, end, weeks=4)
    assert svg.count("<rect") == 3 * 7 + end.weekday() + 1
    assert "Tue 30 Jun 2026: 3 plays, 10 min" in svg
    assert "Mon 1 Jun 2026" not in svg.replace("Mon 1 Jun 2026: silence", "") or "no plays" in svg


def test_cover_depends_on_the_name_alone():
    first = svg_charts.cover("one", "var(--tone-p0)", label="x")
    assert (
        first
        == svg_charts.cover("one", "var(--tone-p0)", label="x")
        != svg_charts.cover("two", "var(--tone-p0)", label="x")
    )


def test_session_map_leaves_out_constant_and_missing_features():
    points = pd.DataFrame(
        {
            "persona_id": [0, 0, 1, 1],
            "distance": 0.1,
            "minutes": [5.0, 6.0, 50.0, 60.0],
            "plays": [2.0, 1.0, 9.0, 12.0],
            "repeat_rate": [0.1, 0.1 + 1e-17, 0.1, 0.1],
            "energy": [0.5, None, None, 0.4],
        }
    )
    placed = charts.personas.session_map(points)
    assert (placed["x"].iloc[2:] > placed["x"].iloc[:2].max()).all()
    assert placed["y"].abs().max() < placed["x"].abs().max()


def test_session_map_of_few_sessions_is_a_point():
    points = charts.personas.session_map(
        pd.DataFrame({"persona_id": [0], "distance": [0.1], "minutes": [5.0], "plays": [2.0]})
    )
    assert (points["x"], points["y"]) is not None
    assert points[["x", "y"]].to_numpy().tolist() == [[0.0, 0.0]]
