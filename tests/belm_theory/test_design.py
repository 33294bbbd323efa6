"""Certificates of designs, against numpy's roots and scipy's monotone cubic, and mutated."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from scipy.interpolate import PchipInterpolator

from belm_theory.catalogue import method
from belm_theory.checker import check
from belm_theory.design import STEPS, certificate, claim
from belm_theory.stability import characteristic

KNOTS = "0.002/0.01/0.03/0.1/0.3/0.6/0.85"


def data(method: str, damping: str | None = None, spacing: str = "power:p=1.5", frame: str = "flow") -> dict:
    return {"name": "mine", "method": method, "damping": damping, "frame": frame, "start": "adams", "spacing": spacing}


@pytest.mark.parametrize(
    "design",
    [
        data("blend:k=3", "8", "bent:A=0.12,B=6,C=0.75"), data("echo:k=4", "5.5", f"free:s={KNOTS}"),
        data("open:k=3"), data("o-belm", spacing="karras:rho=5", frame="noise"), data("exp-blend:k=3,theta=0.7"),
        data("bdia:gamma=0.9", spacing="logsnr", frame="noise"),
    ],
    ids=lambda d: d["method"],
)  # fmt: skip
def test_certificates_hold(design: dict) -> None:
    made = certificate(design)
    assert check(made.as_dict()) == [] and made.claim == claim(design)
    assert design["method"] in made.claim.statement and made.claim.id == "design-mine"


def test_moduli_are_those_of_numpy() -> None:
    made = certificate(data("blend:k=4", "3"))
    for N in STEPS:
        theta = sp.Rational(N, N + 3) ** 3
        rho = characteristic(method("blend", k=sp.Integer(4), theta=theta))
        moduli = sorted(abs(np.roots([float(c) for c in rho.all_coeffs()])))[:3]
        (text,) = [part for part in made.claim.statement.split("; ") if f"N = {N}:" in part]
        least = Fraction(text.split("between ")[1].split(" and")[0])
        assert least < moduli[0] < least + Fraction(1, 999)


def test_neutral_methods_are_called_neutral() -> None:
    assert "neutral both ways" in certificate(data("echo:k=4,theta=1")).claim.statement
    assert "neutral" not in certificate(data("echo:k=4,theta=0.99")).claim.statement


@pytest.mark.parametrize(
    ("text", "damping", "frame"),
    [("exp-blend:k=3,theta=0.7", None, "flow"), ("exp-echo:k=4", "5.5", "noise"), ("exp-damped:k=3,m=4", None, "flow")],
)
def test_exponential_variants_claim_their_own_weights_and_order(text: str, damping: str | None, frame: str) -> None:
    made = certificate(data(text, damping, frame=frame))
    k = 4 if "k=4" in text else 3
    assert check(made.as_dict()) == [] and made.claim == claim(data(text, damping, frame=frame))
    assert f"order {k - 1} on every grid away from sigma = 0, and 1 in the row that ends there" in made.claim.statement
    assert "polynomials in log-SNR are integrated" in made.claim.statement
    assert [name for name in ("exponential-weights", "exponential-last-row") if name in str(made.claim.granted)] == [
        "exponential-weights", "exponential-last-row"
    ]  # fmt: skip
    # The plain method's b and order stand nowhere; stability concerns a alone.
    assert all(set(relation.b) == {0} for relation in made.relations) and "order" not in {g["kind"] for g in made.goals}
    assert {g["kind"] for g in made.goals} <= {"roots", "stable"} and made.goals
    if damping:
        assert f"with theta = (N/(N + {damping}))^{k - 1}" in made.claim.statement


def test_an_exponential_variant_with_one_slope_is_the_plain_method() -> None:
    plain, variant = (certificate(data(name, "8")) for name in ("blend:k=2", "exp-blend:k=2"))
    assert variant.goals == plain.goals and variant.relations == plain.relations
    assert "one slope a step, so it is the plain method" in variant.claim.statement
    assert "order 2 on every grid" in claim(data("blend:k=3,theta=0.7")).statement


def test_slopes_of_a_free_grid_are_scipy_s() -> None:
    """The Bernstein coefficients in the records are the ends and the middle of scipy's derivative."""
    knots = [0.0, *map(float, KNOTS.split("/")), 1.0]
    cubic = PchipInterpolator(np.linspace(0, 1, len(knots)), knots).derivative()
    records = [r for r in certificate(data("open:k=3", spacing=f"free:s={KNOTS}")).goals if "piece" in r["says"]]
    ends = [float(Fraction(r["left"])) for r in records if r["says"].endswith("d_0 >= 0")]
    assert ends == pytest.approx(cubic(np.linspace(0, 1, len(knots)))[:-1].tolist(), abs=1e-12)
    for j, (low, high) in enumerate(pairwise(np.linspace(0, 1, len(knots))), 1):
        between = 2 * cubic((low + high) / 2) - (cubic(low) + cubic(high)) / 2
        (middle,) = [r for r in records if r["says"].startswith(f"piece {j}: ") and "3Δ" in r["says"]]
        found = float(Fraction(middle["left"]))
        assert found == pytest.approx(between if middle["relation"] == ">=" else between**2, abs=1e-9)


@pytest.mark.parametrize(
    "spacing", ["bent:A=6,B=0.12,C=0.75", "bent:A=0.12,B=6,C=-1", "free:s=0.2/0.1/0.5", "free:s=0.2/0.2/0.5"]
)
def test_grids_that_do_not_increase_are_found_false(spacing: str) -> None:
    assert check(certificate(data("open:k=3", spacing=spacing)).as_dict())


@pytest.mark.parametrize(
    ("design", "words"),
    [
        (data("weights:k=3,a2=0,a3=-3"), "not zero-stable: 1 root"),
        # A second root at 1, which rho/(z - 1) alone would not show.
        (data("weights:k=3,a2=1,a3=-1"), "those on it are not simple"),
        (data("weights:k=3,a2=-2,a3=0.5"), "those on it are not simple"),
        (data("belm:k=3", frame="noise"), "not zero-stable in sampling"), (data("edict:p=0.9"), "no relation"),
        (data("exp-blend:k=4"), "dilogarithms"), (data("exp-edict:p=0.9"), "no relation"),
        (data("heun"), "unknown method 'heun'"), (data("damped:k=2,m=3", frame="data"), "needs positive steps"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_has_no_certificate(design: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        certificate(design)


def test_defaults_are_filled_in() -> None:
    assert certificate(data("blend:k=3")).goals == certificate(data("blend:k=3,theta=0.8")).goals
