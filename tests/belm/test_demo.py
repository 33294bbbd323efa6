"""The demo on a reduced plan: the same functions, fewer model calls."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from functools import partial
from itertools import pairwise

import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import belm.demo
from belm.demo import derive, findings, formulas, measure, report, style
from belm.demo.pictures import picture_name
from belm_runtime.errors import InputError
from belm_theory.catalogue import FAMILIES

CALLS = 16
REDUCED = partial(measure.Plan, calls=CALLS, sweep=(8, CALLS), batch=10, reference=80)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One reduced run of `main`: its folder, what it printed, its record."""
    out, text = tmp_path_factory.mktemp("demo") / "new" / "folder", io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "Plan", REDUCED)
        belm.demo.main(out, seed=3, show=Console(file=text, width=80))
    return out, text.getvalue(), json.loads((out / "results.json").read_text())


# ---- the whole run --------------------------------------------------------------------------------------------------


def test_writes_every_file_and_nothing_else(demo):
    out, printed, record = demo
    images = {"journey.png", "accuracy.png", "rounding.png", "along.png"} | {picture_name(m) for m in measure.METHODS}
    assert {path.name for path in out.iterdir()} == images | {"report.html", "results.json"}
    assert all((out / name).read_bytes().startswith(b"\x89PNG\r\n") for name in images)
    assert "report.html" in printed and record["setting"]["seed"] == 3


def test_table_fits_eighty_columns_and_has_a_legend(demo):
    _, printed, record = demo
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    for method, values in record["methods"].items():
        row = next(line for line in lines if line.startswith(method))
        assert row.split()[-1] == findings.number(values["error"])
    assert "noise has size 1" in printed
    assert "identical to the installed one" in printed


def test_equal_model_calls(demo):
    record = demo[2]
    assert {values["calls"] for values in record["methods"].values()} == {CALLS}
    assert record["methods"]["edict:p=0.93"]["steps"] == CALLS // 2
    assert {calls for curve in record["error_by_model_calls"].values() for calls, _ in curve} == {8, CALLS}


def test_exact_way_back_is_exact_and_ddim_has_none(demo):
    methods = demo[2]["methods"]
    assert methods["ddim"]["from_state"] is None and methods["ddim"]["rounding"] == {}
    for method, values in methods.items():
        if values["from_state"]:
            # Rounding alone: a run of 16 steps, each rounding amplified at most K-fold.
            bound = 100 * values["rounding"]["float64"]["predicted"]
            assert values["from_state"]["noise"] < bound, method
            assert values["rounding"]["float64"]["measured"] == values["from_state"]["noise"]
            assert values["rounding"]["float32"]["measured"] > 1e3 * values["from_state"]["noise"], method
    assert methods["open:k=3"]["from_state"]["sample"] < 1e-13


def test_way_back_from_the_picture_alone_is_approximate(demo):
    alone = {m: values["from_sample_alone"] for m, values in demo[2]["methods"].items()}
    assert all(value["noise"] > 1e-3 for value in alone.values())
    assert alone["open:k=3"]["sample"] < min(alone["ddim"]["sample"], alone["blend:k=3,theta=0.8"]["sample"])


def test_errors_agree_with_the_curve_and_stand_above_the_reference(demo):
    record = demo[2]
    for method, curve in record["error_by_model_calls"].items():
        error = record["methods"][method]["error"]
        # The curve is run with a float32 network, the table with a float64 one.
        assert dict(curve)[CALLS] == pytest.approx(error, rel=1e-3), method
        assert error > 3 * record["reference"]["rms_to_half_the_steps"], method


def test_amplification_along_the_way_ends_at_or_below_its_maximum(demo):
    for method, values in demo[2]["methods"].items():
        along = values["inversion_amplification_along"]
        if method == "ddim":
            assert along == []
            continue
        timesteps, factors = zip(*along, strict=True)
        assert list(timesteps) == sorted(timesteps) and timesteps[-1] == 999
        assert max(1.0, *factors) == pytest.approx(values["inversion_amplification"]["x"])


def test_amplification_warning_becomes_a_note(demo):
    out, _, record = demo
    (first, *_) = notes = record["methods"]["bdia:gamma=0.5"]["warnings"]
    assert "amplifies" in first and len(set(notes)) == len(notes)
    assert first.split(" amplifies")[0] in (out / "report.html").read_text()
    assert record["methods"]["open:k=3"]["warnings"] == []


