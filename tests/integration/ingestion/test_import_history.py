from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from airflow.sdk.io import attach
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listening.operators.ingestion import ImportStreamingHistoryOperator

from include.demo.exports import write_account_data, write_extended_history
from include.demo.listeners import listener_named
from include.demo.listening_history import build_history
from include.ingestion import json_rows
from include.ingestion.export_files import ExportFile

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def exports(tmp_path, airflow_connections, add_listener) -> Path:
    folder = tmp_path / "exports"
    (folder / "ada").mkdir(parents=True)
    add_listener("ada")
    return folder


@pytest.fixture(scope="module")
def lives():
    listener = listener_named("carl")
    return {year: build_history(listener, until=datetime(year, 6, 1, tzinfo=UTC)) for year in (2025, 2026)}


def run(exports, run_id="run", **kwargs):
    operator = ImportStreamingHistoryOperator(task_id="import_streaming_history", exports_path=str(exports), **kwargs)
    return operator.execute({"run_id": run_id})


def fingerprint(connection):
    """All that an import decides, in one value."""
    found = connection.execute(
        "select count(*), md5(string_agg(r::text, '' order by event_key)) from"
        " (select user_id, source, event_key, played_at, item_type, track_id, payload from raw_listening_events) r"
    ).fetchone()
    connection.rollback()
    return found


def files(connection):
    rows = connection.execute(
        "select file_name, status, message, rows_loaded, skipped_rows from ingested_files"
    ).fetchall()
    connection.rollback()
    return {name: (status, message, loaded, skipped) for name, status, message, loaded, skipped in rows}


def play(second: int, **fields) -> dict:
    return {
        "ts": f"2024-05-01T10:{second // 60:02}:{second % 60:02}Z",
        "ms_played": 1000,
        "spotify_track_uri": "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
        **fields,
    }


