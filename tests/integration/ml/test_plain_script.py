"""The layer against the plain script of `make bench ARGS=ml_layer`, which works everything out anew with pandas."""

import psycopg

from tests.benchmarks import listening_database
from tests.benchmarks.ml import assert_same, fill, our_steps, plain_script


def test_tables_say_what_a_plain_script_makes_of_the_same_plays():
    with listening_database() as socket_dir:
        conninfo = fill(socket_dir, 2400)
        expected = plain_script(conninfo)
        our_steps(conninfo)
        assert len(expected.features) == 2400
        assert len(expected.pairs) > 1000
        assert expected.playlist_tracks.playlist_id.nunique() > 2
        assert set(expected.playlist_tracks.kind) == {"familiar", "rediscovered", "new"}
        with psycopg.connect(conninfo) as connection:
            assert_same(connection, expected)
