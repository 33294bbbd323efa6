"""The tasks of `belm_runtime.tasks` on a pipeline: pictures and prompts in, pictures and states out.

    made = generate(pipe, prompt="a cat")                           noise -> picture
    state = invert(pipe, made.run, prompt="a cat")                  picture -> noise
    made = reconstruct(pipe, picture, prompt="a cat")               picture -> noise -> picture
    made = edit(pipe, picture, "a cat", "a dog", keep=0.3)          up with one prompt, down with another
    made = interpolate(pipe, one, other, [0.25, 0.5, 0.75])         what lies between two pictures

A source is a picture (PIL or an array, or a list of them), x_0 itself (a tensor), or a `State`, which alone leads back
exactly. The pipeline is left as it is, its scheduler too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from belm_runtime import tasks
from belm_runtime.grid import whole
from belm_runtime.guidance import Weight
from belm_runtime.pipelines.adapter import Adapter
from belm_runtime.pipelines.families import count_of, family_of
from belm_runtime.pipelines.pictures import check_output
from belm_runtime.pipelines.setup import STEPS, Pictures, set_up, shown, size_from, words
from belm_runtime.state import State
from belm_runtime.tasks import Path, Turned

#: The methods for a bare x_0, and for an edit of one; see docs/how-to.
BARE_METHOD, EDIT_METHOD = "open:k=3", "blend:k=3,theta=0.9"


def generate(
    pipe: Any, *, guidance_scale: Weight | float = 1.0, num_inference_steps: int = STEPS, height: int | None = None,
    width: int | None = None, length: int | None = None, num_images_per_prompt: int = 1, generator: Any = None,
    latents: Tensor | None = None, output_type: str = "pil", callback: Any = None, progress: Any = None,
    settings: Mapping[str, Any] | None = None, **text: Any,
) -> Pictures[State]:  # fmt: skip
    """Noise to pictures, with the state that leads back exactly.

    Args:
        pipe: the pipeline.
        guidance_scale: the weight of the prompt, a number or a function of the time.
        num_inference_steps: N.
        height: in pixels; default the model's.
        width: likewise.
        length: of sound, in samples; default the model's.
        num_images_per_prompt: how many for each prompt.
        generator: of the noise, or one for each sample.
        latents: the noise itself.
        output_type: pil, np, pt or latent.
        callback: looks on; see `belm_runtime.pipelines.adapter`.
        progress: called with (steps done, steps); default the pipeline's progress bar.
        settings: of the scheduler: method, frame, start, arithmetic, timestep_spacing, …
        **text: prompt, negative_prompt, prompt_embeds, …, as the pipeline takes them.

    Raises:
        InputError: a pipeline, text or setting that cannot be used.
        NotFiniteError: a NaN or overflow, with its step and node.
    """
    check_output(output_type)
    size = size_from(height, width, length)
    if size is None and isinstance(latents, Tensor):
        size = family_of(pipe).size_of(tuple(latents.shape))
    on = Adapter(pipe, num_inference_steps, size=size, progress=progress, **(settings or {}))
    if latents is None:
        latents = on.noise(count_of(text) * whole("num_images_per_prompt", num_images_per_prompt, 1), generator)
    x = on.checked(latents)
    state = on.sampler.sample(on.model(guidance_scale=guidance_scale, callback=callback, **text), x)
    return shown(on, state.x, output_type, state)


def invert(
    pipe: Any, source: Any, *, guidance_scale: Weight | float = 1.0, num_inference_steps: int | None = None,
    height: int | None = None, width: int | None = None, stop: int | None = None, callback: Any = None,
    progress: Any = None, settings: Mapping[str, Any] | None = None, **text: Any,
) -> State:  # fmt: skip
    """Pictures to their noise: exactly from a State, approximately from anything else.

    Args:
        pipe: the pipeline.
        source: a picture or several, x_0, or a State at node 0.
        guidance_scale: as in `generate`; a State leads back under the one that made it.
        num_inference_steps: N; default that of the State, or 50.
        height: in pixels, where x does not say it (Flux).
        width: likewise.
        stop: the node to stop at, default N.
        callback: as in `generate`.
        progress: likewise.
        settings: likewise; the method is that of the State, or `open:k=3`.
        **text: likewise.

    Returns:
        The state at node `stop`; its `x` is the noise.

    Raises:
        InputError: as `generate`; a picture of the wrong size or mode, a State of another method, grid or model.
        NotFiniteError: a NaN or overflow, with its step and node.
    """
    on, (x,) = set_up(pipe, [source], num_inference_steps, (height, width), progress, settings, BARE_METHOD)
    model = on.model(guidance_scale=guidance_scale, callback=callback, **text)
    state = on.sampler.invert(model, x, stop=stop, schedule=on.schedule)
    pipe.maybe_free_model_hooks()
    return state


def reconstruct(
    pipe: Any, source: Any, *, guidance_scale: Weight | float = 1.0, num_inference_steps: int | None = None,
    height: int | None = None, width: int | None = None, alone: bool = False, output_type: str = "pil",
    callback: Any = None, progress: Any = None, settings: Mapping[str, Any] | None = None, **text: Any,
) -> Pictures[Turned]:  # fmt: skip
    """Pictures to noise and back; arguments as of `invert`.

    Args:
        pipe: the pipeline.
        source: a picture or several, x_0, or a State at node 0.
        guidance_scale: as in `invert`.
        num_inference_steps: likewise.
        height: likewise.
        width: likewise.
        alone: go back from x_N alone.
        output_type: pil, np, pt or latent.
        callback: as in `invert`.
        progress: likewise.
        settings: likewise.
        **text: likewise.
    """
    check_output(output_type)
    on, (x,) = set_up(pipe, [source], num_inference_steps, (height, width), progress, settings, BARE_METHOD)
    model = on.model(guidance_scale=guidance_scale, callback=callback, **text)
    made = tasks.reconstruct(on.sampler, model, x, schedule=on.schedule, alone=alone)
    return shown(on, made.state.x, output_type, made)


def edit(
    pipe: Any, source: Any, prompt: Any = None, target: Any = None, *, keep: float = 0.4,
    guidance_scale: Weight | float = 3.0, source_guidance_scale: Weight | float = 1.0,
    num_inference_steps: int | None = None, height: int | None = None, width: int | None = None,
    output_type: str = "pil", callback: Any = None, progress: Any = None, settings: Mapping[str, Any] | None = None,
    **text: Any,
) -> Pictures[Turned]:  # fmt: skip
    """Up with the prompt of what a picture is, down with the prompt of what it should be.

    Args:
        pipe: the pipeline.
        source: a picture or several, x_0, or a State at node 0.
        prompt: what the picture is: a prompt, or several, or keywords such as ``{"prompt_embeds": …}``.
        target: what it should be, likewise.
        keep: the fraction of the steps, those next to the noise, that is left out both ways.
        guidance_scale: the weight of the target, a number or a function of the time.
        source_guidance_scale: the weight of the prompt on the way up.
        num_inference_steps: as in `invert`.
        height: likewise.
        width: likewise.
        output_type: pil, np, pt or latent.
        callback: as in `invert`; it counts each way from 0.
        progress: likewise.
        settings: likewise; the method for anything but a State is `blend:k=3,theta=0.9`.
        **text: for both ways, e.g. negative_prompt.

    Raises:
        InputError: as `invert`; keep out of range.
    """
    check_output(output_type)
    on, (x,) = set_up(pipe, [source], num_inference_steps, (height, width), progress, settings, EDIT_METHOD)
    up = on.model(guidance_scale=source_guidance_scale, callback=callback, **{**text, **words(prompt)})
    down = on.model(guidance_scale=guidance_scale, callback=callback, **{**text, **words(target)})
    made = tasks.edit(on.sampler, up, down, x, keep=keep, schedule=on.schedule)
    return shown(on, made.state.x, output_type, made)


def interpolate(
    pipe: Any, first: Any, second: Any, weights: Sequence[float], *, guidance_scale: Weight | float = 1.0,
    second_text: Mapping[str, Any] | None = None, keep: float = 0.0, num_inference_steps: int | None = None,
    height: int | None = None, width: int | None = None, output_type: str = "pil", callback: Any = None,
    progress: Any = None, settings: Mapping[str, Any] | None = None, **text: Any,
) -> Pictures[Path]:  # fmt: skip
    """What lies between two pictures, by way of their noises.

    Args:
        pipe: the pipeline.
        first: a picture or several, x_0, or a State at node 0.
        second: the same for the other end, of the same size.
        weights: where to sample, 0 … 1.
        guidance_scale: as in `invert`.
        second_text: what describes the second end, if not the text; between, the two predictions are mixed.
        keep: the fraction of the steps, those next to the noise, that is left out.
        num_inference_steps: as in `invert`.
        height: likewise.
        width: likewise.
        output_type: pil, np, pt or latent; there is one batch of images for each weight.
        callback: as in `invert`.
        progress: likewise.
        settings: likewise.
        **text: likewise.

    Raises:
        InputError: as `invert`; weights outside 0 … 1, ends of two sizes.
    """
    check_output(output_type)
    on, (one, two) = set_up(
        pipe, [first, second], num_inference_steps, (height, width), progress, settings, BARE_METHOD
    )
    model = on.model(guidance_scale=guidance_scale, callback=callback, **text)
    own = {**text, **(second_text or {})}
    other = None if second_text is None else on.model(guidance_scale=guidance_scale, callback=callback, **own)
    made = tasks.interpolate(on.sampler, model, one, two, weights, second_model=other, keep=keep, schedule=on.schedule)
    return shown(on, [state.x for state in made.states], output_type, made)
