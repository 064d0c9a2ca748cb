"""Each word that a constraint allows is shown in a way of its own, on every page that shows it."""

from __future__ import annotations

import re

import psycopg
import pytest
from markupsafe import Markup

from dashboards import queries
from dashboards.components import playlists, quality
from dashboards.components.vocabularies import BAD, GOOD, WARN, WORDS, word
from dashboards.prerender import render
from include.stack.local import postgres
from tests.integration.dashboards.elements import of_class, parse, words

# Vocabularies that no page shows.
UNSEEN = {
    ("raw_listening_events", "source"),
    ("raw_listening_events", "item_type"),
    ("raw_quarantine", "source"),
    ("listening_events", "source"),
    ("audio_features", "source"),
    ("audio_features", "status"),
    ("qa_validation_results", "scan"),
    ("qa_validation_results", "severity"),
}


def allowed(connection: psycopg.Connection) -> dict[tuple[str, str], list[str]]:
    """Table and column → the words that its constraint `known_…` lets in."""
    rows = connection.execute(
        "select c.relname, k.conname, pg_get_constraintdef(k.oid) from pg_constraint k join pg_class c on"
        " c.oid = k.conrelid where k.contype = 'c' and k.conname like 'known\\_%%'"
        " and k.conname <> 'known_time_zone'"
    ).fetchall()
    found: dict[tuple[str, str], list[str]] = {}
    for table, name, definition in rows:
        if alternatives := re.search(r"\^\(([^)]*)\)\$", definition):
            listed = [each.removesuffix("[A-Za-z_]+") for each in alternatives[1].split("|")]
        else:
            listed = re.search(r"'\{([^}]*)\}'", definition)[1].split(",")
        key = (table, name.removeprefix("known_"))
        assert found.setdefault(key, listed) == listed, f"{key}: staging and published differ"
    return found


def test_pages_know_exactly_the_words_there_are(reader):
    constraints = allowed(reader)
    assert constraints.keys() == WORDS.keys() | UNSEEN
    assert {key: set(words_of) for key, words_of in WORDS.items()} == {
        key: set(listed) for key, listed in constraints.items() if key in WORDS
    }


@pytest.mark.parametrize("key", WORDS, ids=".".join)
def test_no_two_words_look_alike(key):
    looks = list(WORDS[key].values())
    assert len({each.label for each in looks}) == len(looks)
    if any(each.mark for each in looks):
        assert len({(each.mark, each.tone) for each in looks}) == len(looks)
        assert all(each.mark for each in looks)


def test_good_and_bad_are_told_by_colour_and_shape():
    tones = {key: {value: each.tone for value, each in found.items()} for key, found in WORDS.items()}
    assert tones["ingested_files", "status"] == {"loaded": GOOD, "partial": WARN, "rejected": BAD, "ignored": ""}
    assert tones["qa_validation_results", "outcome"] == {"PASS": GOOD, "WARN": WARN, "FAIL": BAD}
    assert {value for value, tone in tones["ingestion_state", "status"].items() if tone == GOOD} == {"ok"}
    assert {value for value, tone in tones["published_playlists", "status"].items() if tone == GOOD} == {"published"}
    for found in WORDS.values():
        for mark in {each.mark for each in found.values()} - {""}:
            assert len({each.tone for each in found.values() if each.mark == mark}) == 1


@pytest.fixture
def rewritten(monkeypatch: pytest.MonkeyPatch):
    """Has every row of a query's frame say another word, one after the other."""

    def rewrite(query: str, column: str, values: list[str]) -> None:
        original = getattr(queries, query)

        def with_words(*args, **kwargs):
            frame = original(*args, **kwargs)
            assert len(frame)
            # as many rows as words at least
            frame = frame.iloc[[number % len(frame) for number in range(max(len(values), len(frame)))]].copy()
            frame[column] = [values[number % len(values)] for number in range(len(frame))]
            return frame

        monkeypatch.setattr(queries, query, with_words)

    return rewrite


SHOWN = [
    ("quality", "bea", "files", ("ingested_files", "status")),
    ("quality", "bea", "excluded", ("excluded_events", "reason")),
    ("quality", "bea", "excluded", ("excluded_events", "source")),
    ("playlists", "bea", "playlist_tracks", ("playlist_tracks", "kind")),
]


