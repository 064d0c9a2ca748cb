"""What the client makes of Airflow's answers: new logins, refusals as sentences, logs as text."""

from datetime import UTC, datetime

import httpx
import pytest

from include.operations.airflow_client import AirflowClient, AlreadyExists


def client_of(handler):
    client = AirflowClient("http://airflow", "secret")
    client.http = httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(handler))
    return client


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        ("The Dag with ID: x was not found", "The Dag with ID: x was not found"),
        ({"reason": "Unique constraint violation", "statement": "hidden"}, "Unique constraint violation"),
        ([{"loc": ["body", "run_after"], "msg": "Input should be a date"}], "body.run_after: Input should be a date"),
    ],
)
def test_a_refusal_is_a_sentence(detail, sentence):
    client = client_of(lambda request: httpx.Response(409, json={"detail": detail}))
    with pytest.raises(httpx.HTTPStatusError) as error:
        client.unpause("x")
    assert str(error.value) == f"Airflow refused PATCH /dags/x with status 409: {sentence}"


def test_it_logs_in_again_when_the_token_ran_out():
    seen = []

    def airflow(request):
        seen.append((request.url.path, request.headers.get("Authorization")))
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "new"})
        if request.headers.get("Authorization") != "Bearer new":
            return httpx.Response(401)
        return httpx.Response(200, json={"import_errors": []})

    client = client_of(airflow)
    assert client.import_errors() == []
    assert [path for path, _ in seen] == ["/api/v2/importErrors", "/auth/token", "/api/v2/importErrors"]


def test_an_unreachable_server_is_not_healthy():
    def down(request):
        raise httpx.ConnectError("refused")

    assert set(client_of(down).health().values()) == {"unreachable"}


def test_a_log_shows_messages_and_what_was_raised():
    content = [
        {
            "event": "Task failed",
            "level": "error",
            "error_detail": [{"exc_type": "ValueError", "exc_value": "no bread"}],
        },
        "a plain line",
    ]
    client = client_of(lambda request: httpx.Response(200, json={"content": content}))
    task = {"dag_id": "d", "dag_run_id": "r", "task_id": "t", "try_number": 1, "map_index": -1}
    assert client.log_lines(task) == ["ERROR   Task failed", "ValueError: no bread", "a plain line"]


def test_a_second_run_of_one_moment_is_told_apart_from_other_refusals():
    client = client_of(lambda request: httpx.Response(409, json={"detail": "exists"}))
    with pytest.raises(AlreadyExists):
        client.trigger("x", run_after=datetime(2026, 10, 23, tzinfo=UTC))
