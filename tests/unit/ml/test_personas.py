"""Names: what they are given for, that they are unique, and that they stay."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ml.personas import PHRASES, choose_names, explain, say

OVERALL: dict[str, Any] = {
    "sessions": 400, "ms_played": 10**9, "recent_ms_played": 10**8, "minutes": 45.0, "unique_artists": 8,
    "discovery": 0.1,
    "skip": 0.1, "shuffle": 0.4, "repeat": 0.1, "album": 0.2, "weekend": 0.28, "night": 0.15,
    "morning": 0.25, "midday": 0.2,
    "afternoon": 0.15, "evening": 0.25, "energy": None,
}  # fmt: skip
COMMUTE = OVERALL | {"sessions": 100, "minutes": 25.0, "morning": 0.95, "weekend": 0.02, "midday": 0.05, "evening": 0.0}
ALBUMS = OVERALL | {"sessions": 80, "album": 0.8, "evening": 0.9, "morning": 0.0, "shuffle": 0.0}

share = st.floats(0, 1)
profiles = st.fixed_dictionaries(
    {measure: share for measure in PHRASES if measure not in ("minutes", "unique_artists", "shuffle", "skip")}
    | {"shuffle": st.none() | share, "skip": st.none() | share, "minutes": st.floats(0.5, 400)}
    | {"unique_artists": st.integers(1, 80), "sessions": st.integers(1, 1000), "ms_played": st.integers(1, 10**9)}
)


def test_names_say_what_sets_a_persona_apart():
    names = choose_names({1: COMMUTE, 2: ALBUMS}, OVERALL, {})
    assert names[1][0] == "Morning commute"
    assert names[2][0] == "Evening album listener"


@given(st.dictionaries(st.integers(1, 20), profiles, min_size=1, max_size=10), profiles)
def test_every_persona_gets_a_unique_name(by_persona, overall):
    names = choose_names(by_persona, overall, {})
    assert set(names) == set(by_persona)
    assert len({label for label, _, _ in names.values()}) == len(by_persona)


@given(st.dictionaries(st.integers(1, 20), profiles, min_size=1, max_size=10), profiles)
def test_the_same_profiles_keep_their_names(by_persona, overall):
    names = choose_names(by_persona, overall, {})
    again = choose_names(by_persona, overall, {p: (label, words) for p, (label, words, _) in names.items()})
    assert {p: label for p, (label, _, _) in again.items()} == {p: label for p, (label, _, _) in names.items()}


def test_a_small_change_does_not_rename_and_a_large_one_says_why():
    named = {1: ("Morning commute", ("Morning", "commute"))}
    assert choose_names({1: COMMUTE | {"morning": 0.45}}, OVERALL, named)[1][0] == "Morning commute"
    label, _, reason = choose_names({1: COMMUTE | {"morning": 0.05, "evening": 0.9}}, OVERALL, named)[1]
    assert label != "Morning commute"
    assert reason == "“Morning commute” no longer fits: 5 % start between 5:00 and 10:00 (all your sessions: 25 %)"


def test_an_explanation_gives_the_numbers_behind_each_word():
    text = explain(ALBUMS, OVERALL, ("Evening", "album listener"), is_only=False)
    assert "90 % start between 18:00 and 22:00 (all your sessions: 25 %)" in text
    assert (
        "on average 80 % of a session's plays follow another track of the same album (all your sessions: 20 %)" in text
    )


def test_unknown_is_said():
    assert say("shuffle", None) == "unknown"
