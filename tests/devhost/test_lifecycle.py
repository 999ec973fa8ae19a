"""How the host itself behaves: start, refusals, signals, crashes of user code, resuming after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.devhost.conftest import StartHost
from tests.devhost.running_host import APPS, ROOT, Durable, RunningHost, wait_until

pytestmark = pytest.mark.devhost_only


def run_host(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A host that is expected to refuse."""
    command = [sys.executable, "-m", "devhost", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def write_app(folder: Path, code: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "function_app.py").write_text(code)
    (folder / "host.json").write_text('{"version": "2.0"}')
    return folder


HELLO = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("hello")
def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("{word}")
"""


def test_prints_one_line_on_standard_output(start_host: StartHost):
    host = start_host("http")
    host.http.get("/api/logs")
    host.wait_for_log("printed by logs")
    assert host.stop() == 0
    assert host.stdout == [f"ready {host.url}"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_host_and_worker(start_host: StartHost, number: signal.Signals):
    host = start_host("http")
    worker = host.http.get("/api/environment").json()["pid"]
    host.process.send_signal(number)
    assert host.process.wait(20) == 0
    assert not psutil.pid_exists(worker)
    assert "Traceback" not in host.stderr


def test_host_can_be_stopped_while_the_app_is_being_imported(tmp_path: Path):
    code = "import os, time\nopen('worker', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    app = write_app(tmp_path / "app", code)
    command = [sys.executable, "-m", "devhost", "--app", app, "--data", tmp_path / "data", "--port", "0"]
    host = subprocess.Popen(command, cwd=ROOT)
    worker = app / "worker"
    wait_until(lambda: worker.exists() and worker.read_text())
    host.terminate()
    assert host.wait(20) == 0
    wait_until(lambda: not psutil.pid_exists(int(worker.read_text())))


def test_killed_host_takes_its_worker_along(start_host: StartHost):
    host = start_host("http")
    worker = host.http.get("/api/environment").json()["pid"]
    host.kill()
    wait_until(lambda: not psutil.pid_exists(worker))


def test_second_host_on_the_same_data_folder_is_refused(start_host: StartHost):
    host = start_host("http")
    second = run_host("--app", APPS / "http", "--data", host.data, "--port", "0")
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "already uses the data folder" in second.stderr


def test_taken_port_is_refused_with_a_sentence(start_host: StartHost, tmp_path: Path):
    host = start_host("http")
    port = host.url.rpartition(":")[2]
    second = run_host("--app", APPS / "http", "--data", tmp_path / "other", "--port", port)
    assert second.returncode == 1
    assert second.stderr == f"devhost: port {port} is taken; choose another with --port.\n"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "import azure.functions as func\nimport nothing_of_that_name\n",
            "function_app.py:2: ModuleNotFoundError",
        ),
        ("def broken(:\n", "function_app.py:1: SyntaxError"),
        ("app = 1\n", "needs exactly one FunctionApp"),
        (HELLO.format(word="x").replace("(req:", "(request:"), "function hello"),
    ],
)
def test_app_that_cannot_be_indexed_ends_the_host_with_place_and_reason(tmp_path: Path, code: str, why: str):
    """The real host goes on with zero functions; here that is the end, said in one sentence."""
    app = write_app(tmp_path / "app", code)
    result = run_host("--app", app, "--data", tmp_path / "data", "--port", "0")
    assert result.returncode == 1
    assert result.stdout == ""
    assert why in result.stderr
    assert "Traceback" not in result.stderr


def test_folder_without_an_app_is_refused(tmp_path: Path):
    result = run_host("--app", tmp_path, "--data", tmp_path / "data", "--port", "0")
    assert result.returncode == 1
    assert "host.json is missing" in result.stderr


def test_crash_of_user_code_is_not_a_crash_of_the_host(start_host: StartHost):
    host = start_host("http")
    assert host.http.get("/api/crash").status_code == 500
    assert host.http.get("/api/quick").text == "quick"


def test_crash_in_an_activity_fails_that_activity(start_host: StartHost):
    """The real host reports the exit of the worker to the orchestration."""
    durable = Durable(start_host("durable"))
    assert durable.output("crashes") == "Activity function 'crash' failed: python exited with code 7 (0x7) "


def test_orchestrator_that_always_crashes_fails_in_the_end(start_host: StartHost):
    """One crash is followed by another replay, but not for ever: other instances need the worker."""
    durable = Durable(start_host("durable"))
    # By the host's own endpoint: a function that starts it would go down with the worker.
    links = durable.http.post("/runtime/webhooks/durabletask/orchestrators/crashing_code").json()
    status = durable.wait(links)
    assert status["output"] == "Orchestrator function 'crashing_code' failed: python exited with code 9 (0x9)"
    assert durable.output("chain", 2) == 2


def test_killed_worker_loses_no_orchestration(start_host: StartHost, tmp_path: Path):
    durable = Durable(start_host("durable"))
    started = [durable.start("sleeper", 1), durable.start("chain", 60), durable.start("waits", ["a"])]
    worker = psutil.Process(durable.host.process.pid).children()[0]
    worker.kill()
    durable.raise_event(started[2], "a", 1)
    assert durable.wait(started[2])["output"] == [1]
    assert durable.wait(started[0])["output"] is True
    status = durable.wait(started[1])
    assert status["output"] == 60 or "python exited with code 137" in status["output"]


@pytest.mark.parametrize("options", [(), ("--full-sync",)])
def test_orchestrations_go_on_after_a_kill_of_the_host(start_host: StartHost, tmp_path: Path, options: tuple[str, ...]):
    """Activities run at least once: what was running at the kill runs again."""
    data, go = tmp_path / "data", tmp_path / "go"
    durable = Durable(start_host("durable", *options, data=data))
    running = durable.start("waits_for_file", str(go))
    timer = durable.start("sleeper", 1)
    waiting = durable.start("waits", ["first", "second"])
    durable.raise_event(waiting, "first", 1)
    started = tmp_path / "go.started"
    wait_until(started.exists)
    durable.host.kill()
    durable = Durable(start_host("durable", *options, data=data))
    wait_until(lambda: len(started.read_text().splitlines()) == 2)
    go.touch()
    for links, expected in ((running, "seen"), (timer, True)):
        assert durable.wait(moved(links, durable.host))["output"] == expected
    waiting = moved(waiting, durable.host)
    durable.raise_event(waiting, "second", 2)
    assert durable.wait(waiting)["output"] == [1, 2]


def moved(links: dict[str, str], host: RunningHost) -> dict[str, str]:
    """The links at the origin of a host that was started later."""
    old = links["statusQueryGetUri"].split("/runtime/")[0]
    return {name: url.replace(old, host.url) for name, url in links.items()}


def test_watch_reloads_edited_code_and_keeps_the_old_when_it_is_broken(start_host: StartHost, tmp_path: Path):
    app = write_app(tmp_path / "app", HELLO.format(word="before"))
    host = start_host(app, "--watch")
    assert host.http.get("/api/hello").text == "before"
    (app / "function_app.py").write_text(HELLO.format(word="after"))
    wait_until(lambda: host.http.get("/api/hello").text == "after")
    (app / "function_app.py").write_text("broken(")
    host.wait_for_log("SyntaxError")
    assert host.http.get("/api/hello").text == "after"


def test_settings_file_stands_in_for_that_of_the_app(start_host: StartHost, tmp_path: Path):
    """What a developer has in local.settings.json can be kept out of a test."""
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"Values": {"FROM_BOTH": "other"}, "Host": {"CORS": "http://other.example"}}))
    host = start_host("http", "--settings", str(file))
    environment = host.http.get("/api/environment", headers={"Origin": "http://other.example"})
    assert (environment.json()["FROM_FILE"], environment.json()["FROM_BOTH"]) == (None, "other")
    assert environment.headers["Access-Control-Allow-Origin"] == "http://other.example"


def test_setting_that_a_binding_names_must_exist(tmp_path: Path):
    app = shutil.copytree(APPS / "durable", tmp_path / "app")
    (app / "local.settings.json").write_text(json.dumps({"Values": {}}))
    environment = {name: value for name, value in os.environ.items() if name != "HUB_NAME"}
    command = [sys.executable, "-m", "devhost", "--app", app, "--data", tmp_path / "data", "--port", "0"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "%HUB_NAME% in '%HUB_NAME%' is not set" in result.stderr
