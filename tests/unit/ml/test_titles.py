"""Which titles are the same song, and which are none."""

import pytest

from ml.playlists.titles import is_no_song, song_title


@pytest.mark.parametrize(
    "version",
    [
        "Blue Monday",
        "Blue Monday - 2016 Remaster",
        "Blue Monday - Remastered 2011",
        "Blue Monday (Live at the Hacienda)",
        "Blue Monday - Live - Remastered",
        "Blue Monday - Radio Edit",
        "Blue Monday (feat. Somebody)",
        "Blue Monday feat. Somebody",
        "Blue Monday - Remix (feat. Somebody)",
        "BLUE MONDAY [Sped Up]",
        "Blue Monday – Acoustic Version",
    ],
)
def test_versions_of_a_song_have_one_title(version):
    assert song_title(version) == "blue monday"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Song 1", "Song 2"),
        ("Love Will Tear Us Apart", "Love"),
        ("Part One - The Beginning", "Part One - The End"),
        ("(I Can't Get No) Satisfaction", "Satisfaction"),
        ("Hallelujah (Deep Water)", "Hallelujah"),
    ],
)
def test_different_songs_keep_different_titles(one, other):
    assert song_title(one) != song_title(other)


@pytest.mark.parametrize(
    "title", ["Live", "Remix", "(Acoustic)", "Intro", "feat. Somebody", " - Remastered", "Édit (Version)"]
)
def test_a_title_never_becomes_empty(title):
    assert song_title(title)


@pytest.mark.parametrize(
    "title", ["Intro", "intro", "Outro (feat. Somebody)", "Skit #2", "Good Morning (Skit)", "Interlude: Rain",
              "Song 12 - Interlude", "Song 9 - Intro (feat. Somebody)", "The Intro", "Lovers Rock Interlude"]
)  # fmt: skip
def test_intros_and_skits_are_no_songs(title):
    assert is_no_song(title)


@pytest.mark.parametrize("title", ["Introduction", "Introvert", "Skittles", "Into You", "Outrage", "Song 3"])
def test_words_that_only_begin_like_it_are_songs(title):
    assert not is_no_song(title)
