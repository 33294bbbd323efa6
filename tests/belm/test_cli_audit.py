"""`belm audit`: reports in three formats, exit codes, and every wrong call."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("diffusers")

SAMPLERS = '''
"""Samplers for the command line."""
import torch
from diffusers import DDIMScheduler
from belm_runtime import Sampler, Schedule
from belm_runtime.audit import of_sampler

GRID = Schedule.preset("sd15").grid(10)

def ddim(model, x, drop=False):
    for i in range(10, 0, -1):
        a, s, t = GRID.alpha[i], GRID.sigma[i], GRID.timesteps[i]
        eps = model(x, t)
        x = GRID.alpha[i - 1] * (x - s * eps) / a + GRID.sigma[i - 1] * (1 if drop else eps)
    return x

def dropped(model, x):
    return ddim(model, x, drop=True)

def noisy(model, x):
    return ddim(model, x) + torch.randn_like(x)

def inversion(model, x):
    for i in range(1, 11):
        A = GRID.alpha[i - 1] / GRID.alpha[i]
        x = (x - (GRID.sigma[i - 1] - A * GRID.sigma[i]) * model(x, GRID.timesteps[i])) / A
    return x

def step(output, t, x):
    i = GRID.timesteps.tolist().index(t)
    A = GRID.alpha[i - 1] / GRID.alpha[i]
    return A * x + (GRID.sigma[i - 1] - A * GRID.sigma[i]) * output

def blend():
    return of_sampler(Sampler("blend:k=3,theta=2/3", GRID))

def scheduler():
    return DDIMScheduler(clip_sample=False)

def failing():
    raise RuntimeError("no\\nfile")

def loud(model, x):
    print("sampling")
    return ddim(model, x)

def leaving(model, x):
    raise SystemExit("no licence")

def three(a, b, c, d): ...
NUMBER = 3
'''


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_samplers.py").write_text(SAMPLERS)
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "my_samplers", raising=False)
    return tmp_path


def test_text_of_a_sampler_that_is_what_it_should_be(run):
    code, out, err = run("audit", "my_samplers:ddim", "--schedule", "sd15", "--expect", "ddim")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "ddim: 10 steps, 10 calls of the network, prediction epsilon"
    assert lines[1].startswith("It is ddim, as expected: all 10 steps agree within ")
    assert any(line.startswith("order        1 on every grid, 1 on smooth grids (exact, of ddim)") for line in lines)
    assert any(line.startswith("invertible   no: ") for line in lines) and "differences" not in out


def test_text_of_a_fault_shows_found_and_expected(run):
    code, out, _ = run("audit", "my_samplers:dropped", "--schedule", "sd15", "--expect", "ddim")
    assert code == 1 and "a factor `* noise_pred` was dropped" in out
    assert "It is not ddim, as was expected: 9 of 10 steps differ." in out
    found, right = re.search(r"step 1, row 10 +found +(.*)\n +expected +(.*)\n", out).groups()
    assert "C = 0.981557" in found and "B_1 = -0.622503" in right


def test_exit_codes(run):
    assert run("audit", "my_samplers:dropped", "--schedule", "sd15").code == 0
    assert run("audit", "my_samplers:noisy", "--schedule", "sd15").code == 0
    assert run("audit", "my_samplers:noisy", "--schedule", "sd15", "--expect", "ddim").code == 1
    assert run("audit", "my_samplers:ddim", "--schedule", "sd15", "--inverse", "my_samplers:inversion").code == 1


def test_a_smaller_tolerance_finds_levels_in_float32(run):
    euler = ("audit", "diffusers:DDIMScheduler", "--schedule", "sd15", "--set", "clip_sample=false", "--expect", "ddim")
    assert run(*euler).code == 0
    finer = run(*euler, "--tolerance", "1e-10")
    assert finer.code == 1 and "It is not ddim, as was expected" in finer.out


def test_step_functions_factories_and_schedulers(run):
    assert "It is ddim:" in run("audit", "my_samplers:step", "--schedule", "sd15").out
    blend = run("audit", "my_samplers:blend", "--expect", "blend:k=3,theta=2/3")
    assert blend.code == 0 and "2 on every grid, 2 on smooth grids (exact" in blend.out and "(enclosed)" in blend.out
    assert "the claimed inverse is one" in blend.out
    assert "It is ddim:" in run("audit", "my_samplers:scheduler").out
    settings = ("--schedule", "sd15", "--set", "clip_sample=False", "--set", "timestep_spacing=trailing")
    late = run("audit", "diffusers:DDIMScheduler", *settings, "--steps", "15")
    assert late.code == 0 and "ends at the noise level of timestep 933 where the grid has 932" in late.out


def test_a_spacing_that_is_asked_for_is_compared(run):
    own = ("audit", "diffusers:DPMSolverMultistepScheduler", "--schedule", "sd15", "--set", "timestep_spacing=leading")
    assert "dpm-solver++(2m)" in run(*own).out
    other = run(*own, "--spacing", "leading").out
    assert "Its coefficients are those of dpm-solver++(2m)" in other and "it runs on another grid" in other
    assert "called at t = 811 where the grid has t = 801" in other


def test_inverse_scheduler_takes_the_settings_of_the_forward_one(run):
    code, out, _ = run(
        "audit", "diffusers:DDIMScheduler", "--schedule", "sd15", "--set", "clip_sample=false",
        "--inverse", "diffusers:DDIMInverseScheduler", "--format", "json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 1 and found["sound"] is False and found["inverse"]["holds"] is False
    assert found["inverse"]["replay"] < 1e-6 < found["inverse"]["live"]
    assert found["verdict"].endswith("Its claimed inverse is not one.")
    assert found["method"]["name"] == "ddim" and len(found["rows"]) == 10
    assert float(found["exact"]["K_sampling"]["upper"]) == pytest.approx(1)
    assert {"subject", "setting", "faults", "order", "invertible", "stability", "nearest", "verdict"} <= set(found)


def test_an_inverse_of_a_noisy_sampler_is_reported(run):
    claim = ("audit", "my_samplers:noisy", "--schedule", "sd15", "--inverse", "my_samplers:inversion")
    code, out, _ = run(*claim)
    assert code == 1 and "draws fresh noise" in out and "the claimed inverse is NOT one" in out
    assert json.loads(run(*claim, "--format", "json").out)["inverse"]["replay"] is None
    assert "A claim is false." in run(*claim, "--format", "html").out


def test_what_a_sampler_prints_is_no_part_of_the_report(run):
    code, out, err = run("audit", "my_samplers:loud", "--schedule", "sd15", "--format", "json")
    assert code == 0 and json.loads(out)["method"]["name"] == "ddim" and "sampling" in err


class Page(HTMLParser):
    """Checks that tags close, and counts them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.count = list[str](), dict[str, int]()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in ("meta", "!doctype", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_one_whole_file(run, here):
    code, out, err = run("audit", "my_samplers:dropped", "--schedule", "sd15", "--format", "html", "--out", "a.html")
    assert (code, out, err) == (0, "", "wrote a.html\n")
    text = (here / "a.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.count["table"] == 2 and page.count["tr"] == 1 + 10 + 1 + 20
    assert "a factor `* noise_pred` was dropped" in text and "Where it differs from ddim" in text
    assert "http" not in text and "$" not in text
    assert "1e+00" in text and text.count('class="cell"') == 10 * 3  # A_1, B_1, C
    clean = run("audit", "my_samplers:ddim", "--schedule", "sd15", "--format", "html").out
    Page(clean)
    assert "In order." in clean and "Differences" not in clean


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["my_samplers"], ("'my_samplers'", "MODULE:CALLABLE")),
        (["no_such_module:x"], ("no_such_module",)),
        (["broken_module:x"], ("broken_module", "ZeroDivisionError")),
        (["my_samplers:ddin", "--schedule", "sd15"], ("'ddin'", "'ddim'")),
        (["my_samplers:ddim"], ("give --schedule",)),
        (["my_samplers:three", "--schedule", "sd15"], ("needs 4 arguments", "run(model, x)")),
        (["my_samplers:NUMBER", "--schedule", "sd15"], ("a int", "Subject")),
        (["my_samplers:failing"], ("failing failed", "RuntimeError: no file")),
        (["my_samplers:leaving", "--schedule", "sd15"], ("leaving on states of shape", "SystemExit: no licence")),
        (["my_samplers:ddim", "--schedule", "sd14"], ("'sd14'", "'sd15'")),
        (["diffusers:DDIMScheduler", "--schedule", "sd14"], ("'sd14'", "'sd15'")),
        (["diffusers:DDIMScheduler", "--schedule", "flow"], ("has betas and is no flow",)),
        (["diffusers:FlowMatchEulerDiscreteScheduler", "--schedule", "sd15"], ("has no betas",)),
        (["diffusers:EDMEulerScheduler"], ("sigmas up to 80", "on a grid of your own")),
        (["my_samplers:ddim", "--schedule", "sd15", "--steps", "0"], ("steps", "not 0")),
        (["my_samplers:ddim", "--schedule", "sd15", "--expect", "dim"], ("'dim'", "'ddim'")),
        (["my_samplers:ddim", "--schedule", "sd15", "--prediction", "eps"], ("'eps'", "'epsilon'")),
        (["my_samplers:ddim", "--schedule", "sd15", "--set", "clip=1"], ("--set clip", "scheduler classes")),
        (["my_samplers:scheduler", "--set", "clip_sample=true"], ("--set clip_sample", "scheduler classes")),
        (["my_samplers:scheduler", "--prediction", "v"], ("--prediction v", "for functions")),
        (["my_samplers:scheduler", "--schedule", "sd15"], ("--schedule sd15", "without --spacing")),
        (["my_samplers:blend", "--steps", "20"], ("--steps 20", "is a Subject")),
        (["my_samplers:ddim", "--schedule", "sd15", "--frame", "flow"], ("--frame flow", "give --expect")),
        (["diffusers:ScoreSdeVeScheduler"], ("a ScoreSdeVeScheduler", "an audit takes a scheduler")),
        (["my_samplers:ddim", "--schedule", "sd15", "--format", "htm"], ("'htm'", "'html'")),
        (["my_samplers:ddim", "--schedule", "sd15", "--out", "no/a.txt"], ("no/a.txt", "No such")),
        (["diffusers:DDIMScheduler", "--set", "clip"], ("'clip'", "NAME=VALUE")),
        (["diffusers:DDIMScheduler", "--set", "clip_samples=false"], ("'clip_samples'", "'clip_sample'")),
        (["diffusers:DDIMScheduler", "--set", "beta_schedule=cubic"], ("DDIMScheduler failed", "cubic")),
        (["diffusers:DDIMScheduler", "--steps", "2000"], ("set_timesteps(2000) failed", "2000")),
        (["diffusers:DDIMScheduler", "--inverse", "my_samplers:inversion"], ("my_samplers:inversion", "scheduler")),
        (["diffusers:DDIMInverseScheduler"], ("from the data to the noise",)),
        (["my_samplers:ddim", "--schedule", "sd15", "--tolerance", "0"], ("tolerance = 0.0", "above 0")),
        (["my_samplers:ddim", "--schedule", "sd15", "--tolerance", "nan"], ("tolerance = nan", "at most 0.01")),
    ],
)
def test_refusals(refused, arguments, holds):
    refused("audit", *arguments, holds=holds)
