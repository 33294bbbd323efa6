"""The derivation page: what it prints is what the theory computes, in text, in LaTeX and as a record."""

from __future__ import annotations

import json
import random
import re
from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest
import sympy as sp

from belm_theory import exponential
from belm_theory.catalogue import FAMILIES
from belm_theory.derivation import Derivation, as_record, derive, error_in_x, undone
from belm_theory.frame import DATA, FLOW, NOISE, Frame, Q, frame_name
from belm_theory.method import Relation, TwoRegister
from belm_theory.render import as_latex, as_text, sections
from belm_theory.xform import levels

CASES = [
    ("ddim", {}), ("edict", {}), ("edict", {"p": "93/100"}), ("bdia", {}), ("bdia", {"gamma": "1"}), ("o-belm", {}),
    ("open", {"k": "3"}), ("blend", {"k": "3"}), ("blend", {"k": "2", "theta": "4/5"}), ("echo", {"k": "3"}),
    ("damped", {"k": "3"}), ("damped", {"k": "2", "m": "8"}), ("weights", {"k": "3"}), ("adams", {"m": "2"}),
    ("weights", {"k": "4", "a2": "1/10", "a3": "-1/5", "a4": "1/2"}), ("belm", {"k": "2"}),
]  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda case: case[0] + "".join(case[1].values()).replace("/", "_"))
def found(request) -> Derivation:
    family, values = request.param
    return derive(family, **values)


def parsed(text: str, found: Derivation) -> sp.Expr:
    known = {s.name: s for s in (*found.method.symbols, *getattr(found.method, "w", ()))}
    return sp.sympify(text, locals=known)


def test_every_family_is_rendered():
    assert {family for family, _ in CASES} == set(FAMILIES)


def test_the_record_is_json_and_holds_the_computed_facts(found):
    record = as_record(found)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["order"], record["order_smooth"]) == (found.order, found.order_smooth)
    assert record["stability"]["inversion"]["verdict"] == found.stability["inversion"].outcome
    assert record["source"] == FAMILIES[found.family.name].source
    assert set(record["symbols"]) == {p.name for p in found.method.parameters}


def test_the_record_reads_back_as_the_same_expressions(found):
    record, method = as_record(found), found.method
    if isinstance(method, TwoRegister):
        for stage, written in zip(method.stages, record["stages"], strict=True):
            assert stage.target == written["target"]
            for (operand, c), term in zip(stage.terms, written["terms"], strict=True):
                assert operand == term["operand"] and parsed(term["coefficient"], found) == c
        return
    for name in ("a", "b"):
        for text, value in zip(record[name], getattr(method, name), strict=True):
            assert sp.cancel(parsed(text, found) - value) == 0
    assert record["local_error"]["derivative"] == found.order + 1


def test_the_inverse_of_the_record_undoes_the_relation(found):
    """Put X_{i-1} from a, b into the inverse relation: X_{i-1+k} must come out, every other term cancel."""
    record, method = as_record(found), found.method
    if not isinstance(method, Relation):
        return
    if record["inverse"] is None:
        assert method.a[-1] == 0
        return
    c, d = ([parsed(text, found) for text in record["inverse"][key]] for key in "cd")
    for j in range(1, method.k):
        assert sp.cancel(c[0] * method.a[j - 1] + c[j]) == 0
        assert sp.cancel(c[0] * method.b[j - 1] + d[j - 1]) == 0
    assert sp.cancel(c[0] * method.a[-1]) == 1


