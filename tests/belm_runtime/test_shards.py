"""Shards: which samples are where, whose they are, and what a folder refuses."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from belm_runtime import InputError, NotFiniteError, Sampler, Schedule, State
from belm_runtime.shards import SETTINGS, Shards, locate, read

GRID = Schedule.preset("ddpm").grid(6)
SAMPLER = Sampler("open:k=3", GRID)


def toy(x: Tensor, t: Tensor) -> Tensor:
    return torch.tanh(x) * 0.3


class Counted:
    """A sampler of batches that remembers what it was asked for."""

    def __init__(self, batch: int, fail_at: int | None = None) -> None:
        self.batch, self.fail_at, self.asked = batch, fail_at, list[int]()

    def __call__(self, first: int) -> State:
        self.asked.append(first)
        if first == self.fail_at:
            raise NotFiniteError("step 2 of 6: not finite")
        return SAMPLER.sample(toy, GRID.noise((self.batch, 3), seed=5, first=first))


def gathered(shards: Shards) -> Tensor:
    return torch.cat([State.load(shards.path(i)).x for i in range(len(shards))])


@given(number=st.integers(1, 400), batch=st.integers(1, 60), processes=st.integers(1, 9))
def test_every_sample_is_in_one_shard_and_every_shard_has_one_process(number: int, batch: int, processes: int) -> None:
    shards = Shards(Path("nowhere"), number, batch)
    held = [j for i in range(len(shards)) for j in range(shards.first(i), shards.first(i) + shards.size(i))]
    assert held == list(range(number)) and min(map(shards.size, range(len(shards)))) > 0
    shares = [list(shards.remaining(rank, processes)) for rank in range(processes)]
    assert sorted(i for share in shares for i in share) == list(range(len(shards)))
    assert max(map(len, shares)) <= min(map(len, shares)) + 1


def test_shards_hold_the_samples_of_full_batches(tmp_path: Path) -> None:
    shards, sample = Shards(tmp_path, 10, 4), Counted(4)
    shards.fill(sample)
    assert sample.asked == [0, 4, 8] and sorted(os.listdir(tmp_path)) == [shards.path(i).name for i in range(3)]
    padded = torch.cat([SAMPLER.sample(toy, GRID.noise((4, 3), 5, first=first)).x for first in (0, 4, 8)])
    assert torch.equal(gathered(shards), padded[:10])
    assert [len(State.load(shards.path(i)).history) for i in range(3)] == [1, 1, 1]


def test_a_history_inverts_and_x0_alone_does_not(tmp_path: Path) -> None:
    (tmp_path / "with").mkdir()
    kept, bare = Shards(tmp_path / "with", 7, 5), Shards(tmp_path, 7, 5)
    kept.fill(Counted(5), history=True)
    bare.fill(Counted(5))
    state = State.load(kept.path(1))
    assert state.nodes == (0, 1, 2) and {len(x) for x in state.history} == {2}
    back = SAMPLER.invert(toy, state)
    torch.testing.assert_close(back.x, GRID.noise((2, 3), 5, first=5), rtol=0, atol=1e-13)
    with pytest.raises(InputError, match="needs the last 3 states"):
        SAMPLER.invert(toy, State.load(bare.path(1)))


def test_the_number_of_samples_does_not_change_their_bits(tmp_path: Path) -> None:
    few, many = Shards(tmp_path / "few", 5, 4), Shards(tmp_path / "many", 8, 4)
    for shards in (few, many):
        shards.folder.mkdir()
        shards.fill(Counted(4))
    assert torch.equal(gathered(few), gathered(many)[:5])


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_processes_make_what_is_theirs_and_not_there(processes: int, tmp_path: Path) -> None:
    whole, shared = Shards(tmp_path / "whole", 26, 4), Shards(tmp_path / "shared", 26, 4)
    for shards in (whole, shared):
        shards.folder.mkdir()
    whole.fill(Counted(4))
    shared.write(3, Counted(4)(12), history=False)
    asked = []
    for rank in reversed(range(processes)):
        sample = Counted(4)
        shared.fill(sample, rank, processes)
        assert all(first // 4 % processes == rank for first in sample.asked)
        asked += sample.asked
    assert sorted(asked) == [0, 4, 8, 16, 20, 24]
    assert torch.equal(gathered(whole), gathered(shared))
    assert shared.finished() == list(range(7)) and shared.samples() == 26


def test_a_failure_keeps_what_is_finished_and_names_the_shard(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 12, 4)
    with pytest.raises(NotFiniteError, match="shard 1, from sample 4: step 2 of 6"):
        shards.fill(Counted(4, fail_at=4))
    assert shards.finished() == [0] and shards.samples() == 4
    again = Counted(4)
    shards.fill(again)
    assert again.asked == [4, 8]


def test_leftovers_of_killed_processes_go_when_all_is_there(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 8, 4)
    left, others = f".{'0a' * 16}.tmp", [".mine.tmp", "notes.txt"]
    for name in (left, *others):
        (tmp_path / name).write_text("half")
    shards.fill(Counted(4), 0, 2)
    assert left in os.listdir(tmp_path)
    shards.fill(Counted(4), 1, 2)
    assert sorted(os.listdir(tmp_path)) == sorted([*others, shards.path(0).name, shards.path(1).name])


def test_a_folder_belongs_to_the_run_that_claimed_it(tmp_path: Path) -> None:
    settings = {"method": "ddim", "steps": 50, "made_with": {"torch": "2", "machine": "m"}}
    folder = tmp_path / "a" / "b"
    Shards(folder, 10, 4).claim(settings)
    before = (folder / SETTINGS).read_bytes()
    Shards(folder, 10, 4).claim(dict(reversed(settings.items())))
    for shards, change, holds in [
        (Shards(folder, 10, 4), {"steps": 20}, "steps is 50 there and 20 here"),
        (Shards(folder, 12, 4), {}, "num is 10 there and 12 here"),
        (Shards(folder, 10, 5), {"method": "x"}, 'batch_size is 4 there and 5 here; method is "ddim" there and "x"'),
        (Shards(folder, 10, 4), {"made_with": {"torch": "3", "machine": "m"}}, 'made_with.torch is "2" there and "3"'),
        (Shards(folder, 10, 4), {"label": None}, 'label is "absent" there and null here'),
    ]:
        with pytest.raises(InputError, match="other settings") as caught:
            shards.claim({**settings, **change})
        assert holds in str(caught.value) and str(folder) in str(caught.value)
        assert "machine" not in str(caught.value)
    assert (folder / SETTINGS).read_bytes() == before and os.listdir(folder) == [SETTINGS]


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"cannot write .*file"):
            Shards(folder, 1, 1).claim({})
    for content in ("{", "[]"):
        (tmp_path / SETTINGS).write_text(content)
        with pytest.raises(InputError, match=SETTINGS):
            Shards(tmp_path, 1, 1).claim({})
        with pytest.raises(InputError, match=SETTINGS):
            locate(tmp_path / "shard-00000.safetensors")
    (tmp_path / SETTINGS).write_text(json.dumps({"num": 3}))
    with pytest.raises(InputError, match="lacks 'batch_size'"):
        locate(tmp_path / "shard-00000.safetensors")


@pytest.mark.parametrize(("number", "batch"), [(0, 4), (4, 0), (-1, 4), (4, 2.5), (math.inf, 1), (True, 1)])
def test_numbers_below_one_are_refused(number: int, batch: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whole number ≥ 1"):
        Shards(tmp_path, number, batch)


def test_a_shard_knows_where_it_belongs(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 10, 4)
    shards.claim({"seed": 3})
    found = locate(shards.path(2))
    assert found == (shards, 2, {"seed": 3, "num": 10, "batch_size": 4}) and found[2] == read(tmp_path)
    assert locate(tmp_path / "state.safetensors") is None
    assert locate(tmp_path / "other" / "shard-00002.safetensors") is None