@pytest.mark.parametrize(("page", "listener", "query", "key"), SHOWN, ids=[".".join(each[3]) for each in SHOWN])
def test_every_word_is_shown_as_its_vocabulary_says(rewritten, page, listener, query, key):
    rewritten(query, key[1], list(WORDS[key]))
    shown = parse(render(page, {"listener": listener}, "file"))
    tags = {(words(tag), tag.get("class")) for tag in of_class(shown, "tag")}
    for label, mark, tone in WORDS[key].values():
        if mark:
            assert (f"{mark} {label}", f"tag {tone}") in tags
        else:
            assert any(label in words(cell) for cell in shown.iter("td"))


def test_every_skip_reason_is_shown(monkeypatch):
    reasons = dict.fromkeys(WORDS["ingested_files", "skipped_rows"], 1)
    reasons["wrong_type_ms_played"] = reasons.pop("wrong_type_")
    files = queries.files("bea")
    monkeypatch.setattr(queries, "files", lambda _: files.assign(skipped_rows=[reasons] * len(files)))
    cells = {words(cell) for cell in parse(render("quality", {"listener": "bea"}, "file")).iter("td")}
    for reason in reasons:
        assert f"import: {word('ingested_files', 'skipped_rows', reason).label}" in cells


def test_every_state_of_ingestion_is_shown(monkeypatch):
    accounts = queries.accounts()
    for pipeline, told in WORDS["ingestion_state", "pipeline"].items():
        for status, (label, mark, tone) in WORDS["ingestion_state", "status"].items():
            states = [{"pipeline": pipeline, "status": status, "message": None}]
            monkeypatch.setattr(
                queries,
                "accounts",
                lambda states=states: accounts.assign(states=[states] * len(accounts)),
            )
            shown = parse(render("quality", {"listener": "ada"}, "file"))
            assert (f"{mark} {label}", f"tag {tone}") in {
                (words(tag), tag.get("class")) for tag in of_class(shown, "tag")
            }
            assert any(words(cell) == f"{told.label} {mark} {label}" for cell in shown.iter("td"))


def test_every_state_of_a_playlist_on_spotify_is_shown():
    made = queries.playlists("bea")
    for status, (label, mark, tone) in WORDS["published_playlists", "status"].items():
        own = made.iloc[0].copy()
        own["published_status"], own["published_message"] = status, None
        (tag,) = of_class(parse(playlists.playlist_head(own, Markup())), "tag")
        assert (words(tag), tag.get("class")) == (f"{mark} {label}", f"tag {tone}")


def test_every_outcome_of_a_check_is_shown():
    history = queries.check_history().head(3).copy()
    history["outcome"] = list(WORDS["qa_validation_results", "outcome"])
    shown = parse(quality.check_history(history))
    assert {(words(mark), mark.get("class")) for mark in of_class(shown, "mark") if words(mark) != "·"} == {
        (mark, f"mark {tone}") for _, mark, tone in WORDS["qa_validation_results", "outcome"].values()
    }


@pytest.mark.parametrize(
    "statement",
    [
        "update ingested_files set status = 'failed'",
        "update ingested_files set skipped_rows = '{\"no_row\": 1}'",
        "update ingestion_state set status = 'green'",
        "update qa_validation_results set outcome = 'GREEN'",
        "update staging.excluded_events set reason = 'because'",
        "update staging.playlist_tracks set kind = 'old'",
        "update published_playlists set status = 'sent'",
        "update audio_features set status = 'lost'",
        "insert into raw_listening_events values ('x', 'lastfm', gen_random_uuid(), now(), 'track', null, '{}', 'x')",
        "insert into raw_listening_events values ('x', 'api', gen_random_uuid(), now(), 'ad', null, '{}', 'x')",
    ],
)
def test_other_words_are_refused(pipeline_socket, demo_database, statement):
    conninfo = postgres.conninfo(pipeline_socket, demo_database, "listening_writer")
    with psycopg.connect(conninfo) as writer, pytest.raises(psycopg.errors.CheckViolation):
        writer.execute(statement)