def zipped(path: Path, **members: bytes | str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_accounts_for_every_row_of_a_real_export(exports, lives, connection):
    rows = write_extended_history(exports / "ada" / "my_spotify_data.zip", lives[2026])
    done = run(exports)
    assert done["rows_read"] == len(rows) == done["rows_loaded"] + done["rows_already_known"] + done["rows_skipped"]
    assert fingerprint(connection)[0] == done["rows_loaded"]
    assert done["rows_already_known"] == sum(row.quirk == "exact_duplicate" for row in rows)
    days = connection.execute("select count(*) from pending_days where step = 'listening_events'").fetchone()
    stored = connection.execute("select count(distinct (played_at at time zone 'UTC')::date) from raw_listening_events")
    assert days == stored.fetchone()
    assert connection.execute("select sum(plays) from heard_tracks").fetchone() == (
        connection.execute("select count(track_id) from raw_listening_events").fetchone()
    )


def test_order_and_repetition_of_exports_change_nothing(exports, lives, connection, database):
    newer, older, other = (exports / "ada" / name for name in ("newer.zip", "older.zip", "endsong.zip"))
    write_extended_history(newer, lives[2026])
    run(exports)
    connection.execute("delete from pending_days")
    connection.commit()
    once = fingerprint(connection)
    assert run(exports)["files_already_loaded"] == 1
    write_extended_history(older, lives[2025])
    done = run(exports)
    assert done["rows_loaded"] == 0
    assert done["rows_already_known"] > 0
    newer.rename(exports / "ada" / "renamed.zip")
    assert run(exports)["files_already_loaded"] == 2
    assert fingerprint(connection) == once
    assert connection.execute("select count(*) from pending_days").fetchone() == (0,)
    connection.rollback()
    write_extended_history(other, lives[2025], generation="endsong")
    run(exports)


def test_both_generations_and_account_data_are_loaded_side_by_side(exports, lives, connection):
    write_extended_history(exports / "ada" / "endsong.zip", lives[2025], generation="endsong")
    write_account_data(exports / "ada" / "account.zip", lives[2026])
    run(exports)
    sources = dict(connection.execute("select source, count(*) from raw_listening_events group by 1").fetchall())
    assert sources.keys() == {"extended_history", "account_history"}
    assert connection.execute(
        "select count(*) from raw_listening_events where payload ?| array['ip_addr', 'ip_addr_decrypted']"
    ).fetchone() == (0,)


@pytest.mark.parametrize("block_bytes", [json_rows.BLOCK_BYTES, 100])
def test_a_bad_file_is_set_aside_while_the_others_load(exports, connection, monkeypatch, block_bytes):
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", block_bytes)
    folder = exports / "ada"
    good = json.dumps([play(1), play(1, ms_played=2)])
    unfinished = json.dumps([play(8), play(9)])[:-3]
    (folder / "loose").mkdir()
    (folder / "loose" / "Streaming_History_Audio_1.json").write_text(json.dumps([play(2)]))
    zipped(folder / "good.zip", **{"a/Streaming_History_Audio_0.json": good, "Userdata.json": "{}", "read.pdf": "x"})
    zipped(folder / "traversal.zip", **{"../../Streaming_History_Audio_0.json": good})
    zipped(folder / "nested.zip", **{"more.zip": "PK", "endsong_0.json": json.dumps([play(3)])})
    zipped(folder / "bomb.zip", **{"Streaming_History_Audio_0.json": b"[" + b" " * (64 << 20) + b"]"})
    zipped(folder / "lie.zip", **{"Streaming_History_Audio_0.json": b"[" + b"{}," * 1_000_000 + b"{}]"})
    zipped(folder / "half.zip", **{"endsong_1.json": json.dumps([play(4)]), "endsong_2.json": unfinished})
    (folder / "truncated.zip").write_bytes((folder / "good.zip").read_bytes()[:200])
    (folder / "damaged.zip").write_bytes(_damaged((folder / "half.zip").read_bytes()))
    (folder / "endsong_9.json").write_bytes(b"\xff\xfe\x00")
    (folder / "StreamingHistory0.json").write_text('{"not": "an array"}')
    (folder / "empty.json").write_text("[]")
    nul = json.dumps([play(5, master_metadata_track_name="a\0b"), play(6, extra={"deep": "\ud800"}), 7, play(7, ts=8)])
    (folder / "odd.json").write_text(nul)
    done = run(exports)
    assert done["rows_loaded"] == 7
    assert connection.execute("select count(*), count(distinct event_key) from raw_listening_events").fetchone() == (
        7,
        7,
    )
    found = files(connection)
    expected = {
        "good.zip": ("loaded", None),
        "loose/Streaming_History_Audio_1.json": ("loaded", None),
        "traversal.zip": ("rejected", "path that leads out"),
        "nested.zip": ("partial", "zip within the zip"),
        "bomb.zip": ("rejected", "more than 200 times"),
        "lie.zip": ("rejected", "none of its rows is one"),
        "half.zip": ("partial", "ends in the middle"),
        "truncated.zip": ("rejected", "no readable zip"),
        "damaged.zip": ("rejected", "cannot be unpacked"),
        "endsong_9.json": ("rejected", "is UTF-16-LE, but not to its end"),
        "StreamingHistory0.json": ("rejected", "no JSON array"),
        "empty.json": ("ignored", "no streaming history"),
        "odd.json": ("loaded", None),
    }
    assert found.keys() == expected.keys()
    for name, (status, message) in expected.items():
        assert found[name][0] == status, (name, found[name])
        assert message is None or message in found[name][1], (name, found[name])
    assert found["odd.json"][3] == {"not_an_object": 1, "wrong_type_ts": 1}
    before = connection.execute("select * from ingested_files order by file_name").fetchall()
    connection.rollback()
    run(exports, "later")
    assert connection.execute("select * from ingested_files order by file_name").fetchall() == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_both_read(exports):
    with zipfile.ZipFile(exports / "ada" / "twins.zip", "w") as archive:
        for second in (1, 2):
            archive.writestr("endsong_0.json", json.dumps([play(second)]))
    assert run(exports)["rows_loaded"] == 2


def test_a_row_far_behind_its_first_appearance_is_known(exports, connection, monkeypatch):
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 500)
    rows = [play(second) for second in range(60)]
    (exports / "ada" / "endsong_0.json").write_text(json.dumps([*rows, play(3), *rows[:2], play(70)]))
    done = run(exports)
    assert (done["rows_loaded"], done["rows_already_known"]) == (61, 3)
    assert connection.execute("select sum(plays) from heard_tracks").fetchone() == (61,)


def _damaged(data: bytes) -> bytes:
    """The same archive, each member's data spoiled behind its name."""
    spoiled = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            start = info.header_offset + 30 + len(info.filename)
            spoiled[start + 4 : start + 12] = b"\xff" * 8
    return bytes(spoiled)


def test_an_object_store_is_as_good_as_a_folder(exports, lives, connection):
    write_extended_history(exports / "ada" / "year" / "my_spotify_data.zip", lives[2025])
    (exports / "ada" / "endsong_0.json").write_text(json.dumps([play(1)]))
    (exports / "ada" / "broken.zip").write_bytes(b"PK")
    store = fsspec.filesystem("memory")
    attach("memory", fs=store)  # as a provider does for s3, gs, abfs
    store.put(str(exports), "/bucket/exports", recursive=True)
    done = run("memory://bucket/exports")
    assert (done["files_loaded"], done["files_rejected"], done["rows_loaded"] > 10_000) == (2, 1, True)
    assert files(connection).keys() == {"year/my_spotify_data.zip", "endsong_0.json", "broken.zip"}
    assert run(exports)["files_already_loaded"] == 2
    with pytest.raises(FileNotFoundError, match=r"memory://bucket/nowhere"):
        run("memory://bucket/nowhere")


