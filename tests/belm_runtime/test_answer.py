"""What networks compute in is heard through whatever is around them, and by who listens alone."""

from __future__ import annotations

import torch

from belm_runtime.answer import answer, heard
from belm_runtime.models import from_denoiser, from_unet, guided
from belm_runtime.schedule import Schedule

X, T = torch.ones(2, 3, dtype=torch.float64), torch.ones(2)
HALF, SINGLE = torch.nn.Linear(3, 3, dtype=torch.bfloat16), torch.nn.Linear(3, 3)


def test_an_answer_is_in_the_dtype_of_x_and_its_own_is_heard() -> None:
    with heard() as dtypes:
        made = answer(torch.ones(2, dtype=torch.float32), torch.ones(2, dtype=torch.float16), X)
    assert made.dtype == torch.float64 and dtypes == {"float16 to float32"}
    assert answer(X, X, X) is X and dtypes == {"float16 to float32"}, "nobody listens"


def test_through_guidance_a_denoiser_and_a_function_around() -> None:
    half, single = (from_unet(lambda x, t, net=net: net(x), dtype=net.weight.dtype) for net in (HALF, SINGLE))
    around = guided(lambda x, t: single(x, t).double() + 1, from_denoiser(half, Schedule.preset("ddpm")), 2.0)
    with heard() as dtypes, torch.no_grad():
        assert around(X, T).dtype == torch.float64
    assert dtypes == {"bfloat16", "float32"}


def test_listeners_inside_each_other_hear_each_for_themselves() -> None:
    with heard() as outer:
        with heard() as inner:
            answer(X, X, X)
        assert (outer, inner) == (set(), {"float64"})
        answer(X.float(), X.float(), X)
    assert (outer, inner) == ({"float32"}, {"float64"})
