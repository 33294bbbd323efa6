"""A pipeline as a bare model, with the sampler, the pictures and the noise that go with it.

    on = Adapter(pipe, 50, method="open:k=3")
    model = on.model(prompt="a cat", guidance_scale=7.5)        # model(x, t), for any sampler on this grid
    state = on.sampler.sample(model, on.noise())
    on.decode(state.x)

The states stay in the sampler's arithmetic; the network gets them in its own dtype, and is told what its pipeline would
tell it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from belm_runtime.errors import InputError
from belm_runtime.grid import whole
from belm_runtime.guidance import Varying, Weight, weighted
from belm_runtime.models import Model
from belm_runtime.pipelines.families import Size, family_of
from belm_runtime.pipelines.pictures import check_output
from belm_runtime.run import Progress, described
from belm_runtime.sampler import Sampler
from belm_runtime.schedule import Schedule
from belm_runtime.state import State

#: Told before each call of the network: the number of the call, the network's time, and the state it is asked about.
Callback = Callable[[int, float, Tensor], None]


class Adapter:
    """A pipeline on one grid and for one size.

    Attributes:
        family: what the pipeline is made of.
        size: of the pictures, (height, width); of sound (samples,).
    """

    def __init__(
        self, pipe: Any, num_inference_steps: int = 50, *, size: Size | None = None, progress: Progress | None = None,
        **settings: Any,
    ) -> None:  # fmt: skip
        """Read the pipeline and make its grid; the pipeline itself is not changed.

        Args:
            pipe: a pipeline of diffusers; see `belm_runtime.pipelines.families`.
            num_inference_steps: N.
            size: (height, width) in pixels, or (samples,); default what the network was trained at.
            progress: called with (steps done, steps); default the pipeline's own progress bar.
            **settings: of `BELMScheduler` or `FlowBELMScheduler`, over those of the pipeline's scheduler: method,
                frame, start, arithmetic, timestep_spacing, …

        Raises:
            InputError: a pipeline of another kind, or with a scheduler that cannot be converted; wrong settings.
        """
        self.family = family_of(pipe)
        usual = self.family.usual_size()
        self.size = usual if size is None else tuple(size)
        if len(self.size) != len(usual):
            raise InputError(f"{_shown(self.size)} is no size for {type(pipe).__name__}, whose usual one is "
                             f"{_shown(usual)}")  # fmt: skip
        self.family.shape(1, self.size)  # A wrong size is found here.
        self._plan = self.family.plan(whole("num_inference_steps", num_inference_steps, 1), self.size, settings)
        self._plan.sampler.progress = progress or _Bar(pipe)

    @property
    def sampler(self) -> Sampler:
        """Method and grid."""
        return self._plan.sampler

    @property
    def schedule(self) -> Schedule | None:
        """The grid's schedule, of use with a bare x_0."""
        return self._plan.schedule

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of x for one sample, (1, …)."""
        return self.family.shape(1, self.size)

    def model(self, *, guidance_scale: Weight | float = 1.0, callback: Callback | None = None, **text: Any) -> Model:
        """The pipeline's network under a text.

        Args:
            guidance_scale: the weight of the text, a number or a function of the time u (0 at the data, 1 at the
                noise); at 1 the network is called without the negative text, above and below once with both.
            callback: looks on; see `Callback`.
            **text: as the pipeline takes it: prompt, negative_prompt, prompt_embeds, pooled_prompt_embeds, …; one for
                all samples or one for each.

        Raises:
            InputError: a text that the pipeline cannot read; when the model is called, text for other samples.
        """
        guided = callable(guidance_scale) or guidance_scale != 1
        grid = self.sampler.grid
        asked = weighted(self.family.under(self.size, text, guided), guidance_scale, grid)
        calls = 0

        def at(time: float) -> Model:
            own, told = asked.at(time) if isinstance(asked, Varying) else asked, self._plan.clock(time)

            def model(x: Tensor, t: Tensor) -> Tensor:
                nonlocal calls
                if callback is not None:
                    callback(calls, told, x)
                calls += 1
                return own(x, torch.full_like(t, told))

            return model

        return Varying(at)

    def noise(self, batch: int = 1, generator: Any = None) -> Tensor:
        """x_N, with the numbers that the pipeline would draw.

        Args:
            batch: the number of samples.
            generator: a torch.Generator, or one for each sample.
        """
        if isinstance(generator, list) and len(generator) != batch:
            raise InputError(f"{len(generator)} generators do not go with a batch of {batch}")
        return self.family.noise(batch, self.size, generator)

    def encode(self, pictures: Any) -> Tensor:
        """x_0 of pictures, the same each time.

        Raises:
            InputError: pictures of another size or mode.
        """
        x, size = self.family.encode(pictures)
        if size != self.size:
            raise InputError(f"the pictures are {_shown(size)}, this run is for {_shown(self.size)}")
        return x

    def decode(self, x: Tensor, output_type: str = "pil") -> Any:
        """Pictures of x_0.

        Args:
            x: of shape (batch, …).
            output_type: pil, np, pt, or latent for x_0 itself; sound is np where pil is asked for.
        """
        check_output(output_type)
        return self.family.decode(x, self.size, output_type)

    def checked(self, x: Tensor | State) -> Tensor | State:
        """The same x on the pipeline's device, if it is of this model's shape.

        Raises:
            InputError: another shape, or a state of another method or grid.
        """
        newest = x.x if isinstance(x, State) else x
        if not isinstance(newest, Tensor):
            raise InputError(f"x must be a tensor or a State, not a {type(newest).__name__}")
        wanted = self.family.shape(len(newest) if newest.dim() else 1, self.size)
        if tuple(newest.shape) != wanted:
            raise InputError(f"x is {described(newest)}; this model takes {wanted} at {_shown(self.size)}")
        if isinstance(x, State):
            self.sampler.entry(x, 0, downwards=False)
        return x.to(self.family.device)


class _Bar:
    """The pipeline's own progress bar, as the user has configured it."""

    def __init__(self, pipe: Any) -> None:
        self._pipe, self._shown = pipe, cast(Any, None)

    def __call__(self, done: int, total: int) -> None:
        if self._shown is None:
            self._shown = self._pipe.progress_bar(total=total)
        self._shown.update()
        if done >= total:
            self._shown.close()
            self._shown = None


def _shown(size: Size) -> str:
    return "×".join(str(side) for side in size[::-1]) if len(size) == 2 else f"{size[0]} samples"
