"""`belm sample --batch-size`: the same bits over any number of processes, and nothing lost when a run is killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from belm.cli.app import main
from belm_runtime import Sampler, Schedule, State, digits
from belm_runtime.shards import SETTINGS, Shards

SMALL = ["--steps", "6", "--num", "10", "--batch-size", "4", "--seed", "3", "--label", "all"]
# Long enough to be killed in the middle: about 0.2 s a shard.
LONG = ["--steps", "50", "--num", "62", "--batch-size", "4", "--label", "all", "--states"]


def contents(folder: Path) -> dict[str, tuple[object, ...]]:
    """What every shard holds, bit for bit."""
    found = {}
    for path in sorted(folder.glob("shard-*")):
        state = State.load(path)
        found[path.name] = (state.nodes, state.calls, *((x.dtype, x.shape, x.numpy().tobytes()) for x in state.history))
    return found


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "run"
    assert main(["sample", *SMALL, "--states", "--out", str(folder)]) == 0
    return folder


# ---- what is written ---------------------------------------------------------------------------------------


def test_shards_are_the_samples_of_one_batch_after_the_other(sampled, tmp_path):
    assert sorted(os.listdir(sampled)) == [*(f"shard-0000{i}.safetensors" for i in range(3)), SETTINGS]
    states = [State.load(sampled / f"shard-0000{i}.safetensors") for i in range(3)]
    assert [len(state.x) for state in states] == [4, 4, 2]
    one = [*SMALL[:2], "--num", "10", *SMALL[6:]]
    assert main(["sample", *one, "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["label"] == list(range(10))
    # The same samples by another batch size: the same numbers up to rounding.
    whole = State.load(tmp_path / "state.safetensors").x
    torch.testing.assert_close(torch.cat([state.x for state in states]), whole, rtol=0, atol=1e-11)


def test_the_last_batch_is_sampled_in_full(sampled):
    grid = Schedule.preset("ddpm").grid(6)
    model = digits.denoiser(label=[8, 9, 0, 1], dtype=torch.float64)
    full = Sampler("blend:k=3", grid).sample(model, grid.noise((4, 1, 8, 8), 3, first=8))
    last = State.load(sampled / "shard-00002.safetensors")
    assert all(torch.equal(x, y[:2]) for x, y in zip(last.history, full.history, strict=True))


def test_labels_take_turns_over_all_samples(run, tmp_path):
    assert run("sample", *SMALL[:6], "--label", "3,1,4", "--out", tmp_path / "turns").code == 0
    assert run("sample", *SMALL[:6], "--label", "1", "--out", tmp_path / "ones").code == 0
    turns, ones = (
        torch.cat([State.load(p).x for p in sorted((tmp_path / n).glob("shard-*"))]) for n in ("turns", "ones")
    )
    same = [bool((a - b).abs().max() < 1e-11) for a, b in zip(turns, ones, strict=True)]
    assert same == [j % 3 == 1 for j in range(10)]


def test_settings_say_what_the_bits_depend_on(sampled):
    record = json.loads((sampled / SETTINGS).read_text())
    expected = {"method": "blend:k=3,theta=0.8", "schedule": "ddpm", "spacing": "leading", "steps": 6, "seed": 3,
                "num": 10, "batch_size": 4, "label": list(range(10)), "device": "cpu", "states": True,
                "arithmetic": "float64"}  # fmt: skip
    assert expected.items() <= record.items()
    assert set(record["made_with"]) == {"belm", "torch", "numpy", "machine", "hardware"}


def test_json_is_one_object_and_a_second_run_has_nothing_to_do(run, sampled, monkeypatch):
    before = contents(sampled)
    monkeypatch.setattr("belm_runtime.sampler.Sampler.sample", lambda *_: pytest.fail("sampled"))
    code, out, err = run("sample", *SMALL, "--states", "--out", sampled, "--format", "json")
    record = json.loads(out)
    assert (code, err) == (0, "")
    assert (record["shards"], record["before"], record["finished"]) == (3, 3, 3) and record["out"] == str(sampled)
    assert "10 samples in 3 shards, 3 of them there before" in run("sample", *SMALL, "--states", "--out", sampled).out
    assert contents(sampled) == before


def test_a_shard_inverts_with_its_own_labels_and_noise(run, sampled, tmp_path):
    last = sampled / "shard-00002.safetensors"
    code, out, _ = run("invert", "--state", last, "--out", tmp_path, "--format", "json")
    found = json.loads(out)
    assert code == 0 and found["num"] == 2 and found["label"] == [8, 9] and found["error"]["max"] < 1e-11
    wrong = run("invert", "--state", last, "--label", "0", "--out", tmp_path, "--format", "json").out
    assert json.loads(wrong)["error"]["max"] > 1e-3


# ---- processes ---------------------------------------------------------------------------------------------


def test_two_processes_of_ours_make_the_same_bits(run, sampled, tmp_path):
    code, out, err = run("sample", *SMALL, "--states", "--processes", 2, "--out", tmp_path, "--format", "json")
    assert (code, err) == (0, "") and json.loads(out)["finished"] == 3
    assert contents(tmp_path) == contents(sampled)
    assert (tmp_path / SETTINGS).read_bytes() == (sampled / SETTINGS).read_bytes()


def test_a_launcher_says_who_makes_what(run, sampled, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, made in ((1, [1]), (0, [0, 1, 2])):
        monkeypatch.setenv("RANK", str(rank))
        code, out, err = run("sample", *SMALL, "--states", "--out", tmp_path)
        assert code == 0 and Shards(tmp_path, 10, 4).finished() == made
        assert ("process 1 of 2 is done; 1 of 3 shards are there" in err) == (rank == 1) == (out == "")
    assert contents(tmp_path) == contents(sampled)


def workers(launcher: psutil.Process) -> list[psutil.Process]:
    """A launcher and all it started, the launcher first."""
    return [launcher, *launcher.children(recursive=True)]


def kill_in_the_middle(command: list[str], shards: Shards) -> None:
    """Start a run and end all its processes with SIGKILL once three shards are there."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as launched:
        deadline = time.monotonic() + 120
        while len(shards.finished()) < 3:
            assert launched.poll() is None and time.monotonic() < deadline, launched.stdout.read().decode()
            time.sleep(0.005)
        running = workers(psutil.Process(launched.pid))
        for process in running:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(running, timeout=30)
    # The launcher and two workers at least.
    assert len(running) >= 3