def test_undone_stages_bring_both_registers_back():
    method = derive("edict", p="2/3").method
    step = {method.h[0]: sp.Rational(3, 7)}

    def slope(value: Fraction) -> Fraction:
        return value * value - value / 3 + 1

    def run(stages, registers):
        registers = dict(registers)
        for stage in stages:
            total = Fraction(0)
            for operand, coefficient in stage.terms:
                weight = Fraction(str(coefficient.subs(step)))
                inner = operand[2:-1] if operand.startswith("f(") else operand
                total += weight * (slope(registers[inner]) if inner != operand else registers[operand])
            registers[stage.target] = total
        return registers

    start = {"x": Fraction(2, 5), "y": Fraction(-1, 3)}
    there = run(method.stages, start)
    back = run(undone(method.stages), {"x": there["x"], "y": there["y"]})
    assert there["x"] != start["x"] and {name: back[name] for name in start} == start


def test_the_text_has_every_section_and_fits(found):
    text = as_text(found)
    titles = [line for line in text.splitlines()[2:] if line and not line.startswith(" ")]
    assert titles == list(sections(found))
    assert {"Frame", "Theorem", "Leading local error", "Inverse", "Order", "Zero-stability", "Source"} <= set(titles)
    assert text.startswith(found.name + "\n" + "=" * len(found.name)) and text.endswith("\n")
    longest = max(len(word) for word in text.split())
    assert max(len(line) for line in text.splitlines()) <= max(98, longest + 6)
    for way, verdict in found.stability.items():
        assert f"{way}: {verdict.outcome}; " in text


def test_the_text_of_o_belm():
    text = as_text(derive("o-belm"))
    for line in (
        "X_{i-1} = a_1 X_i + a_2 X_{i+1} + b_1 h_i f_i",
        "h_i = s_i - s_{i-1}; h1 = h_i, h2 = h_{i+1}",
        "E_0 = E_1 = E_2 = 0 for all steps",
        "E_3 = -h1**2*(h1 + h2)",
        "a_2 = h1**2/h2**2",
        "tau / X^(3) = -h1**2*(h1 + h2)/6",
        "X^(3) = f^(2)",
        "X_{i+1} = c_0 X_{i-1} + c_1 X_i + d_1 h_i f_i",
        "c_0 = h2**2/h1**2",
        "BELM, eq 18",
    ):
        assert f"  {line}\n" in text


def test_a_method_without_inverse_says_so():
    page = sections(derive("adams", m="2"))
    assert [line.text for line in page["Inverse"]] == ["refuted; a_k = 0: the oldest state does not enter"]


def test_parameters_and_their_range():
    assert [line.text for line in sections(derive("blend", k="3"))["Parameters"]] == ["theta in (0, 1]"]
    assert [line.text for line in sections(derive("bdia"))["Parameters"]] == ["gamma in [0, 1]"]
    assert "Parameters" not in sections(derive("blend", k="3", theta="1"))


def test_characteristic_polynomials_are_shown_for_constant_weights():
    lines = [line.text for line in sections(derive("open", k="3"))["Zero-stability"]]
    assert "rho(z), sampling = z**3 - 1" in lines and "rho(z), inversion = z**3 - 1" in lines
    assert not any("rho(z)" in line.text for line in sections(derive("o-belm"))["Zero-stability"])


def test_stages_are_written_with_primes_at_the_new_node():
    text = as_text(derive("edict"))
    assert "  x' = p*x_inter + y_inter*(1 - p)\n" in text and "  y' = p*y_inter + x'*(1 - p)\n" in text
    assert "  x_inter = x'/p + y_inter*(p - 1)/p\n" in text


def test_latex_is_balanced_and_writes_the_indices_out(found):
    latex = as_latex(found)
    assert latex.count(r"\[") == latex.count(r"\]") > 3
    for block in re.findall(r"\\\[(.*?)\\\]", latex):
        assert block.replace(r"\{", "").count("{") == block.replace(r"\}", "").count("}")
        assert not re.search(r"\bh\d|\bw\d|h_\{\d|w_\{\d", block)
    prose = re.sub(r"\\\[.*?\\\]|\\section.*|\$.*?\$", "", latex)
    assert not re.search(r"(?<!\\)[_^&%#]", prose)


