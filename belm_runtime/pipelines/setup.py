"""What the tasks on pipelines share: sources of every kind, the adapter that fits them, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from belm_runtime.answer import dtype_name
from belm_runtime.errors import InputError
from belm_runtime.grid import whole
from belm_runtime.pipelines.adapter import Adapter
from belm_runtime.pipelines.families import Size, family_of
from belm_runtime.state import State
from belm_runtime.tasks import Path, Turned

#: N where neither a number nor a State is given.
STEPS = 50

R = TypeVar("R", State, Turned, Path)


@dataclass(frozen=True)
class Pictures(Generic[R]):
    """What was made, to look at and to go on from.

    Attributes:
        images: of the output type; for a path a batch for each weight.
        run: the state at node 0, or both states of a way up and down, or a path.
    """

    images: Any
    run: R


def set_up(
    pipe: Any, sources: Sequence[Any], steps: int | None, sides: tuple[int | None, int | None], progress: Any,
    settings: Mapping[str, Any] | None, bare_method: str,
) -> tuple[Adapter, list[Tensor | State]]:  # fmt: skip
    """The adapter that fits the sources, and each as x_0 or State."""
    family, chosen = family_of(pipe), dict(settings or {})
    size, found = size_from(*sides), []
    for source in sources:
        if isinstance(source, State | Tensor):
            newest = source.x if isinstance(source, State) else source
            size = size or family.size_of(tuple(newest.shape))
            found.append(source)
        else:
            x, own = family.encode(source)
            if size not in (None, own):
                raise InputError(f"a picture is {own[::-1]}, but the run is for {size[::-1]} (width, height)")
            size = own
            found.append(x)
    states = [x for x in found if isinstance(x, State)]
    if states:
        chosen = {"method": states[0].method, "frame": states[0].frame, **chosen}
        floats = dtype_name(states[0].x.dtype)
        chosen.setdefault("arithmetic", "integer" if states[0].conditions else floats)
    else:
        chosen.setdefault("method", bare_method)
    usual = states[0].steps if states else STEPS
    on = Adapter(pipe, usual if steps is None else steps, size=size, progress=progress, **chosen)
    return on, [on.checked(x) for x in found]


def shown(on: Adapter, x: Tensor | list[Tensor], output_type: str, run: R) -> Pictures[R]:
    """The pictures of a run's x_0, or of each of several."""
    images = [on.decode(one, output_type) for one in x] if isinstance(x, list) else on.decode(x, output_type)
    on.family.pipe.maybe_free_model_hooks()
    return Pictures(images, run)


def words(prompt: Any) -> dict[str, Any]:
    """A prompt, or keywords, as keywords."""
    if isinstance(prompt, Mapping):
        return dict(prompt)
    return {} if prompt is None else {"prompt": prompt}


def size_from(height: int | None, width: int | None, length: int | None = None) -> Size | None:
    """The size that was asked for, if any."""
    if length is not None:
        return (whole("length", length, 1),)
    if (height is None) != (width is None):
        raise InputError("give height and width, or neither")
    return None if height is None or width is None else (whole("height", height, 1), whole("width", width, 1))
