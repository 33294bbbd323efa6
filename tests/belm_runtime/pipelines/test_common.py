"""What diffusers' own tests ask of every scheduler, said again: configs, public names, shapes, outputs, deprecation."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")

from belm_runtime.pipelines import BELMScheduler, FlowBELMScheduler, HistoryWarning  # noqa: E402

BETAS: dict[str, Any] = {"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
CONFIGS: list[tuple[Any, dict[str, Any]]] = [
    (BELMScheduler, BETAS),
    (BELMScheduler, BETAS | {"num_train_timesteps": 100, "beta_start": 0.002, "beta_end": 0.2}),
    (BELMScheduler, {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction", "steps_offset": 1}),
    (BELMScheduler, {"timestep_spacing": "karras", "prediction_type": "sample", "method": "blend:k=5"}),
    (BELMScheduler, {"trained_betas": [0.001 * n for n in range(1, 101)], "arithmetic": "float32"}),
    (FlowBELMScheduler, {}),
    (FlowBELMScheduler, {"shift": 3.0, "num_train_timesteps": 500, "method": "o-belm", "frame": "flow"}),
    (FlowBELMScheduler, {"spacing": "power:p=1.5", "arithmetic": "float32", "start": "ddim"}),
]
each_config = pytest.mark.parametrize(("cls", "settings"), CONFIGS)
each_class = pytest.mark.parametrize("cls", [BELMScheduler, FlowBELMScheduler])


def sample() -> Tensor:
    return torch.linspace(-1, 1, 4 * 3 * 8 * 8).reshape(4, 3, 8, 8)


def residual() -> Tensor:
    return 0.1 * sample().flip(0)


def run(scheduler: Any, steps: int = 10) -> Tensor:
    scheduler.set_timesteps(steps)
    x = sample()
    for t in scheduler.timesteps:
        x = scheduler.step(torch.tanh(x) * 0.7, t, x).prev_sample
    return x


# ---- configs ---------------------------------------------------------------------------------------------------


@each_config
def test_a_saved_scheduler_steps_as_it_did(cls: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    scheduler = cls(**settings)
    made = run(scheduler)
    scheduler.save_pretrained(tmp_path)
    loaded = cls.from_pretrained(tmp_path)
    assert dict(loaded.config) == {**scheduler.config, "_diffusers_version": diffusers.__version__}
    assert torch.equal(run(loaded), made)
    again = cls.from_config(loaded.config)
    assert torch.equal(run(again), made)
    stored = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert stored["_class_name"] == cls.__name__ and set(settings) <= set(stored)


@each_class
def test_settings_come_back_from_the_folder_and_unused_ones_are_handed_on(cls: Any, tmp_path: Path) -> None:
    cls(method="open:k=4").save_pretrained(tmp_path)
    loaded, unused = cls.from_pretrained(tmp_path, arithmetic="float32", return_unused_kwargs=True)
    assert (loaded.config.method, loaded.config.arithmetic) == ("open:k=4", "float32")
    assert "arithmetic" not in unused
    with pytest.raises(OSError, match=r"scheduler_config\.json"):
        cls.from_pretrained(tmp_path / "..", subfolder="nowhere")


@each_class
def test_every_setting_is_in_the_config_and_in_json(cls: Any) -> None:
    scheduler = cls()
    settings = set(inspect.signature(cls).parameters)
    assert settings <= set(scheduler.config)
    stored = json.loads(scheduler.to_json_string())
    assert settings <= set(stored)
    for name, parameter in inspect.signature(cls).parameters.items():
        assert scheduler.config[name] == parameter.default, name


def test_trained_betas_pass_through_json(tmp_path: Path) -> None:
    betas = np.array([0.1, 0.3])
    scheduler = BELMScheduler(trained_betas=betas)
    scheduler.save_pretrained(tmp_path)
    loaded = BELMScheduler.from_pretrained(tmp_path)
    assert torch.equal(loaded.betas, scheduler.betas)
    assert scheduler.betas.tolist() == torch.tensor(betas, dtype=torch.float32).tolist()


@each_class
def test_deprecated_settings_are_declared_if_and_only_if_they_are_taken(cls: Any) -> None:
    takes_more = "kwargs" in inspect.signature(cls.__init__).parameters
    assert takes_more == bool(cls._deprecated_kwargs)


@each_class
def test_attributes_are_read_plainly_and_settings_through_the_config(cls: Any) -> None:
    scheduler = cls()
    scheduler.dummy_attribute = 5
    scheduler.register_to_config(test_attribute=5)
    assert scheduler.dummy_attribute == 5 and scheduler.config.test_attribute == 5
    with pytest.warns(FutureWarning, match="Accessing config attribute `num_train_timesteps` directly"):
        assert scheduler.num_train_timesteps == 1000
    with pytest.raises(AttributeError, match="has no attribute 'does_not_exist'"):
        _ = scheduler.does_not_exist


# ---- before set_timesteps -----------------------------------------------------------------------------------------


@each_class
def test_the_public_names_are_there_before_any_grid(cls: Any) -> None:
    scheduler = cls()
    assert scheduler.init_noise_sigma == 1.0 and scheduler.order == 1 and len(scheduler) == 1000
    assert scheduler.num_inference_steps is None and len(scheduler.timesteps) == 1000
    assert scheduler.timesteps[0] > scheduler.timesteps[-1]
    x = sample()
    assert scheduler.scale_model_input(x, scheduler.timesteps[-1]).shape == x.shape
    if cls is BELMScheduler:
        assert len(scheduler.betas) == len(scheduler.alphas) == len(scheduler.alphas_cumprod) == 1000
    else:
        assert len(scheduler.sigmas) == 1000 and scheduler.sigma_min == pytest.approx(0.001)


@each_class
def test_pipelines_find_the_parameters_they_look_for_by_name(cls: Any) -> None:
    grid, step = (set(inspect.signature(getattr(cls, name)).parameters) for name in ("set_timesteps", "step"))
    assert {"num_inference_steps", "device", "timesteps", "sigmas"} <= grid
    assert ("mu" in grid) == (cls is FlowBELMScheduler)
    assert {"model_output", "timestep", "sample", "eta", "generator", "return_dict"} <= step
    assert callable(getattr(cls, "add_noise" if cls is BELMScheduler else "scale_noise"))


# ---- steps --------------------------------------------------------------------------------------------------------


@each_config
def test_a_step_keeps_the_shape_wherever_it_is_taken(cls: Any, settings: dict[str, Any]) -> None:
    """Also at timesteps that are not on the grid."""
    scheduler = cls(**settings)
    scheduler.set_timesteps(5)
    for times in ((0, 1), tuple(scheduler.timesteps[:2]), (torch.tensor(3), 2.5)):
        with pytest.warns(HistoryWarning):
            one = scheduler.step(residual(), times[0], sample()).prev_sample
            two = scheduler.step(residual(), times[1], sample()).prev_sample
        assert one.shape == two.shape == sample().shape and one.dtype == two.dtype == torch.float32


@each_config
def test_a_dictionary_and_a_tuple_hold_the_same(cls: Any, settings: dict[str, Any]) -> None:
    results = []
    for as_tuple in (True, False):
        scheduler = cls(**settings)
        scheduler.set_timesteps(5)
        t, x = scheduler.timesteps[0], sample()
        found = scheduler.step(residual(), t, x, generator=torch.manual_seed(0), return_dict=not as_tuple)
        assert isinstance(found, tuple) == as_tuple
        results.append(found[0])
        assert found[0] is (found[0] if as_tuple else found.prev_sample)
    assert torch.equal(*results)


@each_config
def test_any_number_of_steps(cls: Any, settings: dict[str, Any]) -> None:
    scheduler = cls(**settings)
    for steps in (1, 2, 3, 5, 10, 50, 100):
        x = run(scheduler, steps)
        assert x.isfinite().all() and x.dtype == torch.float32 and len(scheduler.timesteps) == steps


def test_noise_is_added_where_the_sample_lies() -> None:
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        scheduler = BELMScheduler()
        scheduler.set_timesteps(100)
        x = sample().to(device)
        t = scheduler.timesteps[5][None]
        noised = scheduler.add_noise(scheduler.scale_model_input(x, 0.0), torch.randn_like(x), t)
        assert noised.shape == x.shape and noised.device == x.device


def test_schedulers_are_listed_by_the_package() -> None:
    import belm_runtime.pipelines as package

    assert set(package.__all__) >= {"BELMScheduler", "FlowBELMScheduler", "HistoryWarning"}
    assert {BELMScheduler.__module__, FlowBELMScheduler.__module__} == {"belm_runtime.pipelines"}
    assert issubclass(HistoryWarning, UserWarning)


def test_without_diffusers_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['diffusers'] = None\nimport belm_runtime\nimport belm_runtime.pipelines"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last == "ModuleNotFoundError: belm_runtime.pipelines needs diffusers: pip install 'belm[diffusers]'"
