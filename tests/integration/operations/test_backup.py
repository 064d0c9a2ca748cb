"""A backup restored is the same, to the checksum; a bad one changes nothing; an old one is brought up to date."""

from __future__ import annotations

import io
import json
import tarfile

import psycopg
import pytest

from include.operations.backup import backup
from include.operations.checksums import checksums
from include.operations.restore import RestoreError, restore
from include.stack.local import postgres
from tests.integration.operations.conftest import LISTENERS


def sums(conninfo: str) -> dict:
    with psycopg.connect(conninfo) as connection:
        return checksums(connection)


def backed_up(conninfo: str) -> bytes:
    file = io.BytesIO()
    backup(conninfo, file)
    return file.getvalue()


@pytest.fixture
def empty_conninfo(pg_socket):
    """Another server's fresh database: no schema at all."""
    postgres.create_database(pg_socket, "listening_restored", owner="listening_owner")
    yield postgres.conninfo(pg_socket, "listening_restored", "listening_owner")
    postgres.drop_database(pg_socket, "listening_restored")


def test_restored_elsewhere_it_is_the_same(lived_in, empty_conninfo):
    before = sums(lived_in)
    assert sum(table["rows"] for table in before.values()) > 100
    restore(io.BytesIO(backed_up(lived_in)), empty_conninfo)
    assert sums(empty_conninfo) == before


def test_restored_over_other_data_it_is_the_same_and_rights_and_triggers_are_back(
    lived_in, writer_conninfo, reader_conninfo
):
    before, file = sums(lived_in), backed_up(lived_in)
    with psycopg.connect(lived_in) as connection:
        connection.execute("select forget_listener(%s)", [LISTENERS[0]])
    assert sums(lived_in) != before
    restore(io.BytesIO(file), lived_in)
    assert sums(lived_in) == before
    with psycopg.connect(lived_in) as owner, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        owner.execute("delete from raw_listening_events")
    with psycopg.connect(writer_conninfo) as writer:
        writer.execute("select * from staging.publish()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writer.execute("update raw_listening_events set run_id = ''")
    with psycopg.connect(reader_conninfo) as reader:
        reader.execute("select * from analytics.listening_events")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("select * from raw_listening_events")


def rewritten(file: bytes, change) -> bytes:
    """The backup with its members changed."""
    with tarfile.open(fileobj=io.BytesIO(file)) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in change(members).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: b"",
        lambda file: b"not a backup" * 1000,
        lambda file: file[: len(file) // 2],
        lambda file: rewritten(file, lambda members: members | {"listening.dump": members["listening.dump"][:5000]}),
        lambda file: rewritten(file, lambda members: {"listening.dump": members["listening.dump"]}),
    ],
    ids=["empty", "not a backup", "cut off", "dump cut off", "no manifest"],
)
def test_a_damaged_backup_is_refused_and_changes_nothing(lived_in, damage):
    before = sums(lived_in)
    with pytest.raises(RestoreError):
        restore(io.BytesIO(damage(backed_up(lived_in))), lived_in)
    assert sums(lived_in) == before


def test_a_row_that_differs_from_the_manifest_is_reported(lived_in):
    def tamper(members):
        manifest = json.loads(members["manifest.json"])
        manifest["tables"]["public.tracks"]["rows"] += 1
        return members | {"manifest.json": json.dumps(manifest).encode()}

    with pytest.raises(RestoreError, match=r"public\.tracks: 4 rows expected, 3 found"):
        restore(io.BytesIO(rewritten(backed_up(lived_in), tamper)), lived_in)