def test_a_file_that_the_store_does_not_give_out_fails_the_task_after_the_others(exports, connection, monkeypatch):
    for name in ("a.json", "b.json", "c.json"):
        (exports / "ada" / name).write_text(json.dumps([play(ord(name[0]))]))
    open_file = ExportFile.open

    def unless_b(file):
        if file.name == "b.json":
            raise PermissionError("Access Denied")
        return open_file(file)

    monkeypatch.setattr(ExportFile, "open", unless_b)
    with pytest.raises(OSError, match=r"all others were dealt with: ada/b.json \(Access Denied\)"):
        run(exports)
    assert files(connection).keys() == {"a.json", "c.json"}


def test_whose_a_file_is_is_never_guessed(exports, connection, caplog):
    (exports / "my_spotify_data.json").write_text(json.dumps([play(1)]))
    (exports / "nobody").mkdir()
    (exports / "nobody" / "endsong_0.json").write_text(json.dumps([play(1)]))
    done = run(exports)
    assert done == {"files_without_listener": 1, "gaps_closed": 0}
    assert "move it to <user_id>/my_spotify_data.json" in caplog.text
    assert "No listener is called nobody" in caplog.text


def test_a_missing_export_folder_says_what_to_do(exports):
    with pytest.raises(FileNotFoundError, match=r"LISTENING_EXPORTS.*create it"):
        run(exports / "elsewhere")


def test_an_export_closes_the_gaps_it_covers(exports, lives, connection):
    gaps = ["2024-05-01", "2025-05-01", "2026-05-31 23:59"]
    for day in gaps:
        connection.execute(
            "insert into ingestion_gaps values ('ada', %s, %s::timestamptz + interval '1 day', 'run')", [day, day]
        )
    connection.commit()
    write_extended_history(exports / "ada" / "my_spotify_data.zip", lives[2026])
    assert run(exports)["gaps_closed"] == 2
    open_gaps = connection.execute("select gap_start::text from ingestion_gaps where closed_at is null").fetchall()
    assert open_gaps == [("2026-05-31 23:59:00+00",)]


def test_a_replay_marks_the_interval_of_everyone_with_rows(exports, connection):
    (exports / "ada" / "endsong_0.json").write_text(json.dumps([play(1), play(2, ts="2024-05-03T23:59:59Z")]))
    run(exports)
    connection.execute("delete from pending_days")
    connection.commit()
    run(exports, mode="replay", start="2024-05-02", end="2024-05-04T00:00:00+00:00")
    marked = connection.execute("select step, user_id, day::text from pending_days").fetchall()
    assert marked == [("listening_events", "ada", "2024-05-03")]


names = st.sampled_from(
    ["Streaming_History_Audio_0.json", "endsong_0.json", "StreamingHistory0.json", "x.json", "x.zip"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
rows = st.fixed_dictionaries(
    {"ts": st.just("2024-05-01T10:00:00Z") | json_values},
    optional=dict.fromkeys(("ms_played", "spotify_track_uri", "master_metadata_track_name", "platform"), json_values),
)
contents = st.binary(max_size=300) | st.lists(rows | json_values, max_size=4).map(
    lambda value: json.dumps(value).encode()
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, contents), min_size=1, max_size=3), st.booleans())
def test_fuzzed_files_load_or_have_a_reason(exports, connection, members, in_zip):
    folder = exports / "ada"
    for file in folder.iterdir():
        file.unlink()
    if in_zip:
        with zipfile.ZipFile(folder / "export.zip", "w") as archive:
            for number, (name, content) in enumerate(members):
                archive.writestr(f"{number}/{name}", content)
    else:
        for name, content in members:
            (folder / name).write_bytes(content)
    before = fingerprint(connection)[0]
    done = run(exports)
    assert fingerprint(connection)[0] - before == done.get("rows_loaded", 0)
    accounted = connection.execute(
        "select count(*) from ingested_files f where status not in ('loaded', 'partial', 'rejected', 'ignored')"
        " or (status <> 'loaded') and message is null or rows_read <> rows_loaded + rows_already_known"
        " + (select coalesce(sum(value::int), 0) from jsonb_each_text(skipped_rows))"
    ).fetchone()
    connection.rollback()
    assert accounted == (0,)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_file_saved_by_another_program_is_loaded(exports, connection, encoding):
    rows = [play(n, master_metadata_track_name="Tränen 漢") for n in range(3)]
    (exports / "ada" / "Streaming_History_Audio_2024_1.json").write_bytes(json.dumps(rows).encode(encoding))
    assert run(exports)["rows_loaded"] == 3
    assert {row[0] for row in files(connection).values()} == {"loaded"}
    names = connection.execute("select distinct payload ->> 'master_metadata_track_name' from raw_listening_events")
    assert names.fetchall() == [("Tränen 漢",)]


