"""`belm sample --batch-size`: many samples, in shards, over as many processes as there are.

Processes come from a launcher that sets RANK and WORLD_SIZE (accelerate launch, torchrun), or from ``--processes``,
which starts them here. Either way each makes its own shards of one folder; see `belm_runtime.shards`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import typer

from belm.cli.failures import guarded
from belm.cli.progress import bar
from belm.cli.setup import Setup, labels_of, resolved
from belm_runtime.errors import InputError

if TYPE_CHECKING:
    import torch

    from belm.cli.loaded import Loaded
    from belm_runtime.sampler import Sampler
    from belm_runtime.shards import Shards
    from belm_runtime.state import State

Report = Callable[..., None]

#: Seconds between two looks at the folder by a process that only shows the progress.
_GLANCE = 0.5


@dataclass(frozen=True)
class Job:
    """What every process is told.

    Attributes:
        setup: model, method, grid; several labels take turns over all samples.
        shards: the folder, how many samples, the batch size.
        seed: the seed of the noise.
        history: whether to keep the states that an exact inversion needs.
    """

    setup: Setup
    shards: Shards
    seed: int
    history: bool

    def run(self, processes: int, rank: int, world: int, local: int) -> dict[str, Any]:
        """Make this process's shards, or start `processes` of them and watch.

        Returns:
            What shards.json says, how many shards there are, were there before and are there now, and the seconds.
        """
        from belm_runtime.shards import read

        begin, before = time.perf_counter(), len(self.shards.finished())
        with bar("sampling") if rank == 0 else nullcontext() as report:
            if processes > 1:
                self.prepare(local)
                self._spread(processes, report)
            else:
                self.work(rank, world, local, report)
        counts = {"shards": len(self.shards), "before": before, "finished": len(self.shards.finished())}
        seconds = time.perf_counter() - begin
        return {**read(self.shards.folder), **counts, "seconds": seconds, "out": str(self.shards.folder)}

    def work(self, rank: int, world: int, local: int, report: Report | None = None) -> None:
        """Make the shards of one process."""
        sample = self.prepare(local, report)
        self.shards.fill(sample, rank, world, history=self.history)

    def prepare(self, local: int, report: Report | None = None) -> Callable[[int], State]:
        """Check everything, claim the folder, and return what samples a batch from the index of its first sample."""
        batch, number, done = self.shards.batch, self.shards.number, 0

        def advance(step: int, steps: int) -> None:
            if report is not None:
                report(done + batch * step / steps, number)

        def sample(first: int) -> State:
            nonlocal done
            done = self.shards.samples()
            noise = sampler.grid.noise((batch, *loaded.shape), self.seed, first=first)
            return sampler.sample(loaded.under(labels_of(self.setup.label, batch, first)), noise.to(place))

        place = self.setup.place(local)
        loaded = self.setup.load(place)
        sampler = loaded.sampler(advance)
        # A wrong seed, label or guidance is found here, before anything is written.
        sampler.grid.noise((1,), self.seed)
        loaded.under(self.setup.label)
        _fix_kernels(place)
        self.shards.claim(self._settings(loaded, sampler, place))
        return sample

    def _settings(self, loaded: Loaded, sampler: Sampler, place: torch.device) -> dict[str, Any]:
        """Everything the bits of a sample depend on."""
        return {**self.setup.record(), **resolved(sampler), "seed": self.seed, "states": self.history,
                "fingerprint": loaded.fingerprint, "grid": sampler.grid.fingerprint,
                "made_with": _made_with(place)}  # fmt: skip

    def _spread(self, processes: int, report: Report | None) -> None:
        """Start the processes, show what they have finished, and end with the first that fails."""
        from torch.multiprocessing.spawn import ProcessExitedException, spawn

        # Daemons end with this process, and see for themselves if it is killed.
        context = spawn(_child, (self, processes), nprocs=processes, join=False, daemon=True)
        try:
            while not context.join(timeout=_GLANCE):
                if report is not None:
                    report(self.shards.samples(), self.shards.number)
        except ProcessExitedException as error:
            if error.exit_code > 0:
                raise typer.Exit(error.exit_code) from None
            raise OSError(f"process {error.error_index} was ended by {error.signal_name}; finished shards are kept, "
                          "and the same command goes on") from None  # fmt: skip


def place_among() -> tuple[int, int, int]:
    """(rank, number of processes, rank on this machine) as a launcher says, (0, 1, 0) without one.

    Raises:
        InputError: if what it says makes no sense.
    """
    texts = {name: os.environ.get(name, usual) for name, usual in (("RANK", "0"), ("WORLD_SIZE", "1"))}
    texts["LOCAL_RANK"] = os.environ.get("LOCAL_RANK", texts["RANK"])
    try:
        rank, world, local = map(int, texts.values())
    except ValueError:
        rank, world, local = 0, 0, 0
    if not (0 <= rank < world and local >= 0):
        said = ", ".join(f"{name}={text}" for name, text in texts.items())
        raise InputError(f"the launcher's {said} must be numbers with 0 ≤ RANK < WORLD_SIZE")
    return rank, world, local


def _child(rank: int, job: Job, processes: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def work() -> None:
        try:
            job.work(rank, processes, rank)
        except KeyboardInterrupt:
            # Interrupted together with its parent, which says so.
            sys.exit(130)

    sys.exit(guarded(work))


def _end_with_parent() -> None:
    # Not left to a signal at the parent's death, which comes too late for one that has died while this process started.
    # What is in work is lost, as if this process had been killed too; shards get their names only when they are whole.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _fix_kernels(place: torch.device) -> None:
    """One thread and deterministic kernels: sums are then split alike, however many processes share the machine."""
    import torch

    torch.set_num_threads(1)
    if place.type == "cuda":
        # cuBLAS sums in a fixed order only with a workspace of fixed size.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False


def _made_with(place: torch.device) -> dict[str, str]:
    """Versions and hardware on which the kernels, and so the bits, depend."""
    import numpy as np
    import torch

    from belm_runtime.state import made_with

    cuda = place.type == "cuda"
    hardware = torch.cuda.get_device_name(place) if cuda else torch.backends.cpu.get_cpu_capability()
    return {"belm": version("belm"), "numpy": np.__version__, "torch": torch.__version__,
            "machine": made_with()["machine"], "hardware": hardware}  # fmt: skip