def test_report_needs_no_other_file(demo):
    out, _, _ = demo
    text = (out / "report.html").read_text(encoding="utf-8")
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert not re.search(r"<script|<link|@import|url\(|https?://", text)
    sources = re.findall(r'<img src="([^"]+)"', text)
    embedded = {base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources}
    assert embedded == {path.read_bytes() for path in out.glob("*.png")}
    assert "$" not in re.sub(r"base64,[^\"]+", "", text)


def test_report_carries_formulas_and_code(demo):
    text = (demo[0] / "report.html").read_text(encoding="utf-8")
    assert text.count("identical to the installed") == len(measure.METHODS)
    assert "def blend_3(theta, h1, h2, h3):" in text and "<msubsup><mi>h</mi><mn>1</mn><mn>2</mn></msubsup>" in text


def test_record_names_versions_machine_and_time(demo):
    record = demo[2]
    assert record["machine"]["torch"] == torch.__version__ and record["machine"]["sympy"] == sp.__version__
    assert re.fullmatch("[0-9a-f]{64}", record["setting"]["weights_sha256"])
    assert record["command"].endswith("--seed 3")
    parts = {"derive", "reference", "accuracy", "two ways", "report"}
    assert set(record["seconds"]) == parts | {"all"}
    assert sum(record["seconds"][part] for part in parts) <= record["seconds"]["all"] + 0.1


def test_example_of_the_report_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(report.EXAMPLE, names)
    assert measure.rms(names["noise"] - names["grid"].noise((1, 1, 8, 8), seed=0)) < 1e-11
    assert (tmp_path / "seven.safetensors").is_file()


# ---- what stops it before any work ----------------------------------------------------------------------------------


def _no_work(*_args, **_kwargs):
    raise AssertionError("work began")


def test_folder_that_cannot_be_written_is_found_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(belm.demo, "run", _no_work)
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="cannot write"):
            belm.demo.main(out, show=Console(file=io.StringIO()))


@pytest.mark.parametrize(("package", "extra"), [("matplotlib", "plots"), ("sympy", "theory")])
def test_missing_package_is_one_line(tmp_path, monkeypatch, package, extra):
    monkeypatch.setattr(belm.demo, "find_spec", lambda name: None if name == package else object())
    monkeypatch.setattr(belm.demo, "run", _no_work)
    with pytest.raises(InputError) as error:
        belm.demo.main(tmp_path / "out", show=Console(file=io.StringIO()))
    assert str(error.value) == f'the demo needs {package}; install it with: pip install "belm[{extra}]"'
    assert not (tmp_path / "out").exists()


def test_failure_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    def fail(folder, *_args, **_kwargs):
        (folder / "results.json").write_text("half")
        raise ArithmeticError

    monkeypatch.setattr(belm.demo, "run", fail)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "results.json").write_text("whole")
    for name, left in (("new", None), ("old", "whole")):
        with pytest.raises(ArithmeticError):
            belm.demo.main(tmp_path / name, show=Console(file=io.StringIO()))
        path = tmp_path / name / "results.json"
        assert (path.read_text() if path.exists() else None) == left
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["results.json"]


# ---- derivation and formulas ----------------------------------------------------------------------------------------


def test_a_changed_module_is_noticed(monkeypatch):
    text = derive.shipped("o_belm.py")
    monkeypatch.setattr(derive, "shipped", lambda module: text.replace("h12 / h2", "h12 / h1"))
    (found,) = derive.derive_all(("o-belm",), lambda fraction: None)
    assert not found.identical
    assert "DIFFERENT from" in report._card(found) and "o_belm.py" in report.verdict([found])


def test_derived_facts():
    ddim, open_3 = derive.derive_all(("ddim", "open:k=3"), lambda fraction: None)
    assert (ddim.invertible, open_3.invertible) == (False, True)
    assert (ddim.order, open_3.order, open_3.stability["inversion"][0]) == (1, 2, "proved")
    assert open_3.code.startswith("def open_3(h1, h2, h3):")


def _value(node: ET.Element, at: dict[str, sp.Rational]) -> str:
    """A MathML tree as a Python expression in Fractions: an independent reading of what a browser shows."""
    parts = [_value(child, at) for child in node]
    match node.tag:
        case "mn":
            return f"sp.Integer({node.text})"
        case "mi":
            return f"at[{node.text!r}]"
        case "mo":
            return {"−": "-"}.get(node.text, node.text)
        case "msub" | "msubsup":
            symbol = f"at[{node[0].text + node[1].text!r}]"
            return symbol if node.tag == "msub" else f"{symbol}**{parts[2]}"
        case "msup":
            return f"({parts[0]})**{parts[1]}"
        case "mfrac":
            return f"(({parts[0]})/({parts[1]}))"
    # Neighbours without an operator between them are factors.
    text = ""
    for child, part in zip(node, parts, strict=True):
        operand = child.tag != "mo" or part == "("
        before = text and (text[-1] in ")]" or text[-1].isdigit())
        text += f"*{part}" if operand and before else part
    return text