def test_what_a_mac_or_windows_leaves_in_a_zip_is_passed_over(exports, connection):
    twin = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
    history = json.dumps([play(1)])
    zipped(
        exports / "ada" / "my_spotify_data.ZIP",
        **{
            "Spotify/Streaming_History_Audio_2024_1.json": history,
            "__MACOSX/Spotify/._Streaming_History_Audio_2024_1.json": twin,
            "__MACOSX/._Spotify": twin,
            "Spotify/._Streaming_History_Audio_2024_2.json": twin,
            "Spotify/.DS_Store": b"\x00\x00\x00\x01Bud1",
            "Spotify\\nested\\Streaming_History_Audio_2024_2.JSON": json.dumps([play(2)]),
            "Spotify\\nested\\._Streaming_History_Audio_2024_2.JSON": twin,
            "Spotify/desktop.ini": b"[x]",
            "Spotify/Streaming_History_Audio_2024_1 (1).json": history,
        },
    )
    done = run(exports)
    assert (done["rows_loaded"], done["rows_already_known"]) == (2, 1)
    assert files(connection) == {"my_spotify_data.ZIP": ("loaded", None, 2, {})}


@pytest.mark.parametrize("folder", ["a!b#c+d@e|f", "a%21b%23c%2Bd%40e%7Cf"])
def test_the_folder_of_an_id_with_special_characters_is_found(exports, connection, add_listener, folder):
    add_listener("a!b#c+d@e|f")
    (exports / folder).mkdir()
    (exports / folder / "Streaming_History_Audio_2024_1.json").write_text(json.dumps([play(1)]))
    assert run(exports)["rows_loaded"] == 1
    assert connection.execute("select user_id from raw_listening_events").fetchall() == [("a!b#c+d@e|f",)]


def test_a_number_that_no_double_holds_costs_no_file(exports, connection):
    huge = json.dumps(play(1, offline=True)).replace("1000", '1000, "offline_timestamp": 1' + "0" * 400)
    (exports / "ada" / "Streaming_History_Audio_2024_1.json").write_text(f"[{huge}, {json.dumps(play(2))}]")
    assert run(exports)["rows_loaded"] == 2


def test_one_listeners_files_do_not_stop_anothers(exports, connection, owner_conninfo, add_listener, monkeypatch):
    import psycopg

    from include.ingestion import import_history

    for user_id in ("bea", "cem"):
        add_listener(user_id)
        (exports / user_id).mkdir()
    for user_id in ("ada", "bea", "cem"):
        (exports / user_id / "Streaming_History_Audio_2024_1.json").write_text(json.dumps([play(1)]))
    with psycopg.connect(owner_conninfo, autocommit=True) as owner:
        owner.execute(
            "create function poison() returns trigger language plpgsql as $$ begin"
            " if new.user_id = 'ada' then raise numeric_value_out_of_range; end if; return new; end $$"
        )
        owner.execute("create trigger poison before insert on pending_days for each row execute function poison()")
        load = import_history._Import.load

        def fail(self, content):
            if self.file.user_id == "bea":
                raise TypeError("a fault of ours")
            return load(self, content)

        monkeypatch.setattr(import_history._Import, "load", fail)
        done = run(exports)
        assert (done["files_rejected"], done["files_loaded"]) == (2, 1)
        assert connection.execute("select user_id from raw_listening_events").fetchall() == [("cem",)]
        connection.rollback()
        owner.execute("drop trigger poison on pending_days")
    monkeypatch.setattr(import_history._Import, "load", load)
    assert run(exports)["files_loaded"] == 2  # tried again


def test_a_row_whose_key_no_index_holds_costs_only_itself(exports, connection):
    rows = [play(1), play(2, spotify_track_uri="spotify:track:" + "x" * 5000), play(3, reason_end="x" * 5000)]
    (exports / "ada" / "Streaming_History_Audio_2024_1.json").write_text(json.dumps(rows))
    done = run(exports)
    assert (done["rows_loaded"], done["rows_skipped"]) == (2, 1)