def test_latex_of_o_belm():
    latex = as_latex(derive("o-belm"))
    assert r"a_{2} = \frac{h_{i}^{2}}{h_{i+1}^{2}}" in latex
    assert r"X_{i-1} = a_1 X_{i} + a_2 X_{i+1} + b_1 h_{i} f_{i}" in latex


def test_a_value_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="theta"):
        derive("blend", k="3", theta="2")


@pytest.mark.parametrize(
    ("family", "values", "frame"),
    [("blend", {"k": "3"}, None), ("open", {"k": "5"}, DATA), ("weights", {"k": "4"}, NOISE),
     ("adams", {"m": "2"}, FLOW), ("damped", {"k": "3"}, Frame(Q)), ("belm", {"k": "3"}, Frame(sp.Rational(1, 3)))],
    ids=str,
)  # fmt: skip
def test_an_exponential_variant_read_back_integrates_polynomials_in_the_logarithm(family, values, frame):
    """The page, put together at random nodes: Σ B_m y_m^p = Σ a_j ∫ y^p ds, p <= k-2, by quadrature at 30 digits."""
    page = as_record(found := derive(family, frame, exponential=True, **values))
    k, generator = found.method.k, random.Random(found.name)
    q = Fraction(5, 4) if page["frame"]["name"] == "q" else Fraction(str(exponential.rule(found.method.frame)))
    with mpmath.workdps(30):
        q = mpmath.mpf(q.numerator) / q.denominator
        s = [mpmath.mpf(n) / 80 for n in sorted(generator.sample(range(1, 60), k + 1))]
        first = mpmath.log(s[1] / (1 - q * s[1]))
        y = [mpmath.log(x / (1 - q * x)) - first for x in s]
        a = {f"a_{j}": mpmath.mpf(generator.randint(-9, 9)) / 7 for j in range(1, k + 1)}
        moments = [[evaluated(text, s=x, y=log, v=mpmath.log(1 - q * x), q=q) for x, log in zip(s, y, strict=True)]
                   for text in page["moments"]]  # fmt: skip
        functions = {f"A_{m}": values.__getitem__ for m, values in enumerate(moments)}
        integrals = {f"i{m}": evaluated(text, **a, **functions) for m, text in enumerate(page["integrals"])}
        B = [evaluated(text, **integrals, **{f"y{j}": y[j] for j in range(2, k)}) for text in page["B"]]
        assert len(B) == len(integrals) == k - 1
        for p in range(k - 1):
            wanted = sum(
                a[f"a_{j}"] * mpmath.quad(lambda x, p=p: (mpmath.log(x / (1 - q * x)) - first) ** p, [s[j], s[0]])
                for j in range(1, k + 1)
            )
            made = sum(b * y[m] ** p for m, b in enumerate(B, 1))
            assert abs(made - wanted) <= 1e-22 * sum(map(abs, a.values()))


def evaluated(text: str, **values: object) -> mpmath.mpf:
    """A formula of a page, which is written in Python's arithmetic."""
    return eval(text, {"__builtins__": {}}, values)


@pytest.mark.parametrize(("family", "values"), [("open", {"k": "3"}), ("blend", {"k": "4"}), ("adams", {"m": "3"})])
def test_an_exponential_variant_keeps_a_inverse_and_stability(family, values):
    plain, variant = derive(family, NOISE, **values), derive(family, exponential=True, **values)
    one, other = as_record(plain), as_record(variant)
    assert all(one[key] == other[key] for key in ("a", "frame", "invertible", "stability", "symbols"))
    assert other["method"] == f"exp-{one['method']}" and other["order"] == plain.method.k - 1
    assert (one["inverse"] and one["inverse"]["c"]) == (other["inverse"] and other["inverse"]["c"])
    if one["inverse"]:
        a = [sp.sympify(weight) for weight in other["a"]]
        for m, d in enumerate(other["inverse"]["D"], 1):
            assert sp.cancel(sp.sympify(d) * a[-1] + sp.Symbol(f"B_{m}")) == 0
    text, latex = as_text(variant), as_latex(variant)
    assert f"a is that of {one['method']}." in text and "claim exponential-last-row" in text
    assert "  l = log(sigma/alpha)\n" in text and "B_1 h_i" not in text and r"B_1 f_{i}" in latex
    assert "∫" not in latex and latex.count(r"\[") == latex.count(r"\]") > 3


