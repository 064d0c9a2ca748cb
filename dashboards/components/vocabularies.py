"""How pages show the words that the database knows. The constraints `known_…` say which words there are, this module
how each is shown.

Good and bad differ in shape and in colour, so that either is enough.
"""

from __future__ import annotations

from typing import NamedTuple

GOOD, WARN, BAD, QUIET = "good", "warn", "bad", ""


class Word(NamedTuple):
    """A word of the database for people.

    :param mark: one character that tells the word apart without colour; empty for labels in a table of counts.
    :param tone: a class of theme.css: good, warn, bad or none.
    """

    label: str
    mark: str = ""
    tone: str = QUIET


_SPOTIFY_ERRORS = {
    "not_authorized": Word("not authorized", "✕", BAD),
    "refused": Word("refused", "⊘", BAD),
    "rate_limited": Word("rate limited", "◔", WARN),
    "quota": Word("quota used up", "◑", WARN),
    "unavailable": Word("Spotify unavailable", "▲", WARN),
    "error": Word("error", "!", BAD),
}
# Table and column of the constraint → its words.
WORDS: dict[tuple[str, str], dict[str, Word]] = {
    ("ingested_files", "status"): {
        "loaded": Word("loaded", "●", GOOD),
        "partial": Word("partly loaded", "▲", WARN),
        "rejected": Word("rejected", "✕", BAD),
        "ignored": Word("no history in it", "○"),
    },
    ("ingested_files", "skipped_rows"): {
        "no_timestamp": Word("no time"),
        "bad_timestamp": Word("unreadable time"),
        "timestamp_out_of_range": Word("a time before Spotify or in the future"),
        "ms_played_out_of_range": Word("an impossible length"),
        "too_large": Word("too large"),
        "bad_track_uri": Word("invalid track address"),
        "nothing_played": Word("nothing played"),
        "not_an_object": Word("not a row"),
        "not_utf8": Word("not UTF-8"),
        "not_json": Word("not JSON"),
        "nested_too_deep": Word("nested too deep"),
        "wrong_type_": Word("wrong type of field"),
    },
    ("ingestion_state", "pipeline"): {
        "recently_played": Word("recently played"),
        "streaming_history": Word("exports"),
        "window_watch": Word("window watch"),
    },
    ("ingestion_state", "status"): {"ok": Word("ok", "●", GOOD), **_SPOTIFY_ERRORS},
    ("qa_validation_results", "outcome"): {
        "PASS": Word("passed", "●", GOOD),
        "WARN": Word("warned", "▲", WARN),
        "FAIL": Word("failed", "✕", BAD),
    },
    ("excluded_events", "source"): {
        "api": Word("recently played"),
        "extended_history": Word("extended history"),
        "account_history": Word("account data"),
    },
    ("excluded_events", "reason"): {
        "same_play_as_export": Word("same play as in an export"),
        "logged_twice": Word("logged twice"),
        "podcast_episode": Word("podcast episode"),
        "audiobook": Word("audiobook"),
        "video": Word("video"),
        "quarantined": Word("quarantined"),
        "missing_track_id": Word("no track known"),
        "impossible_timestamp": Word("impossible time"),
        "impossible_duration": Word("impossible length"),
        "no_playback": Word("played for 0 ms"),
    },
    ("playlist_tracks", "kind"): {
        "familiar": Word("familiar", "●"),
        "rediscovered": Word("rediscovered", "↻"),
        "new": Word("new", "✦", GOOD),
    },
    ("published_playlists", "status"): {
        "published": Word("on Spotify", "●", GOOD),
        "created": Word("on Spotify, still empty", "○", WARN),
        **_SPOTIFY_ERRORS,
    },
}


# Column of a score's part → its name and colour.
SCORE_PARTS = {
    "score_persona": ("fits the persona", "var(--tone-p0)"),
    "score_history": ("own history", "var(--tone-p3)"),
    "score_cooccurrence": ("heard together", "var(--tone-p2)"),
    "score_freshness": ("freshness", "var(--tone-p1)"),
}


def word(table: str, column: str, value: str) -> Word:
    """How the value is shown.

    :raises KeyError: no word of the vocabulary.
    """
    words = WORDS[table, column]
    if value not in words and "wrong_type_" in words and value.startswith("wrong_type_"):
        found = words["wrong_type_"]
        return found._replace(label=f"{found.label} {value.removeprefix('wrong_type_')}")
    return words[value]
