"""The measures, and that nothing after the cutoff is seen."""

import json
import zipfile

import numpy as np
import pytest

from ml.evaluation import RECOMMENDERS, encode, exported, lists_of, main, ndcg, summarise, table


def plays_of(days: int = 300):
    random = np.random.RandomState(0)
    rows = []
    for day in range(days):
        for session in range(2):
            base = 10 * ((day // 30 + session) % 6)
            for track in base + np.minimum(random.geometric(0.3, size=8), 10):
                rows.append((f"t{track}", f"a{track // 5}", day, 2 * day + session, bool(random.random_sample() < 0.1)))
    return encode("somebody", rows)


def test_ndcg_is_one_for_a_perfect_list_and_falls_with_rank():
    assert ndcg(np.arange(30), np.arange(5)) == pytest.approx(1)
    assert ndcg(np.array([9, 0]), np.array([0])) == pytest.approx(1 / np.log2(3))
    assert ndcg(np.array([1, 2]), np.array([0])) == 0


def test_every_recommender_is_measured_on_the_same_lists():
    rows = summarise(list(lists_of(plays_of())))
    by_task = {(row["task"], row["recommender"]): row for row in rows}
    assert {name for _, name in by_task} == set(RECOMMENDERS)
    assert len({row["lists"] for row in rows if row["task"] == "next"}) == 1
    assert by_task["next", "ours"]["ndcg_30"] > by_task["next", "random"]["ndcg_30"]
    assert "ours ahead by" in table(rows)


def test_what_comes_after_the_cutoff_does_not_change_a_list():
    whole = plays_of()
    first = next(lists_of(whole, {"ours": RECOMMENDERS["ours"]}))
    cutoff = int(np.datetime64(first["cutoff"], "D").astype(int))
    changed = plays_of()
    later = changed.day >= cutoff
    changed.skipped[later] = ~changed.skipped[later]
    again = next(lists_of(changed, {"ours": RECOMMENDERS["ours"]}))
    assert again["tracks"] == first["tracks"]


def test_own_exports_are_read_once_each(tmp_path):
    rows = [
        {"ts": f"2024-01-{day:02}T10:00:00Z", "ms_played": 200_000, "spotify_track_uri": f"spotify:track:{day % 3}",
         "master_metadata_album_artist_name": "A", "reason_end": "trackdone", "skipped": None}
        for day in range(1, 20)
    ]  # fmt: skip
    loose = tmp_path / "Streaming_History_Audio_2024_0.json"
    loose.write_text(json.dumps(rows))
    with zipfile.ZipFile(tmp_path / "my_spotify_data.zip", "w") as archive:
        archive.write(loose, "Spotify Extended Streaming History/Streaming_History_Audio_2024_0.json")
    plays = exported([loose, tmp_path / "my_spotify_data.zip"])
    assert len(plays.track) == 19
    assert len(plays.artist_of) == 3


def test_unusable_files_are_refused_with_what_to_do(tmp_path, capsys):
    empty = tmp_path / "x.json"
    empty.write_text("[]")
    assert main([str(empty)]) == 2
    assert "Extended Streaming History" in capsys.readouterr().out