def test_an_exponential_variant_with_one_slope_is_the_plain_method():
    plain, variant = derive("bdia", NOISE), derive("bdia", exponential=True)
    assert "nothing to interpolate" in as_text(variant)
    assert as_record(variant) == {**as_record(plain), "method": "exp-bdia", "theorem": " ".join(variant.theorem)}


def test_exponential_variants_that_there_are_not():
    with pytest.raises(ValueError, match="k = 4: in frames 0 < q < oo"):
        derive("open", FLOW, exponential=True, k="4")
    with pytest.raises(ValueError, match="two registers"):
        derive("edict", exponential=True)


@pytest.mark.parametrize(
    ("family", "values"), [case for case in CASES if case[0] != "edict"], ids=lambda case: str(case).replace("/", "_")
)
@pytest.mark.parametrize("frame", [NOISE, FLOW, DATA, Frame(sp.Rational(1, 3)), Frame(Q)], ids=frame_name)
def test_the_error_in_x_is_the_miss_of_the_relation_run_in_the_frame(family, values, frame):
    """X = s^{p+1} through the relation at random levels of the frame: w_0·(X_0 - made) = (p+1)!·in_x."""
    if FAMILIES[family].lengths and frame.is_data:
        with pytest.raises(ValueError, match="damped is for positive steps, and those of the data frame are negative"):
            derive(family, frame, **values)
        return
    found = derive(family, frame, **values)
    relation, generator = found.method, random.Random(found.name)
    alpha, sigma = levels(relation.k)
    point = {p: sp.Rational(2, 7) for p in relation.parameters} | {Q: sp.Rational(5, 4)}
    point |= {level: sp.Rational(generator.randint(1, 20), 7) for level in (*alpha, *sigma)}
    w = [frame.weight(a, o).subs(point) for a, o in zip(alpha, sigma, strict=True)]
    s = [frame.coordinate(a, o).subs(point) for a, o in zip(alpha, sigma, strict=True)]
    h = [after - before for before, after in pairwise(s)]
    point |= dict(zip(relation.h, h, strict=True)) | dict(zip(relation.w, w, strict=False))
    a, b = ([weight.subs(point) for weight in weights] for weights in (relation.a, relation.b))
    power = found.order + 1
    made = sum(weight * node**power for weight, node in zip(a, s[1:], strict=True))
    made += sum(weight * step * power * node ** (power - 1) for weight, step, node in zip(b, h, s[1:], strict=False))
    assert w[0] * (s[0] ** power - made) == sp.factorial(power) * error_in_x(relation, found.error).subs(point)


def test_the_levels_of_the_error_in_x_are_explained():
    lines = [line.text for line in sections(derive("bdia", Frame(Q)))["Leading local error"]]
    assert lines[-1] == "alpha0 = alpha_{i-1}, sigma0 = sigma_{i-1}, alpha2 = alpha_{i+1}, sigma2 = sigma_{i+1}"
    assert sections(derive("o-belm", DATA))["Leading local error"][-1].text == "sigma0 = sigma_{i-1}"
    latex = as_latex(derive("bdia", Frame(Q)))
    assert r"w_{i-1} = \alpha_{i-1} + q \sigma_{i-1}" in latex and not re.search(r"(alpha|sigma)_\{\d", latex)


def test_a_two_register_scheme_stays_in_its_frame():
    assert derive("edict", NOISE).method == derive("edict").method
    with pytest.raises(ValueError, match="noise frame"):
        derive("edict", FLOW)