@pytest.mark.parametrize(
    ("family", "shape"),
    [("bdia", {}), ("o-belm", {}), ("open", {"k": 3}), ("blend", {"k": 3}), ("blend", {"k": 2}), ("belm", {"k": 3})],
)
def test_formulas_show_the_coefficients(family, shape):
    method = FAMILIES[family](**shape)
    points = {symbol.name: sp.Rational(p, 7) for symbol, p in zip(method.symbols, (2, 3, 5, 11, 13, 17), strict=False)}
    at = {formulas._GREEK.get(name, name): value for name, value in points.items()}
    for exact in (*method.a, *method.b):
        shown = ET.fromstring(f"<mrow>{formulas.expression(exact)}</mrow>")
        expected = exact.subs({symbol: points[symbol.name] for symbol in method.symbols})
        assert eval(_value(shown, at), {"at": at, "sp": sp}) == expected, exact


def test_relation_leaves_out_zeros_and_ones():
    (step,) = formulas.relation(FAMILIES["ddim"]())
    assert re.sub("<[^>]+>", "", step) == "Xi−1=Xi−h1fi"
    first, *coefficients = formulas.relation(FAMILIES["open"](k=3))
    assert re.sub("<[^>]+>", "", first) == "Xi−1=Xi+2+b1h1fi+b2h2fi+1"
    assert len(coefficients) == 2
    stages = [re.sub("<[^>]+>", "", stage) for stage in formulas.relation(FAMILIES["edict"]())]
    assert stages == ["x′=xi−h1f(yi)", "y′=yi−h1f(x′)", "xi−1=px′+(1−p)y′", "yi−1=py′+(1−p)xi−1"]


# ---- words and looks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.00812, "0.0081"), (0.3, "0.30"), (1.44, "1.4"), (24.1, "24"), (1533, "1500"), (9.96, "10"),
     (1.17e-14, "1.2×10⁻¹⁴"), (1.1e17, "1.1×10¹⁷"), (0.0, "0")],
)  # fmt: skip
def test_number(value, text):
    assert findings.number(value) == text


def _record(**methods):
    curve = {m: [[50, v["error"]], [100, v["error"] * v.get("later", 0.5)]] for m, v in methods.items()}
    return {"setting": {"model_calls": 50}, "methods": methods, "error_by_model_calls": curve}


def _method(error, state, alone, later=0.5, amplification=1.0):
    return {
        "error": error, "from_state": state and {"noise": state, "sample": state}, "later": later,
        "from_sample_alone": {"noise": 0.6, "sample": alone}, "inversion_amplification": {"x": amplification},
        "rounding": {"float32": {"measured": 1.0}},
    }  # fmt: skip


def test_findings_say_what_the_record_says():
    record = _record(
        ddim=_method(0.02, None, 0.03), good=_method(0.01, 1e-14, 0.4), even=_method(0.015, 1e-15, 0.009),
        wild=_method(0.012, 0.5, 9.0, later=2.0, amplification=1e16),
    )  # fmt: skip
    text = "\n".join(findings.findings(record))
    assert "50 model calls <code>good</code> comes nearest" in text
    assert "within 1.0×10⁻¹⁴ with <code>good</code> and <code>even</code>" in text
    assert "<code>wild</code> can be inverted exactly, but its way back magnifies rounding up to 1.0×10¹⁶ times" in text
    assert "<code>even</code> does best" in text and "Not for this job: <code>good</code> (0.40)" in text
    assert "More calls are not always better: <code>wild</code>" in text
    assert findings.traveller(record) == "good"


def test_findings_are_silent_where_nothing_is_to_say():
    record = _record(ddim=_method(0.02, None, 0.03), even=_method(0.015, 1e-15, 0.009))
    text = "\n".join(findings.findings(record))
    assert "Exact on paper" not in text and "Not for this job" not in text and "More calls" not in text


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8).map(sorted), st.floats(0.01, 0.3))
def test_names_keep_apart_and_in_order(wanted, gap):
    moved = style.apart(wanted, gap)
    assert len(moved) == len(wanted)
    assert all(b - a >= gap * (1 - 1e-9) for a, b in pairwise(moved))
    assert sum(moved) == pytest.approx(sum(wanted), abs=1e-9)


def test_names_that_do_not_touch_stay():
    assert style.apart([0.1, 0.5, 0.9], 0.05) == [0.1, 0.5, 0.9]
