"""The layer against a plain script, which works everything out anew with pandas."""

import psycopg

from tests.support.plain_script import AS_OF, assert_same, fill, plain_script
from tests.support.steps import run_models


def test_tables_say_what_a_plain_script_makes_of_the_same_plays(writer_conninfo, owner_conninfo):
    fill(writer_conninfo, owner_conninfo, 2400)
    expected = plain_script(writer_conninfo)
    assert len(expected.features) == 2400
    assert len(expected.pairs) > 1000
    assert expected.playlist_tracks.playlist_id.nunique() > 2
    assert set(expected.playlist_tracks.kind) == {"familiar", "rediscovered", "new"}
    with psycopg.connect(writer_conninfo) as connection:
        run_models(connection, as_of=AS_OF)
        assert_same(connection, expected)
