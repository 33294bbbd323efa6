"""Folders of results: found unusable before the work, and left as they were by a command that is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from belm.cli.failures import TerminatedError, guarded, terminable
from belm.cli.files import staged
from belm_runtime.errors import InputError

DESIGN = ["design", "--rules", "blend", "--k", "3", "--slopes", "s", "--budget", "64"]
ENDLESS = ["sample", "--steps", "50", "--num", "4000", "--batch-size", "4"]


def started(arguments: list[str], out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "belm", *arguments, "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], there) -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)


# ---- ended from outside --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "there"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_a_command_that_is_ended_leaves_nothing(tmp_path, number, there):
    out = tmp_path / "a" / "out"
    if there:
        out.mkdir(parents=True)
        (out / "mine").write_text("mine")
    with started(DESIGN, out) as process:
        wait_for(process, lambda: list(out.glob(".belm-*")))
        process.send_signal(number)
        # A second time, as timeout does: to the process and to its group.
        if number == signal.SIGTERM:
            process.send_signal(number)
        printed, said = process.communicate(timeout=60)
    word = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}[number]
    assert (process.returncode, printed, said.split()) == (128 + number, "", ["error:", word])
    assert [path.name for path in tmp_path.rglob("*")] == (["a", "out", "mine"] if there else [])


def test_processes_end_with_a_terminated_parent_and_shards_stay(tmp_path):
    with started([*ENDLESS, "--processes", "2"], tmp_path) as process:
        wait_for(process, lambda: list(tmp_path.glob("shard-*")))
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        printed, said = process.communicate(timeout=60)
    assert (process.returncode, printed, said) == (143, "", "error: terminated\n")
    _, alive = psutil.wait_procs(children, timeout=60)
    assert len(children) >= 2 and not alive and list(tmp_path.glob("shard-*"))


def test_sigterm_is_an_exception_inside_a_command_only():
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        # Not again: the first one is being tidied up after.
        pytest.fail("went on")

    with terminable():
        assert guarded(work) == 143
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before and not issubclass(TerminatedError, Exception)


# ---- folders where files will go -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mine.json", "design_mine.py", "design-mine.json", "search.json"])
def test_design_finds_a_folder_in_the_place_of_a_file_before_it_searches(refused, tmp_path, monkeypatch, name):
    monkeypatch.setattr("belm.design.search.Search.run", lambda self: pytest.fail("searched"))
    (tmp_path / name).mkdir()
    refused(*DESIGN, "--out", tmp_path, holds=("cannot write the file", name, "a folder has that name"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["sample", "--num", 2, "--steps", 4], "run.json"),
        (["sample", "--num", 2, "--steps", 4, "--embed"], "sample-001.png"),
        (["reconstruct", "--seed", 0, "--num", 1, "--steps", 4], "grid.png"),
    ],
)
def test_tasks_find_it_before_they_run(refused, tmp_path, monkeypatch, arguments, name):
    monkeypatch.setattr("belm_runtime.sampler.Sampler.sample", lambda *_: pytest.fail("sampled"))
    (tmp_path / name).mkdir()
    refused(*arguments, "--out", tmp_path, holds=(name, "a folder has that name"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_certificates_and_the_demo_too(refused, tmp_path, monkeypatch):
    (tmp_path / "proposition-5.json").mkdir()
    (tmp_path / "report.html").mkdir()
    refused("verify", "proposition-5", "--certificates", tmp_path, holds=("proposition-5.json", "folder"))
    monkeypatch.setattr("belm.demo.run", lambda *_, **__: pytest.fail("ran"))
    refused("demo", "--out", tmp_path, holds=("report.html", "folder"))


def test_a_name_that_was_not_known_is_found_before_any_file_is_moved(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="a folder has that name"), staged(tmp_path) as stage:
        for name in "abc":
            (stage / name).write_text(name)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
