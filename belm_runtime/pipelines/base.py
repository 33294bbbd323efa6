"""What both schedulers share towards diffusers: settings, step, and the two directions.

How a user meets them:

    set_timesteps     builds the grid and forgets the last run
    step              one relation; the first call of a run starts from the sample that it is given
    state             the last k states
    inverse, resume   the scheduler of the way back, and of the way on, from a State or anew

Which step a call belongs to, and what it continues from, is in `belm_runtime.pipelines.loop`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin
from diffusers.schedulers.scheduling_utils import SchedulerMixin, SchedulerOutput
from typing_extensions import Self

from belm_runtime import designs
from belm_runtime.errors import InputError, unknown
from belm_runtime.frame import Frame
from belm_runtime.methods import parse
from belm_runtime.pipelines.loop import Loop
from belm_runtime.run import described
from belm_runtime.sampler import ARITHMETIC
from belm_runtime.state import State


class MultistepScheduler(Loop, SchedulerMixin, ConfigMixin):
    """A scheduler of diffusers around a run; its settings are in the subclasses."""

    order = 1
    init_noise_sigma = 1.0

    # ---- settings -----------------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """A scheduler with the settings of another one: ``X.from_config(pipe.scheduler.config, method="open:k=3")``.

        Everything the other scheduler runs with is kept, its defaults too.

        Raises:
            InputError: the other scheduler does something that these methods cannot; the message says what.
        """
        if not isinstance(config, Mapping):
            return super().from_config(config, return_unused_kwargs, **kwargs)
        own = inspect.signature(cls).parameters
        if strange := set(kwargs) - set(own) - set(config):
            raise unknown("setting", min(strange), own)
        return super().from_config(cls._adopted({**config, **kwargs}), return_unused_kwargs)

    @classmethod
    def _adopted(cls, config: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _check_settings(self) -> None:
        """Refuse wrong names early, and write method and frame in the one way that JSON can hold."""
        # A design is known by its name until there is a grid.
        method, frame = parse(self.config.method, steps=1), self.config.frame
        if method.stages:
            raise InputError(
                f"{method} calls the model twice a step, but a pipeline calls it once; use open:k=3 or blend:k=3"
            )
        for name, known in (("start", designs.STARTS), ("arithmetic", ARITHMETIC)):
            if self.config[name] not in known and not (name == "start" and self.config.start is None):
                raise unknown(name, self.config[name], known)
        # The config names its class from the start, and leaves nothing to the defaults of schedulers made from it.
        self.register_to_config(
            method=str(method) if designs.find(self.config.method) is None else designs.resolvable(self.config.method),
            frame=None if frame is None else str(Frame.parse(frame)),
            _class_name=type(self).__name__, _use_default_values=[],
        )  # fmt: skip

    def __len__(self) -> int:
        """The number of training timesteps."""
        return int(self.config.num_train_timesteps)

    # ---- the two directions ------------------------------------------------------------------------------------------

    def inverse(self, state: State | None = None, *, stop: int | None = None, approximate: bool = False) -> Self:
        """The scheduler of the other direction, on the same grid if there is one.

        With a State the run retraces the steps that made it; hand over `first` as the sample. Without one it starts
        anew from whatever sample it is given: x_0, and only approximately the way that made it.

        Args:
            state: what `state` returned at the end of a run.
            stop: the node to stop at; default N (the noise), or 0.
            approximate: for methods without inverse, from a bare x_0: Adams–Bashforth upwards (DDIM inversion).

        Raises:
            InputError: a method without inverse, or a State of another method or grid.
        """
        return self._turned(not self.config.inverse, state, stop, approximate)

    def resume(self, state: State, *, stop: int | None = None) -> Self:
        """The scheduler of the same direction that goes on from a State; hand over `first` as the sample."""
        return self._turned(bool(self.config.inverse), state, stop, False)

    def _turned(self, inverse: bool, state: State | None, stop: int | None, approximate: bool) -> Self:
        if approximate and state is not None:
            raise InputError("approximate inversion starts from a bare x_0, not from a State")
        other: Self = type(self).from_config({**self.config, "inverse": inverse})
        other._origin, other._stop, other._approximate = state, stop, approximate
        if self._route is not None:
            other._set_out(self._route.sampler.grid, self._node_times, self.timesteps.device)
        return other

    # ---- the loop ----------------------------------------------------------------------------------------------------

    def scale_model_input(self, sample: torch.Tensor, timestep: Any = None) -> torch.Tensor:
        """The sample itself: states are alpha·D + sigma·eps at every node, as the network was trained."""
        return sample

    def step(
        self, model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, eta: float = 0.0,
        generator: Any = None, return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:  # fmt: skip
        """The sample at the next node.

        Args:
            model_output: the network's prediction at (sample, timestep), of the sample's shape.
            timestep: one of `timesteps`, best as it comes out of a loop over them.
            sample: the last result, or any other sample of that node; with another one the history starts anew.
            eta: must be 0: these methods solve the ODE and draw no noise.
            generator: not used.
            return_dict: return an object with `prev_sample`, else a tuple.

        Raises:
            InputError: eta, a shape, or a call before `set_timesteps`.
            NotFiniteError: in the last step, if any step of the run made a NaN or overflowed.
        """
        if eta:
            raise InputError(f"eta = {eta} draws fresh noise in each step, which no inverse can undo; use eta = 0")
        if model_output.shape != sample.shape:
            raise InputError(
                f"the model returned {described(model_output)} for a sample of shape {tuple(sample.shape)}; they must "
                "agree (of a network that also predicts a variance keep the channels of the mean)"
            )
        if torch.is_inference_mode_enabled():
            # Tensors of inference mode do not count what is written into them.
            with torch.inference_mode(False), torch.no_grad():
                new = self._advanced(model_output, timestep, sample)
        else:
            new = self._advanced(model_output, timestep, sample)
        return SchedulerOutput(prev_sample=new) if return_dict else (new,)
