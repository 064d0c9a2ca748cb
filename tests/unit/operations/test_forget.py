"""What forgetting does outside the database: account, history, logs, exports."""

from __future__ import annotations

import pytest

from include.operations import forget


class FakeAirflow:
    """Remembers connections and runs, as include.operations.airflow_client.AirflowClient asks Airflow for them."""

    def __init__(self, *states: str) -> None:
        self.connections = {"spotify_default", "spotify_bea"}
        self.history = [{"dag_run_id": f"run {number}", "state": state} for number, state in enumerate(states)]

    def runs(self, dag_id: str, *states: str) -> list[dict[str, str]]:
        return self.history[:2]  # a page at a time

    def delete_run(self, dag_id: str, run_id: str) -> None:
        self.history = [run for run in self.history if run["dag_run_id"] != run_id]

    def delete_connection(self, connection_id: str) -> None:
        self.connections.discard(connection_id)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_nothing_is_forgotten_while_a_run_could_bring_it_back(state):
    with pytest.raises(forget.ForgetError, match="under way"):
        forget.check_idle(FakeAirflow("success", state))
    forget.check_idle(FakeAirflow("success", "failed"))


def test_connection_whole_history_and_logs_go_and_other_accounts_stay(tmp_path):
    logs = tmp_path / "dag_id=spotify_listening"
    (logs / "run_id=1").mkdir(parents=True)
    airflow = FakeAirflow("success", "failed", "success", "success", "success")
    forget.forget_account(airflow, {"spotify_ada", "spotify_default"}, logs)
    assert airflow.connections == {"spotify_bea"}
    assert airflow.history == []
    assert not logs.exists()


def test_only_the_listeners_own_export_folder_goes(tmp_path):
    for folder in ("exports/ada", "exports/bea", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    forget.forget_exports(tmp_path / "exports", "ada")
    assert [folder.name for folder in (tmp_path / "exports").iterdir()] == ["bea"]
    for user_id in ("../elsewhere", "", ".", "..", "/etc", "bea/..", "bea/."):
        forget.forget_exports(tmp_path / "exports", user_id)
    assert (tmp_path / "exports" / "bea").exists()
    assert (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("folder", ["o'hara #1", "o%27hara%20%231"])
def test_the_folder_of_an_id_with_special_characters_goes(tmp_path, folder):
    (tmp_path / folder).mkdir()
    forget.forget_exports(tmp_path, "o'hara #1")
    assert list(tmp_path.iterdir()) == []
