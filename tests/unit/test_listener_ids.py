"""Any id of a listener has a folder, a connection and a shell word of its own, and comes back from them."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.listener_ids import connection_id_of, escaped, is_listener_id, unescaped

AIRFLOW_ALLOWS = re.compile(r"^[\w#!()\-.:/\\]{1,250}$")  # airflow.models.connection.RE_SANITIZE_CONN_ID
ids = st.text(min_size=1, max_size=40).filter(is_listener_id)


@given(
    ids | st.sampled_from([".", "..", "a/b", "~", "-", "%", "%41", ":41", "!#+@|", "o'hara", "$HOME", "`id`", "a b"])
)
def test_an_id_is_escaped_and_comes_back(user_id):
    name = escaped(user_id)
    assert unescaped(name) == user_id
    assert shlex.split(name) == [name]
    assert re.fullmatch(r"[A-Za-z0-9_%-][A-Za-z0-9_.%-]*", name)
    assert AIRFLOW_ALLOWS.match(connection_id_of(user_id))


@given(st.lists(ids, unique=True, min_size=2, max_size=2))
def test_two_ids_have_two_names(pair):
    assert len(set(map(escaped, pair))) == len(set(map(connection_id_of, pair))) == 2


@pytest.mark.parametrize("user_id", ["ada", "bea_2", "john.doe-7", "31abcdefghij"])
def test_a_plain_id_stays_as_it_is(user_id):
    assert escaped(user_id) == user_id
    assert connection_id_of(user_id) == f"spotify_{user_id}"


def test_a_long_id_has_a_connection_too():
    long = "漢" * 80
    assert AIRFLOW_ALLOWS.match(connection_id_of(long))
    assert connection_id_of(long) != connection_id_of(long[:-1])


@pytest.mark.parametrize("value", ["", " ", " a", "a\n", "a\x00", "\ud800", "\u202ea", "x" * 257, 7, None, ["a"], {}])
def test_what_no_person_can_read_is_no_id(value):
    assert not is_listener_id(value)
