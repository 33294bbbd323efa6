"""States on disk: bit for bit, whole or not at all, and never a damaged one."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

import belm_runtime.state
from belm_runtime import InputError, Sampler, Schedule, State

GRID = Schedule.preset("sd15").grid(10)


def toy(x: Tensor, t: Tensor) -> Tensor:
    return torch.tanh(x)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def bits(x: Tensor) -> bytes:
    return x.contiguous().numpy().tobytes()


def assert_same(one: State, other: State) -> None:
    assert replace(one, history=()) == replace(other, history=())
    assert [(h.dtype, h.shape, bits(h)) for h in one.history] == [(h.dtype, h.shape, bits(h)) for h in other.history]


@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
@pytest.mark.parametrize("method", ["ddim", "o-belm", "blend:k=5,theta=1/3", "edict", "open:k=3"])
def test_a_state_comes_back_bit_for_bit_and_goes_on(method: str, arithmetic: str, tmp_path: Path) -> None:
    sampler = Sampler(method, GRID, arithmetic=arithmetic)
    part = sampler.sample(toy, noise(2, 3, 4), stop=4)
    path = part.save(tmp_path / "s.safetensors")
    assert path == tmp_path / "s.safetensors" and os.listdir(tmp_path) == ["s.safetensors"]
    loaded = State.load(path)
    assert_same(loaded, part)
    assert loaded.nodes == part.nodes and loaded.calls == part.calls and loaded.steps == 10
    assert_same(sampler.sample(toy, loaded), sampler.sample(toy, part))


@pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, 1e308, float("inf"), float("nan")])
def test_odd_numbers_keep_their_bits(value: float, tmp_path: Path) -> None:
    state = Sampler("ddim", GRID).state([torch.full((1, 2), value, dtype=torch.float64)], [3])
    assert_same(State.load(state.save(str(tmp_path / "s"))), state)


def test_histories_of_views_are_written_as_they_look(tmp_path: Path) -> None:
    block = noise(3, 2, 4)
    for history in ([block[0], block[0]], [block[0:2], block[1:3]], list(block.unbind(0)), [b.T for b in block]):
        sampler = Sampler("open:k=3", GRID)
        state = sampler.state(history, range(len(history)))
        loaded = State.load(state.save(tmp_path / "s"))
        assert all(torch.equal(a, b) for a, b in zip(loaded.history, history, strict=True))
        assert_same(State.load(loaded.save(tmp_path / "again")), loaded)
    graph = noise(1, 2).requires_grad_()
    assert not State.load(Sampler("ddim", GRID).state([graph], [0]).save(tmp_path / "s")).x.requires_grad


def test_node_indices_of_numpy_are_plain_numbers_on_disk(tmp_path: Path) -> None:
    state = Sampler("o-belm", GRID).state([noise(1, 2), noise(1, 2)], np.arange(4, 6))  # type: ignore[arg-type]
    assert State.load(state.save(tmp_path / "s")).nodes == (4, 5)


def test_a_loaded_state_does_not_follow_its_file(tmp_path: Path) -> None:
    sampler = Sampler("o-belm", GRID)
    state, other = (sampler.sample(toy, noise(2, n)) for n in (3, 5))
    loaded = State.load(state.save(tmp_path / "s"))
    other.save(tmp_path / "s")
    assert_same(loaded, state)
    (tmp_path / "s").write_bytes(b"\0" * (tmp_path / "s").stat().st_size)
    assert_same(loaded, state)


def test_what_made_it_is_on_record(tmp_path: Path) -> None:
    state = State.load(Sampler("blend:k=3", GRID).sample(toy, noise(2, 3)).save(tmp_path / "s"))
    assert (state.method, state.frame, state.grid) == ("blend:k=3,theta=0.8", "flow", GRID.fingerprint)
    assert state.versions["torch"] == torch.__version__ and set(state.versions) == {"torch", "python", "machine"}


# ---- damage ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("damage") / "s"
    Sampler("o-belm", GRID).sample(toy, noise(1, 3)).save(path)
    return path, path.read_bytes()


def test_every_truncation_is_refused(written: tuple[Path, bytes]) -> None:
    path, whole = written
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="cannot read state"):
            State.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(InputError):
        State.load(path)


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(max_examples=300)
def test_every_flipped_bit_is_noticed(written: tuple[Path, bytes], place: int, bit: int) -> None:
    path, whole = written
    damaged = bytearray(whole)
    damaged[place % len(whole)] ^= 1 << bit
    path.write_bytes(damaged)
    with pytest.raises(InputError):
        State.load(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot read state .*header too small"),
        (b"a picture, not a state, and long enough for a header", "cannot read state"),
        (struct.pack("<Q", 2) + b"{}", "is no belm state: format None"),
        (struct.pack("<Q", 2**60) + b"{}", "cannot read state"),
    ],
)
def test_other_bytes_are_no_state(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(InputError, match=words):
        State.load(tmp_path / "s")


def test_foreign_safetensors_are_no_state(tmp_path: Path) -> None:
    tensors = {"x0": noise(2, 3)}
    for metadata in (None, {"format": "pt"}, {"format": "belm-state-0"}):
        save_file(tensors, tmp_path / "s", metadata)
        with pytest.raises(InputError, match="is no belm state"):
            State.load(tmp_path / "s")
    save_file(tensors, tmp_path / "s", {"format": "belm-state-1"})
    with pytest.raises(InputError, match="is damaged"):
        State.load(tmp_path / "s")


@pytest.mark.parametrize(
    "change",
    [{"nodes": [0, 1, 2]}, {"nodes": None}, {"surplus": 1}, {"method": ...}, {"record": "[]"}, {"record": "{"}, {}],
)
def test_a_record_that_does_not_fit_is_damage(change: dict[str, Any], tmp_path: Path) -> None:
    """Files whose checksum is right and whose record is not: written by another hand."""
    record: dict[str, Any] = {"method": "ddim", "frame": "flow", "grid": "", "steps": 1, "calls": 0, "nodes": [0]}
    for key, value in change.items():
        record.update({key: value})
        if value is ...:
            del record[key]
    text = change.get("record", json.dumps(record))
    metadata = {"format": "belm-state-1", "record": text, "versions": "{}" if change else "{"}
    tensors = {"x0": noise(1, 2)}
    digest = belm_runtime.state._digest(tensors, metadata)
    save_file(tensors, tmp_path / "s", {**metadata, "sha256": digest})
    with pytest.raises(InputError, match="is damaged"):
        State.load(tmp_path / "s")


# ---- places ------------------------------------------------------------------------------------------------


def test_places_that_cannot_be_written_are_named_and_left_clean(tmp_path: Path) -> None:
    state = Sampler("ddim", GRID).sample(toy, noise(1, 3))
    (tmp_path / "file").write_text("something")
    (tmp_path / "folder").mkdir()
    before = sorted(os.listdir(tmp_path))
    for place, reason in (
        (tmp_path / "missing" / "s", "No such file or directory"),
        (tmp_path / "file" / "s", "Not a directory"),
        (tmp_path / "folder", "Is a directory"),
        (tmp_path / ("s" * 300), "File name too long"),
        (Path("/proc/s"), "."),
    ):
        with pytest.raises(InputError, match=f"cannot write .*: .*{reason}") as caught:
            state.save(place)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot write state '': it names no file"):
        state.save("")
    assert sorted(os.listdir(tmp_path)) == before and not os.listdir(tmp_path / "folder")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_state(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler("ddim", GRID)
    old, new = (sampler.sample(toy, noise(1, n)) for n in (3, 4))
    old.save(tmp_path / "s")

    def failing(*args: Any) -> None:
        raise error

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(type(error)):
        new.save(tmp_path / "s")
    assert os.listdir(tmp_path) == ["s"]
    assert_same(State.load(tmp_path / "s"), old)


def test_the_name_is_taken_over_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[tuple[Path, Path]] = []
    replace_file = os.replace

    def noting(source: Path, target: Path) -> None:
        assert_same(State.load(source), state)
        assert source.parent == target.parent == tmp_path and not target.exists()
        moves.append((source, target))
        replace_file(source, target)

    state = Sampler("ddim", GRID).sample(toy, noise(1, 3))
    monkeypatch.setattr(os, "replace", noting)
    state.save(tmp_path / "s")
    assert len(moves) == 1 and os.listdir(tmp_path) == ["s"]


def test_places_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for place in (tmp_path / "missing", tmp_path):
        with pytest.raises(InputError, match="cannot read state"):
            State.load(place)
    path = Sampler("ddim", GRID).sample(toy, noise(1, 3)).save(tmp_path / "s")
    with pytest.raises(InputError, match="cannot put the state on device 'nowhere'"):
        State.load(path, device="nowhere")


# ---- samples of a state, and states joined -------------------------------------------------------------------


def test_samples_of_a_state_joined_again_are_the_state() -> None:
    sampler = Sampler("open:k=3", Schedule.preset("ddpm").grid(6))
    whole = sampler.sample(lambda x, t: 0.5 * x, sampler.grid.noise((3, 4), 0))
    parts = [whole[n : n + 1] for n in range(3)]
    assert parts[1].x.shape == (1, 4) and parts[1].nodes == whole.nodes
    joined = State.joined(parts)
    assert all(torch.equal(a, b) for a, b in zip(joined.history, whole.history, strict=True))
    assert joined.calls == 3 * whole.calls
    back = sampler.invert(lambda x, t: 0.5 * x, State.from_bytes(parts[2].to_bytes()))
    assert float((back.x - sampler.grid.noise((1, 4), 0, first=2)).abs().max()) < 1e-11


def test_states_of_different_runs_are_not_joined() -> None:
    grid = Schedule.preset("ddpm").grid(6)

    def run(method: str, shape: tuple[int, ...], stop: int = 0, arithmetic: str = "float64") -> State:
        sampler = Sampler(method, grid, arithmetic=arithmetic)
        return sampler.sample(lambda x, t: 0.5 * x, grid.noise(shape, 0), stop=stop)

    first = run("open:k=3", (2, 4))
    for other, word in (
        (run("blend:k=3", (2, 4)), "method"), (run("open:k=3", (2, 4), stop=1), "nodes"),
        (run("open:k=3", (2, 5)), "kind"), (run("open:k=3", (2, 4), arithmetic="float32"), "kind"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"the same {word}"):
            State.joined([first, other])


def test_bytes_that_are_no_state_are_named() -> None:
    for data in (b"", b"1234567", b"\x10" + bytes(20), bytes(100)):
        with pytest.raises(InputError, match="cannot read state 'there'"):
            State.from_bytes(data, "there")
