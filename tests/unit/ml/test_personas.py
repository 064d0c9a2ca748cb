"""Names: what they are given for, that they are unique, and that they stay."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.personas.personas import (
    EVERYTHING,
    HABITS,
    LEADER_SHARE,
    PHRASES,
    TIMES,
    Leader,
    Name,
    choose_names,
    describe,
    explain,
    say,
)

OTHERS: dict[str, Any] = {
    "sessions": 400, "ms_played": 10**9, "recent_ms_played": 10**8, "minutes": 45.0, "unique_artists": 8,
    "discovery": 0.1, "skip": 0.1, "shuffle": 0.4, "repeat": 0.1, "album": 0.2, "weekend": 0.28, "night": 0.15,
    "morning": 0.25, "midday": 0.2, "afternoon": 0.15, "evening": 0.25, "energy": None,
}  # fmt: skip
MORNINGS = OTHERS | {"sessions": 100, "ms_played": 2 * 10**8, "morning": 0.95, "weekend": 0.02, "midday": 0.05}
ALBUMS = OTHERS | {
    "sessions": 80,
    "ms_played": 3 * 10**8,
    "album": 0.8,
    "evening": 0.9,
    "morning": 0.0,
    "shuffle": 0.0,
}
SHORT = OTHERS | {"sessions": 90, "ms_played": 10**7, "minutes": 13.7, "discovery": 0.01}


def leader(artist: str, plays: int = 200, artist_plays: int = 380, sessions: int = 50) -> Leader:
    return Leader(artist, sessions, plays, 1000, artist_plays, 10_000)


share = st.floats(0, 1)
profiles = st.fixed_dictionaries(
    {measure: share for measure in PHRASES if measure not in ("minutes", "unique_artists", "shuffle", "skip")}
    | {"shuffle": st.none() | share, "skip": st.none() | share, "minutes": st.floats(0.5, 400)}
    | {"discovery": st.none() | share}
    | {"unique_artists": st.integers(1, 80), "sessions": st.integers(1, 1000), "ms_played": st.integers(1, 10**9)}
)
artist_rows = st.lists(
    st.builds(
        leader,
        st.sampled_from("ABCDEF"),
        st.integers(1, 1000),
        st.integers(1000, 10_000),
        st.integers(1, 60),
    ),
    max_size=4,
    unique_by=lambda row: row.artist_name,
)
listeners = st.dictionaries(st.integers(1, 20), st.tuples(profiles, artist_rows), min_size=1, max_size=10)


def named(listener: dict, others: dict, before: dict[int, Name] | None = None) -> dict[int, tuple[Name, str]]:
    by_persona = {persona: profile for persona, (profile, _) in listener.items()}
    leaders = {persona: rows for persona, (_, rows) in listener.items()}
    return choose_names(by_persona, dict.fromkeys(by_persona, others), leaders, before or {})


def labels(names: dict[int, tuple[Name, str]]) -> dict[int, str]:
    return {persona: name.label for persona, (name, _) in names.items()}


def test_names_say_who_is_heard_then_how_then_when():
    names = named(
        {1: (MORNINGS, [leader("Ana"), leader("Bo")]), 2: (ALBUMS, []), 3: (SHORT, []), 4: (OTHERS, [])}, OTHERS
    )
    assert labels(names) == {
        1: "Weekday mornings with Ana and Bo",
        2: "Album evenings",
        3: "Short sessions",
        4: "A bit of everything",
    }


@pytest.mark.parametrize(
    "row",
    [
        leader("Ana", plays=9, artist_plays=9),
        leader("Ana", plays=300, artist_plays=2500),
        leader("Ana", plays=300, sessions=2),
        leader("Ana", plays=round(1000 * LEADER_SHARE) - 1, artist_plays=30),
    ],
    ids=["few plays", "as much elsewhere", "in two sessions", "a small part"],
)
def test_who_does_not_set_a_persona_apart_is_not_in_its_name(row):
    assert labels(named({1: (OTHERS, [row])}, OTHERS)) == {1: EVERYTHING}


def test_an_artist_names_the_persona_it_tells_most_of():
    names = named({1: (OTHERS, [leader("Ana", 150), leader("Bo", 90)]), 2: (OTHERS, [leader("Ana", 200)])}, OTHERS)
    assert labels(names) == {1: "Bo", 2: "Ana"}


def test_a_weaker_artist_tells_two_alike_apart():
    many = OTHERS | {"unique_artists": 20}
    names = named({1: (many, []), 2: (many, [leader("Bo", 40, 200)]), 3: (OTHERS, [leader("Cy")])}, OTHERS)
    assert labels(names) == {1: "Many artists", 2: "Many artists with Bo", 3: "Cy"}


def test_a_part_of_the_day_is_said_when_it_is_more_than_usual():
    assert describe(OTHERS | {"evening": 0.35}, OTHERS) == "Medium sessions more often in the evening than others"
    assert describe(OTHERS, OTHERS) == "Medium sessions at any hour"


def test_familiar_songs_are_no_name_for_a_hundredth_of_the_time():
    known = OTHERS | {"discovery": 0.01}
    assert labels(named({1: (known | {"ms_played": 10**7}, [])}, OTHERS)) == {1: EVERYTHING}
    assert labels(named({1: (known | {"ms_played": 5 * 10**8}, [])}, OTHERS)) == {1: "Familiar songs"}


@given(listeners, profiles)
def test_every_persona_gets_a_name_of_its_own_without_numbers(listener, others):
    names = named(listener, others)
    assert set(names) == set(listener)
    assert len(set(labels(names).values())) == len(listener)
    assert not any(character.isdigit() for label in labels(names).values() for character in label)
    artists = [artist for name, _ in names.values() for artist in name.artists]
    assert len(artists) == len(set(artists))


@given(listeners, profiles)
def test_the_same_profiles_keep_their_names(listener, others):
    names = named(listener, others)
    assert labels(named(listener, others, {p: name for p, (name, _) in names.items()})) == labels(names)


@given(listeners, profiles)
def test_every_word_of_a_new_name_holds(listener, others):
    for persona, (name, _) in named(listener, others).items():
        profile, rows = listener[persona]
        assert all(word.holds(profile, others) for word in name.words)
        assert all(next(row for row in rows if row.artist_name == artist).telling > 0 for artist in name.artists)


def test_a_small_change_does_not_rename_and_a_large_one_says_why():
    before = {1: Name(time="weekday morning", artists=("Ana",))}
    assert named({1: (MORNINGS | {"morning": 0.45}, [leader("Ana", 60)])}, OTHERS, before)[1][0] == before[1]
    name, reason = named({1: (MORNINGS | {"morning": 0.05}, [leader("Ana")])}, OTHERS, before)[1]
    assert name.label == "Weekdays with Ana"
    assert reason == (
        "“Weekday mornings with Ana” no longer fits: 5 % start between 5:00 and 10:00 (your other sessions: 25 %)"
    )
    name, reason = named({1: (MORNINGS, [leader("Bo")])}, OTHERS, before)[1]
    assert name.label == "Weekday mornings with Bo"
    assert reason == "“Weekday mornings with Ana” no longer fits: other artists than Ana set it apart"


def test_an_explanation_argues_for_the_name():
    said = explain(SHORT, OTHERS, [leader("Ana")], Name("short", artists=("Ana",)))
    assert said == (
        "90 sessions, 1 % of the time you listened: Ana has 20 % of the plays (your other sessions: 2 %);"
        " half of them play under 14 minutes (your other sessions: 46 minutes)."
    )
    assert "half of them play at least 90 minutes (your other sessions: 45 minutes)" in explain(
        OTHERS | {"minutes": 90.9}, OTHERS, [], Name("long")
    )
    assert "nothing tells several kinds of listening apart" in explain(OTHERS, OTHERS, [], Name(), is_only=True)


def test_words_and_measures_are_said():
    for word in (*HABITS.values(), *TIMES.values()):
        assert "{who}" in word.with_artists
        assert all(clause.measure in PHRASES for clause in word.clauses)
    assert say("shuffle", None) == "unknown"
    assert describe(ALBUMS, OTHERS, [leader("Ana"), leader("Bo"), leader("Cy")]) == (
        "Medium sessions in the evening, albums heard through; more than elsewhere Ana, Bo and Cy"
    )
