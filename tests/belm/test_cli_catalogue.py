"""`belm methods` and `belm derive`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sympy as sp

from belm_runtime.design import Design
from belm_runtime.methods import catalogue

H1, H2, H3 = sp.symbols("h1:4", positive=True)
THETA = sp.Symbol("theta", positive=True)


def parsed(text: str) -> sp.Expr:
    symbols = (H1, H2, H3, THETA, sp.Symbol("gamma"))  # SymPy has a function of that name
    return sp.sympify(text, locals={s.name: s for s in symbols})


def test_methods_lists_the_catalogue_within_100_columns(run):
    code, out, err = run("methods")
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 100
    for fact in catalogue():
        line = next(line for line in out.splitlines() if line.split()[:1] == [fact["method"]])
        assert f"{fact['order']} / {fact['order_smooth']}" in line
        assert line.split()[1:3] == [str(fact["k"]), fact["frame"]]


def test_methods_in_words(run):
    lines = {line.split()[0]: line for line in run("methods").out.splitlines() if line.split()}
    assert " no " in lines["ddim"] and "yes / -" in lines["ddim"]
    assert "yes / yes" in lines["open:k=3"]
    assert "yes / no" in lines["blend:k=3,theta=0.8"]
    assert "by grid / by grid" in lines["o-belm"]
    assert "yes / yes" in lines["damped:k=3,m=8"] and "3 / 4" in lines["damped:k=4,m=8"]
    assert "yes / no" in lines["weights:k=3,a2=0.1,a3=0.8"]
    assert "no / no" in lines["belm:k=3"]


def test_methods_gives_four_advices(run):
    advice = run("methods").out.splitlines()[-4:]
    assert "stored state" in advice[0] and advice[0].endswith("blend:k=3")
    assert "real sample" in advice[1] and advice[1].endswith("open:k=3")
    assert "edit" in advice[2] and advice[2].endswith("blend:k=3,theta=0.9")
    assert "exp-" in advice[3] and advice[3].endswith("exp-blend:k=3")


def test_methods_json(run):
    listed = json.loads(run("methods", "--format", "json").out)["methods"]
    facts = catalogue()
    assert [m["method"] for m in listed] == [fact["method"] for fact in facts]
    for shown, fact in zip(listed, facts, strict=True):
        for key in ("k", "frame", "order", "order_smooth", "invertible", "source"):
            assert shown[key] == fact[key]
        for way in ("sampling", "inversion"):
            assert tuple(shown["stability"][way].values()) == fact[way]


def test_derive_weights_with_some_of_them_given(run):
    page = json.loads(run("derive", "weights:k=3,a2=1/4", "--format", "json").out)
    assert page["a"] == ["3/4 - a3", "1/4", "a3"] and page["symbols"] == {"a3": "[-8, 8]"}
    assert page["invertible"]["verdict"] == page["stability"]["inversion"]["verdict"] == "undecided"
    code, out, err = run("derive", "weights:k=3,a4=1/4")
    assert (code, out) == (2, "") and "'weights' with k = 3 has no a4" in err


def test_derive_damped_and_not_in_the_data_frame(run):
    page = json.loads(run("derive", "damped:k=2", "--format", "json").out)
    assert page["a"] == ["h2*m/(h2*m + 1)", "1/(h2*m + 1)"] and page["symbols"] == {"m": "[0, 64]"}
    assert "m in [0, 64]" in run("derive", "damped:k=2").out
    code, out, err = run("derive", "damped:k=2", "--frame", "data")
    assert (code, out) == (2, "")
    assert err == "error: --frame data: damped is for positive steps, and those of the data frame are negative\n"


def test_derive_says_what_a_design_is(run):
    code, out, err = run("derive", "designed")
    assert code == 2 and not out and "'designed' is a design, blend:k=3 on bent:" in err
    assert "belm verify design-designed" in err and len(err.strip().splitlines()) == 1


def test_derive_knows_which_designs_have_a_claim(refused, run, tmp_path):
    file = replace(Design.read("designed"), name="mine").write(tmp_path / "mine.json")
    code, _, err = run("derive", file)
    assert code == 2 and "(belm derive blend:k=3)" in err and "verify" not in err and "check" not in err
    # Beside the certificate that belm design wrote, that is named.
    (tmp_path / "design-mine.json").write_text("{}")
    refused("derive", file, holds=("is a design", f"(belm check {tmp_path / 'design-mine.json'})"))


@pytest.mark.parametrize(
    "text", ["exp-designed", "exp-mine.json", "exp-exp-designed", "exp-designed:k=3", "designed:k=3"]
)
def test_exp_and_parameters_go_with_methods_not_with_designs(refused, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Design.read("designed").write("mine.json")
    refused("derive", text, holds=("design", "exp-"))
    refused("table", text, "--steps", 5, holds=("design", "exp-"))


def test_derive_o_belm(run):
    code, out, err = run("derive", "o-belm", "--format", "json")
    page = json.loads(out)
    assert (code, err) == (0, "")
    assert sp.cancel(parsed(page["a"][1]) - H1**2 / H2**2) == 0
    assert sp.cancel(parsed(page["b"][0]) + (H1 + H2) / H2) == 0
    assert sp.cancel(parsed(page["local_error"]["coefficient"]) + H1**2 * (H1 + H2) / 6) == 0
    assert page["local_error"]["derivative"] == 3
    assert (page["order"], page["order_smooth"]) == (2, 2)


def test_a_parameter_that_is_not_written_stays_a_symbol(run):
    page = json.loads(run("derive", "blend:k=3", "--format", "json").out)
    assert [parsed(a) for a in page["a"]] == [1 - THETA, 0, THETA]
    assert page["parameters"] == {"k": "3"} and page["symbols"] == {"theta": "(0, 1]"}


@pytest.mark.parametrize("written", ["0.8", "4/5", "8e-1"])
def test_a_written_decimal_is_exact(run, written):
    page = json.loads(run("derive", f"blend:k=2,theta={written}", "--format", "json").out)
    assert page["a"] == ["1/5", "4/5"] and page["symbols"] == {}
    assert page["parameters"] == {"k": "2", "theta": "4/5"}


def test_derive_text_and_latex(run):
    text = run("derive", "bdia:gamma=1").out
    assert text.startswith("bdia:gamma=1\n") and "1 on every grid" in text and "2 on smooth grids" in text
    latex = run("derive", "bdia:gamma=1", "--format", "latex").out
    assert r"\section*" in latex and "w_{i-1}" in latex


def test_derive_an_exponential_variant(run, refused):
    text = run("derive", "exp-blend:k=3,theta=0.8", "--frame", "flow").out
    assert text.startswith("exp-blend:k=3,theta=4/5\n") and "A_1 = s*y + v" in text and "a_3 = 4/5" in text
    assert "2 on every grid away from sigma = 0" in text
    refused("derive", "exp-open:k=4", "--frame", "flow", holds=("k = 4", "dilogarithms"))


@pytest.mark.parametrize(
    ("method", "holds"),
    [
        ("o-bem", ("'o-bem'", "'o-belm'")),
        ("blend", ("k", "2 to 5")),
        ("blend:k=6", ("k = 6", "[2, 5]")),
        ("blend:k=3,theta=0", ("theta = 0", "(0, 1]")),
        ("blend:k=3,theta=1.5", ("theta = 1.5", "(0, 1]")),
        ("blend:k=3,theta=nan", ("'nan'", "number")),
        ("blend:k=3,theta=", ("theta=", "name=value")),
        ("blend:k=3,k=4", ("'k'", "twice")),
        ("o-belm:k=2", ("'k'", "none")),
        ("bdia:gamma=1/0", ("'1/0'", "number")),
        ("exp-edict", ("edict:p=0.93 has two registers",)),
        ("exp-blend:k=6", ("k = 6", "[2, 5]")),
        ("", ("unknown method",)),
    ],
)
def test_derive_refuses(refused, method, holds):
    refused("derive", method, holds=holds)


@pytest.mark.parametrize(("frame", "weight"), [("noise", "alpha0"), ("flow", "alpha0 + sigma0"), ("data", "sigma0"),
                                               ("q=1/3", "alpha0 + sigma0/3"), ("q", "alpha0 + q*sigma0")])  # fmt: skip
@pytest.mark.parametrize("method", ["o-belm", "bdia", "blend:k=3", "adams:m=2", "belm:k=3"])
def test_derive_in_every_frame(run, method, frame, weight):
    """The coefficients in h and w stay; w, s, f and the error in x are the frame's."""
    natural = json.loads(run("derive", method, "--format", "json").out)
    page = json.loads(run("derive", method, "--frame", frame, "--format", "json").out)
    assert {key: page[key] for key in ("a", "b", "order", "inverse")} == {
        key: natural[key] for key in ("a", "b", "order", "inverse")
    }
    assert page["frame"]["name"] == frame
    error = page["local_error"]
    weights = {sp.Symbol(f"w{j}"): parsed(weight.replace("0", str(j))) for j in range(3)}
    ratio = parsed(error["in_x"]) / parsed(error["coefficient"]).subs(weights)
    assert sp.cancel(ratio - parsed(weight)) == 0
    assert error["slope"] == page["frame"]["f"]


def test_derive_in_a_frame_as_text_and_latex(run):
    text = run("derive", "o-belm", "--frame", "flow").out
    assert "flow: dX/ds = f" in text and "in x: w_{i-1} tau / f^(2) = -h1**2*(alpha0 + sigma0)*(h1 + h2)/6" in text
    assert r"w_{i-1}\tau / f^{(2)} = " in run("derive", "o-belm", "--frame", "q", "--format", "latex").out
    assert "its steps are negative" in run("derive", "o-belm", "--frame", "data").out


@pytest.mark.parametrize(
    ("method", "frame", "holds"),
    [("o-belm", "noisy", ("'noisy'", "noise")), ("o-belm", "-1", ("-1", ">= 0")), ("edict", "flow", ("flow", "noise"))],
)
def test_derive_refuses_frames(refused, method, frame, holds):
    refused("derive", method, f"--frame={frame}", holds=holds)
