"""Processes: watched, stopped even when they resist, and found again by their mark after their parent was killed."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from include.stack.local.services import ServiceError, Services, end_marked, marked

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)",
]


@pytest.fixture
def services(tmp_path):
    services = Services(tmp_path / "logs", str(tmp_path))
    yield services
    services.stop()


def environment():
    return dict(os.environ)


def test_stop_ends_all_even_the_stubborn(services, monkeypatch):
    monkeypatch.setattr("include.stack.local.services.SECONDS_TO_STOP", 0.5)
    services.start("stubborn", STUBBORN, environment())
    services.start("sleeper", SLEEP, environment())
    services.wait_until("stubborn", lambda: "ready" in services.log_tail("stubborn"), 10)
    processes = [psutil.Process(process.pid) for process in services.processes.values()]
    services.stop()
    assert not any(process.is_running() for process in processes)


def test_stop_ends_what_a_service_left_behind(services):
    leaver = f"import subprocess; subprocess.Popen({SLEEP!r}, start_new_session=True); print('left', flush=True)"
    services.start("leaver", [sys.executable, "-c", leaver], environment())
    services.finish("leaver", 10)
    assert len(marked(services.mark)) == 1
    services.stop()
    assert marked(services.mark) == []


def test_a_killed_parents_services_are_found_by_their_mark(tmp_path):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import os, time; from pathlib import Path; from include.stack.local.services import Services\n"
            f"Services(Path({str(tmp_path)!r}), {str(tmp_path)!r}).start('sleeper', {SLEEP!r}, dict(os.environ))\n"
            "print('started', flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout.readline() == b"started\n"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert len(marked(str(tmp_path))) == 1
    assert marked("another stack") == []
    assert end_marked(str(tmp_path)) == 1
    assert marked(str(tmp_path)) == []


def test_a_process_that_takes_another_title_keeps_the_mark(services):
    code = "import setproctitle, time; setproctitle.setproctitle('x' * 500); print('done', flush=True); time.sleep(99)"
    services.start("titled", [sys.executable, "-c", code], environment())
    services.wait_until("titled", lambda: "done" in services.log_tail("titled"), 10)
    assert [process.pid for process in marked(services.mark)] == [services.processes["titled"].pid]


def test_a_service_that_dies_is_reported_with_its_last_words(services):
    services.start("failing", [sys.executable, "-c", "import sys; sys.exit('no bread')"], environment())
    with pytest.raises(ServiceError, match=r"failing ended with status 1(.|\n)*no bread"):
        services.wait_until("failing", lambda: False, 10)


def test_a_service_that_is_never_ready(services):
    services.start("sleeper", SLEEP, environment())
    with pytest.raises(ServiceError, match="sleeper was not ready"):
        services.wait_until("sleeper", lambda: False, 0.3)


def test_finish_reports_failure(services):
    services.start("job", [sys.executable, "-c", "import sys; sys.exit(3)"], environment())
    with pytest.raises(ServiceError, match="job failed with status 3"):
        services.finish("job", 10)


def test_a_ctrl_c_reaches_only_the_parent(services):
    services.start("sleeper", SLEEP, environment())
    time.sleep(0.1)
    assert os.getpgid(services.processes["sleeper"].pid) != os.getpgid(0)