def test_a_killed_run_of_two_processes_loses_only_the_shards_in_work(run, tmp_path):
    accelerate = pytest.importorskip("accelerate.commands.launch").__name__
    killed, shards = tmp_path / "killed", Shards(tmp_path / "killed", 62, 4)
    sample = ["-m", "belm", "sample", *LONG, "--out", str(killed)]
    kill_in_the_middle([sys.executable, "-m", accelerate, "--multi_gpu", "--num_processes", "2",
                        "--main_process_port", "0", *sample], shards)  # fmt: skip
    there = {i: shards.path(i).stat().st_mtime_ns for i in shards.finished()}
    assert 3 <= len(there) < len(shards)
    (killed / f".{'ab' * 16}.tmp").write_bytes(b"half a shard")

    code, out, _ = run("sample", *LONG, "--out", killed, "--format", "json")
    assert code == 0 and json.loads(out)["before"] == len(there)
    assert {i: shards.path(i).stat().st_mtime_ns for i in there} == there
    assert run("sample", *LONG, "--out", tmp_path / "undisturbed").code == 0
    assert contents(killed) == contents(tmp_path / "undisturbed") and len(contents(killed)) == len(shards)
    assert sorted(os.listdir(killed)) == sorted(os.listdir(tmp_path / "undisturbed"))


@pytest.mark.parametrize("made", [0, 1])
def test_children_end_with_a_killed_parent(tmp_path, made):
    # So many that they cannot be done before the kill, however busy the machine is.
    shards = Shards(tmp_path, 4000, 4)
    endless = [*LONG, "--num", "4000", "--processes", "2"]
    command = [sys.executable, "-m", "belm", "sample", *endless, "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as parent:
        deadline, started = time.monotonic() + 120, psutil.Process(parent.pid)
        # Killed in the middle of the work, and as soon as its children are there, long before they have imported torch.
        while len(children := started.children(recursive=True)) < 2 or len(shards.finished()) < made:
            assert parent.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=60)
    for orphan in alive:
        orphan.kill()
    assert not alive and len(shards.finished()) < len(shards)


# ---- what is refused, and what fails -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["--steps", "7"], ("steps is 6 there and 7 here", "grid")),
        (["--method", "open:k=3"], ("method", "blend:k=3,theta=0.8", "open:k=3")),
        (["--seed", "4"], ("seed is 3 there and 4 here",)),
        (["--num", "11"], ("num is 10 there and 11 here",)),
        (["--batch-size", "5"], ("batch_size is 4 there and 5 here",)),
        (["--label", "7"], ("label",)),
        (["--arithmetic", "float32"], ("arithmetic",)),
    ],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_folder_with_another_run_is_refused(refused, sampled, arguments, holds, processes):
    before = contents(sampled)
    refused("sample", *SMALL, "--states", "--processes", processes, *arguments, "--out", sampled,
            holds=("other settings", str(sampled), *holds))  # fmt: skip
    assert contents(sampled) == before


