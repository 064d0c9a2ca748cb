"""The measures, that nothing after the cutoff is seen, and that nobody is judged by what was learned from them."""

import json

import numpy as np
import pytest

from ml.evaluation.evaluate import (
    OURS,
    SHIPPED,
    asked,
    encode,
    interval,
    judged_rankings,
    learned,
    left_out,
    main,
    moments_of,
    ndcg,
    ranked_lists,
    summarise,
    table,
)
from ml.evaluation.real_histories import guessed_zone, histories_of
from ml.evaluation.rivals import RIVALS, decayed_count, variants
from ml.playlists.recommender import QUESTIONS, WEIGHTS


def plays_of(days: int = 300, seed: int = 0, name: str = "somebody"):
    random = np.random.RandomState(seed)
    rows = []
    for day in range(days):
        for session in range(2):
            base = 10 * ((day // 30 + session) % 6)
            for track in base + np.minimum(random.geometric(0.3, size=8), 10):
                said = [True, None, False][min(int(random.random_sample() * 10), 2)]
                rows.append((f"t{track}", f"a{track // 5}", day, 2 * day + session, said))
            if random.random_sample() < 0.3:
                rows.append((f"once {day}", f"a{day % 7}", day, 2 * day + session, False))
    return encode(name, rows)


def test_ndcg_is_one_for_a_perfect_list_and_falls_with_rank():
    assert ndcg(np.arange(30), np.arange(5)) == pytest.approx(1)
    assert ndcg(np.array([9, 0]), np.array([0])) == pytest.approx(1 / np.log2(3))
    assert ndcg(np.array([1, 2]), np.array([0])) == 0


def test_every_recommender_is_measured_on_the_same_people():
    listeners = [plays_of(seed=seed, name=f"listener {seed}") for seed in range(2)]
    rows = summarise(judged_rankings(listeners, {}), "real", "nDCG@30")
    by_question = {(row["question"], row["recommender"]): row for row in rows}
    assert {name for question, name in by_question if question == "next"} == {OURS, SHIPPED, *RIVALS}
    assert {row["listeners"] for row in rows if row["question"] == "next"} == {2}
    assert by_question["next", OURS]["mean"] > by_question["next", "random"]["mean"]
    assert "ours ahead by" in table(rows)


def test_what_comes_after_the_cutoff_does_not_change_a_score():
    plays = plays_of()
    cutoff = plays.cutoffs[0]
    later = plays.day >= cutoff
    changed = plays.where(np.ones(len(plays.day), dtype=bool))
    changed.heard[later] = ~changed.heard[later]
    changed.skipped[later] = ~changed.skipped[later]
    for _, _, recommender in variants():
        assert recommender(plays.before(cutoff)).tolist() == recommender(changed.before(cutoff)).tolist()
    for question in QUESTIONS:
        before, after = (next(moments_of(p, question)).features for p in (plays, changed))
        assert all(before[name].tolist() == after[name].tolist() for name in before)


def test_what_is_unknown_is_neither_heard_nor_skipped():
    plays = encode("x", [("a", "A", 0, 0, None), ("b", "B", 0, 0, False), ("b", "B", 1, 1, True)])
    assert plays.count().tolist() == [0, 1]
    assert plays.skipped.tolist() == [False, False, True]
    assert decayed_count(plays, 1).tolist() == [0, 0.5]


def test_each_question_is_asked_about_its_own_tracks():
    rows = [
        ("old", "A", 0, 0, False),
        ("new", "B", 95, 1, False),
        ("mid", "C", 60, 2, False),
        ("cut", "D", 95, 3, True),
    ]
    rows = sorted(rows, key=lambda row: row[2]) + [("new", "B", 101 + i, 9 + i, False) for i in range(3)]
    plays = encode("x", rows)
    names = list(dict.fromkeys(row[0] for row in rows))

    def candidates(question):
        return {names[code] for code in asked(plays, 100, question)[1]}

    assert candidates("next") == {"old", "new", "mid", "cut"}
    assert candidates("returns") == {"old"}
    assert candidates("new") == {"new", "mid"}


def test_parameters_are_chosen_by_all_the_others():
    means = {"a": {"x": 1.0, "y": 0.0, "z": 0.2}, "b": {"x": 0.4, "y": 0.5, "z": 0.1}}
    # Without x, b is better on average; without y and z, a is.
    assert left_out(means) == {"x": 0.4, "y": 0.0, "z": 0.2}


def test_weights_of_a_listener_do_not_depend_on_their_plays():
    listeners = [plays_of(seed=seed, name=f"listener {seed}", days=200) for seed in range(3)]
    before = learned(listeners)
    listeners[0] = plays_of(seed=9, name="listener 0", days=200)
    after = learned(listeners)
    assert before["listener 0"] == after["listener 0"]
    assert before["listener 1"] != after["listener 1"]
    assert {question: set(weights) for question, weights in before["listener 0"].items()} == {
        question: set(weights) for question, weights in WEIGHTS.items()
    }


def test_a_listeners_own_weights_are_judged_as_ours():
    plays = plays_of()
    reversed_weights = {q: {f: -w for f, w in of.items()} for q, of in WEIGHTS.items()}
    found = {(q, name): value for q, name, _, value in ranked_lists(plays, reversed_weights)}
    assert found["next", OURS] < found["next", SHIPPED]


def test_intervals_are_of_people():
    low, high = interval(np.array([0.0, 1.0]))
    assert (low, high) == (0, 1)
    assert interval(np.full(5, 0.5)) == (0.5, 0.5)


@pytest.mark.parametrize("offset", [-7, -4, 0, 2, 9])
def test_a_zone_is_guessed_from_when_nobody_listens(offset):
    local = np.repeat(np.arange(24), [4, 1, 0, 0, 0, 0, 1, 5, 8, 8, 8, 8, 8, 9, 9, 9, 10, 10, 10, 9, 8, 7, 6, 4])
    zone = guessed_zone((local - offset) % 24)
    assert zone == ("UTC" if offset == 0 else f"Etc/GMT{-offset:+d}")


def test_files_are_listeners_with_their_zones(tmp_path):
    for name in ("a.zip", "b@home.json"):
        (tmp_path / name).touch()
    (tmp_path / "c").mkdir()
    words = [f"{tmp_path}/a.zip@Europe/Berlin", f"{tmp_path}/b@home.json", f"{tmp_path}/c"]
    assert [(h.user_id, h.zone) for h in histories_of(words)] == [("a", "Europe/Berlin"), ("b@home", None), ("c", None)]
    with pytest.raises(FileNotFoundError, match=r"d\.zip"):
        histories_of([f"{tmp_path}/d.zip"])
    with pytest.raises(ValueError, match="no time zone"):
        histories_of([f"{tmp_path}/a.zip@Europe/Nowhere"])
    with pytest.raises(ValueError, match="Two listeners"):
        histories_of([f"{tmp_path}/a.zip", f"{tmp_path}/a.zip"])


def test_unusable_files_are_refused_with_what_to_do(tmp_path, capsys):
    empty = tmp_path / "x.json"
    empty.write_text("[]")
    assert main([str(empty)]) == 2
    assert "Give Spotify's exports" in capsys.readouterr().out
    assert main([str(tmp_path / "missing.zip")]) == 2


def test_invented_listeners_are_judged_and_written_down(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ml.evaluation.evaluate.OUTPUT", tmp_path / "evaluate.json")
    monkeypatch.setattr(
        "ml.evaluation.evaluate.invented", lambda seed: plays_of(seed=seed, name=f"listener {seed}", days=150)
    )
    main(["--seeds", "1", "2"])
    rows = json.loads((tmp_path / "evaluate.json").read_text())["rows"]
    assert {row["people"] for row in rows} == {"invented"}
    assert "nDCG@30" in {row["measure"] for row in rows}
    assert "ours ahead by" in capsys.readouterr().out
