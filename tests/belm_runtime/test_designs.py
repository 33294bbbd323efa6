"""Designs: what their files hold, what is refused, and that names and paths stand for the same runs everywhere."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from belm_runtime import Grid, InputError, Sampler, Schedule, coefficients, designs, methods
from belm_runtime.design import Design
from belm_runtime.designs import Record
from belm_runtime.kdiffusion import sample_belm
from belm_runtime.methods import parse

#: A design in which nothing is a default: neither frame nor start are what its method has by itself.
OWN: dict[str, Any] = {
    "format": "belm-design-1", "name": "own", "method": "blend:k=4", "damping": "5.5", "frame": "q=1/2",
    "start": "ddim", "spacing": "free:s=0.02/0.1/0.5", "inverter": "echo:k=4,theta=1",
}  # fmt: skip
SD15 = Schedule.preset("sd15")


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "own.json"
    file.write_text(json.dumps(OWN), encoding="utf-8")
    return str(file)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_the_designs_of_the_package_are_designs() -> None:
    assert "designed" in designs.shipped()
    for name in designs.shipped():
        design = Design.read(name)
        assert design.name == name
        for steps in (1, 10, 100):
            assert design.sampler(SD15, steps).amplification() < 1e5
            design.inverting(SD15, steps)


def test_designed_is_the_pair_that_was_judged() -> None:
    """A change of the pair makes the figures of docs/how-to/which-sampler.md those of another one."""
    assert Design.read("designed") == Design(
        "designed", "blend:k=3", Fraction("9.3"), "flow", "adams", "bent:A=0.19,B=3.7,C=0.54", "exp-open:k=3"
    )


def test_what_is_written_is_read(path: str, tmp_path: Path) -> None:
    own = Design.read(path)
    assert own.damping == Fraction(11, 2) and own.spacing == OWN["spacing"]
    for design in (own, Design("no damping", "open:k=3", None, "data", "adams", "leading", "ddim")):
        file = design.write(tmp_path / "written.json")
        assert Design.read(file) == design and Record.read(str(file)) == Record(**vars(design))
        assert json.loads(file.read_text())["format"] == "belm-design-1"
    assert json.loads(own.write(tmp_path / "written.json").read_text()) == OWN
    assert sorted(file.name for file in tmp_path.iterdir()) == ["own.json", "written.json"]
    with pytest.raises(InputError, match=r"must end in \.json"):
        own.write(tmp_path / "written.txt")
    with pytest.raises(InputError, match="cannot write"):
        own.write(tmp_path / "nowhere" / "written.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "belm-design-2"}, "format must be 'belm-design-1', not 'belm-design-2'"),
        ({"dampening": "8"}, ": unknown key 'dampening'; did you mean 'damping'"),
        ({"\ud800": 1}, ": unknown key '\\ud800'; known: "),
        ({"spacing": None}, "spacing must be a text such as 'bent:A=0.12,B=6,C=0.75', not None"),
        ({"name": " "}, "name must be a text such as 'my-design'"),
        ({"name": "own\nnew"}, "name must be a text such as 'my-design', not 'own\\nnew'"),
        ({"method": math.nan}, "method must be a text such as 'blend:k=3', not nan"),
        ({"damping": math.nan}, "damping must be a text such as '8', or null for none, not nan"),
        ({"damping": "9" * 500}, f"damping must be a text such as '8', or null for none, not '{'9' * 59}…"),
        ({"damping": 8}, "damping must be a text such as '8', or null for none, not 8"),
        ({"damping": "eight"}, "damping must be a text such as '8'"),
        ({"damping": "-1"}, "damping must be an exact number from 0 to 1000, or none at all, not -1"),
        ({"frame": "sideways"}, "frame: unknown frame 'sideways'"),
        ({"frame": "-1"}, "frame: frame q = -1 is negative"),
        ({"start": "adms"}, "start: unknown start 'adms'; did you mean 'adams'"),
        ({"spacing": "bent:A=1"}, "spacing: spacing 'bent:A=1' must give A, B, C"),
        ({"spacing": "designed"}, "spacing: unknown spacing 'designed'"),
        ({"method": "blond:k=3"}, "method: unknown method 'blond'; did you mean 'blend'"),
        ({"method": "blend:k=3,theta=0.8"}, "method: a damping fills in theta, but 'blend:k=3,theta=0.8' gives one"),
        ({"method": "open:k=3"}, "method: a damping fills in theta, but 'open' has none"),
        ({"inverter": "open:k=9"}, "inverter: method 'open': k = 9 is outside its range"),
        ({"inverter": "designed"}, "inverter must be a method of the catalogue, not another design"),
    ],
)  # fmt: skip
def test_what_is_no_design_is_refused_with_file_and_key(path: str, changes: dict, message: str) -> None:
    Path(path).write_text(json.dumps(OWN | changes))
    with pytest.raises(InputError) as caught:
        Design.read(path)
    assert message in str(caught.value) and str(caught.value).startswith(f"design {path!r}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", [key for key in OWN if key != "format"])
def test_nothing_may_be_missing(path: str, key: str) -> None:
    Path(path).write_text(json.dumps({name: value for name, value in OWN.items() if name != key}))
    with pytest.raises(InputError, match=f"own.json': {key} is missing; it could be '"):
        Design.read(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown design 'designd'; did you mean 'designed'"):
        Design.read("designd")
    with pytest.raises(InputError, match=r"cannot read the design 'nowhere\.json': No such file"):
        Design.read("nowhere.json")
    file = tmp_path / "a.json"
    for text, message in (("{", "cannot read the design"), ("[1]", "a design is a JSON object, not a list")):
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            Design.read(file)
    file.write_text(json.dumps(OWN)[:-1] + ', "damping": "8"}')
    with pytest.raises(InputError, match=r"cannot read the design .*: the key 'damping' stands there twice"):
        Design.read(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot read the design"):
        Design.read(file)


# ---- what a design stands for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 10, 50, 333])
def test_damping_fills_in_theta(path: str, steps: int) -> None:
    theta = Fraction(2 * steps, 2 * steps + 11) ** 3
    assert Design.read(path).method_on(steps) == methods.blend(k=4, theta=theta) == methods.parse(path, steps)
    assert Design.read("designed").method_on(steps) == methods.parse("designed", steps)


def test_a_method_without_damping_needs_no_number_of_steps(path: str) -> None:
    Path(path).write_text(json.dumps(OWN | {"damping": None, "method": "o-belm"}))
    assert methods.parse(path) == methods.parse(path, 7) == methods.o_belm()
    Path(path).write_text(json.dumps(OWN))
    with pytest.raises(InputError, match="depends on the number of steps; at 50 it is blend:k=4,theta="):
        methods.parse(path)


def test_a_damping_of_too_many_digits_is_named() -> None:
    design = Design("long", "blend:k=5", Fraction("7.31"), "flow", "adams", "leading", "open:k=3")
    with pytest.raises(InputError, match="too long a fraction on 1000003 steps; round it"):
        design.method_on(1000003)


def test_the_sampler_of_a_design(path: str) -> None:
    design, grid = Design.read(path), SD15.grid(12, path)
    assert design.grid(SD15, 12) == grid == SD15.grid(12, OWN["spacing"]) and grid.spacing == OWN["spacing"]
    expected = Sampler("blend:k=4,theta=13824/42875", grid, frame=0.5, start="ddim")
    for sampler in (design.sampler(SD15, 12), Sampler(path, grid), Sampler(f" {path} ", grid)):
        assert (sampler.method, str(sampler.frame), sampler.table.start) == (expected.method, "q=1/2", "ddim")
        assert (sampler.table.a == expected.table.a).all() and (sampler.table.b == expected.table.b).all()
    inverting = design.inverting(SD15, 12, arithmetic="float32")
    assert (str(inverting.method), str(inverting.frame)) == ("echo:k=4,theta=1", "q=1/2")
    assert inverting.table.start == "ddim" and inverting.dtype is torch.float32 and inverting.grid == grid


def test_frame_and_start_may_be_said_otherwise(path: str) -> None:
    grid = SD15.grid(12)
    for make in (Sampler, coefficients):
        table = getattr(make(path, grid, frame="noise"), "table", None) or coefficients(path, grid, frame="noise")
        assert (str(table.frame), table.start) == ("noise", "ddim")
        table = getattr(make(path, grid, start="adams"), "table", None) or coefficients(path, grid, start="adams")
        assert (str(table.frame), table.start) == ("q=1/2", "adams")
    # Without a design both are as ever.
    assert (str(coefficients("blend:k=4", grid).frame), coefficients("blend:k=4", grid).start) == ("flow", "adams")
    with pytest.raises(InputError, match="unknown start 'adms'"):
        Sampler(path, grid, start="adms")


def test_a_name_is_the_pair_to_the_bit() -> None:
    grid = SD15.grid(9, "designed")
    ours, named = Design.read("designed").sampler(SD15, 9), Sampler("designed", grid)
    assert ours.grid == grid and (ours.method, ours.frame) == (named.method, named.frame)
    assert ours.table.a.tobytes() == named.table.a.tobytes() and ours.table.b.tobytes() == named.table.b.tobytes()


def test_the_front_door_of_k_diffusion_takes_a_design(path: str) -> None:
    sigmas, found = torch.linspace(3, 0, 9, dtype=torch.float64), []
    x = 3 * torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sample_belm(lambda x, sigma: 0.3 * x, x, sigmas, disable=True, method=path, on_state=found.append)
    assert (found[0].method, found[0].frame) == (str(methods.parse(path, 8)), "q=1/2")
    levels = sigmas.flip(0).numpy()
    grid = Grid.from_arrays([1.0] * 9, levels, levels)
    like = Sampler(path, grid, prediction="sample").sample(lambda x, t: 0.3 * x, x)
    assert torch.equal(found[0].x, like.x)


def test_a_path_object_is_a_path(path: str) -> None:
    grid = SD15.grid(12, Path(path))
    text, named = Sampler(path, grid), Sampler(Path(path), grid)  # type: ignore[arg-type]
    assert (text.method, text.frame) == (named.method, named.frame) and (text.table.b == named.table.b).all()


@pytest.mark.parametrize("key", ["method", "inverter"])
@pytest.mark.parametrize("other", ["designed", "self.json"])
def test_a_design_is_made_of_methods_not_of_designs(tmp_path: Path, key: str, other: str) -> None:
    (tmp_path / "self.json").write_text(json.dumps({**OWN, key: other}))
    with pytest.raises(InputError, match=f"{key} must be a method of the catalogue, not another design: '{other}'"):
        Design.read(tmp_path / "self.json")


def test_endless_brackets_are_no_design(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="cannot read the design"):
        Design.read(tmp_path / "deep.json")


def test_exp_goes_before_methods_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp-mine.json").write_text(json.dumps(OWN))
    (tmp_path / "mine.json").write_text(json.dumps({**OWN, "method": "open:k=3", "damping": None}))
    assert parse("exp-mine.json", 20) == Design.read("exp-mine.json").method_on(20)
    with pytest.raises(InputError, match="exp- goes before a method"):
        parse("exp-designed", 20)