def test_the_same_method_in_other_words_is_the_same_run(run, sampled):
    same = ["--method", "blend:k=3,theta=4/5", "--frame", "flow", "--spacing", "leading"]
    assert run("sample", *SMALL, "--states", *same, "--out", sampled).code == 0


def test_another_version_of_a_library_is_another_run(refused, sampled, monkeypatch):
    monkeypatch.setattr("numpy.__version__", "1.0")
    refused("sample", *SMALL, "--states", "--out", sampled, holds=("made_with.numpy", '"1.0" here'))


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["--batch-size", "0"], ("batch size", "not 0")),
        (["--num", "0"], ("--num 0", "≥ 1")),
        (["--processes", "0"], ("--processes 0", "≥ 1")),
        (["--seed", "-1"], ("seed", "-1")),
        (["--label", "10"], ("10", "0 … 9")),
        (["--label", "0,1,12"], ("12", "0 … 9")),
        (["--label", "0,1,2", "--num", "2"], ("3 labels", "batch of 2")),
        (["--guidance", "nan", "--label", "1"], ("nan", "finite")),
        (["--device", "nowhere"], ("'nowhere'", "device")),
        (["--device", "meta:x"], ("'meta:x'", "device")),
        (["--model", "google/ddpm"], ("'google/ddpm'", "digits")),
    ],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_wrong_calls_leave_nothing(refused, tmp_path, arguments, holds, processes):
    refused("sample", *SMALL, "--processes", processes, "--out", tmp_path / "a" / "b", *arguments, holds=holds)
    assert not list(tmp_path.iterdir())


def test_shards_only_with_a_batch_size(refused, tmp_path, monkeypatch):
    plain = ["sample", "--num", 4, "--steps", 6, "--out", tmp_path / "a"]
    refused(*plain, "--states", holds=("--batch-size",))
    refused(*plain, "--processes", 2, holds=("--batch-size",))
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(*plain, holds=("--batch-size",))
    refused("sample", *SMALL, "--processes", 2, "--out", tmp_path / "a", holds=("--processes 2", "launcher", "2"))
    monkeypatch.setenv("RANK", "2")
    refused("sample", *SMALL, "--out", tmp_path / "a", holds=("RANK=2", "WORLD_SIZE=2"))
    monkeypatch.setenv("RANK", "two")
    refused("sample", *SMALL, "--out", tmp_path / "a", holds=("RANK=two",))
    assert not list(tmp_path.iterdir())


def test_a_model_that_fails_is_exit_code_1_and_names_the_shard(run, monkeypatch, tmp_path):
    good = digits.denoiser

    def failing(label, **options):
        model = good(label=label, **options)
        return (lambda x, t: x * float("nan")) if isinstance(label, list) and label[0] == 4 else model

    monkeypatch.setattr(digits, "denoiser", failing)
    code, out, err = run("sample", *SMALL, "--out", tmp_path)
    assert (code, out) == (1, "") and "shard 1, from sample 4" in err and err.count("\n") == 1
    assert Shards(tmp_path, 10, 4).finished() == [0]


def test_a_file_in_the_place_of_the_folder(refused, tmp_path):
    (tmp_path / "file").write_text("here")
    refused("sample", *SMALL, "--out", tmp_path / "file", holds=("cannot write", "file"))
    assert (tmp_path / "file").read_text() == "here"


def test_a_full_disk_is_exit_code_1_and_keeps_finished_shards(run, sampled, tmp_path):
    small, large = ([*SMALL[:4], "--batch-size", size, "--out", tmp_path / size] for size in ("1", "8"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert run("sample", *large).code == 0
    (tmp_path / "8" / "shard-00001.safetensors").unlink()
    first = (tmp_path / "8" / "shard-00000.safetensors").read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1200, hard))
    try:
        assert run("sample", *small).code == 0
        code, out, err = run("sample", *large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, out) == (1, "") and err.startswith("error: cannot write") and "shard-00001" in err
    assert sorted(os.listdir(tmp_path / "8")) == ["shard-00000.safetensors", SETTINGS]
    assert (tmp_path / "8" / "shard-00000.safetensors").read_bytes() == first
    assert run("sample", *large).code == 0


def test_a_child_that_fails_says_so_once_and_its_exit_code_is_ours(capfd, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        # One shard, so that one of the two children has nothing to do.
        code = main(["sample", *SMALL, "--num", "3", "--processes", "2", "--out", str(tmp_path)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    out, err = capfd.readouterr()
    assert (code, out) == (1, "") and err.startswith("error: cannot write") and err.count("\n") == 1
    assert os.listdir(tmp_path) == [SETTINGS]
