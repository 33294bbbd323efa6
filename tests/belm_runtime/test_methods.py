"""Names of methods: strings and objects are one thing, parameters are exact, and mistakes are named."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from belm_runtime import InputError, Sampler, Schedule, coefficients, methods
from belm_runtime.methods import Method, make, parse
from belm_runtime.number import exact

STEPS = {f"h{j}": Fraction(j + 2, 7) for j in range(1, 6)}
WEIGHTS = {f"w{j}": Fraction(9 - j, 11) for j in range(6)}


def test_objects_and_strings_are_the_same_thing() -> None:
    blend = methods.blend(k=3, theta="4/5")
    assert blend == parse("blend:k=3,theta=0.8") == methods.blend(k=3, theta=0.8) == parse("blend:theta=.80,k=3")
    assert str(blend) == "blend:k=3,theta=0.8" and parse(blend) is blend
    assert hash(blend) == hash(parse(str(blend)))
    assert str(methods.o_belm()) == "o-belm" and methods.o_belm() == parse(" o-belm ")
    assert methods.bdia(gamma=Fraction(1, 3)) == parse("bdia:gamma=1/3")
    assert str(methods.bdia(gamma="2/6")) == "bdia:gamma=1/3"
    assert str(methods.open(k=3)) == "open:k=3" and str(methods.edict(p="93e-2")) == "edict:p=0.93"


@given(
    family=st.sampled_from(["bdia:gamma", "edict:p", "blend:k=4,theta"]),
    value=st.fractions(Fraction(1, 10**6), 1, max_denominator=10**6),
)
def test_every_fraction_survives_its_string(family: str, value: Fraction) -> None:
    method = parse(f"{family}={value}")
    assert method.parameters[-1][1] == value
    assert parse(str(method)) == method


@pytest.mark.parametrize(
    ("text", "value"),
    [("edict:p=0.93", Fraction(93, 100)), ("bdia:gamma=1e-3", Fraction(1, 1000)), ("edict:p=2/3", Fraction(2, 3))],
)
def test_decimals_are_read_as_exact_fractions(text: str, value: Fraction) -> None:
    assert parse(text).parameters[-1][1] == value


@given(k=st.integers(2, 5), data=st.data())
def test_weights_survive_their_string_at_every_k(k: int, data: st.DataObject) -> None:
    numbers = st.fractions(-8, 8, max_denominator=10**4)
    values = {f"a{j}": data.draw(numbers) for j in range(2, k + 1)}
    method = make("weights", k=k, **values)
    assert parse(str(method)) == method and method.k == k
    a, _ = method.coefficients(STEPS, WEIGHTS, Fraction)
    assert a == (1 - sum(values.values()), *values.values())
    assert method.has_inverse == (values[f"a{k}"] != 0)


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("blend:k=3,theta=1e-300", "blend:k=3,theta=1e-300"),
        ("exp-blend:k=3,theta=1234567891/2345678912", "exp-blend:k=3,theta=0.526316"),
        ("blend:k=3,theta=0.8", "blend:k=3,theta=0.8"),
        ("bdia:gamma=1/3", "bdia:gamma=1/3"),
        ("o-belm", "o-belm"),
    ],
)
def test_in_messages_many_digits_are_few(text: str, brief: str) -> None:
    assert parse(text).brief == brief


def test_defaults_are_filled_in_where_there_are_any() -> None:
    assert str(parse("damped:k=3")) == "damped:k=3,m=8"
    assert str(parse("weights:k=3,a3=0.4")) == "weights:k=3,a2=0,a3=0.4"
    assert str(parse("weights:a4=-1/3,k=4")) == "weights:k=4,a2=0,a3=0,a4=-1/3"
    assert str(parse("edict")) == "edict:p=0.93" and str(parse("bdia")) == "bdia:gamma=0.5"
    assert str(parse("blend:k=3")) == "blend:k=3,theta=0.8"
    assert methods.read("blend:k=3") == ("blend", {"k": "3"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("o-blem", "unknown method 'o-blem'; did you mean 'o-belm'"),
        ("", "unknown method ''"),
        ("open", "'open' needs k, a whole number from 2 to 5: open:k=2"),
        ("open:k=6", r"k = 6 is outside its range; it must be a whole number in \[2, 5\]"),
        ("open:k=2.5", "k = 2.5 is outside"),
        ("open:3", "'3' is not of the form name=value"),
        ("open:k=", "'k=' is not of the form"),
        ("open:k=3,k=4", "method 'open:k=3,k=4': 'k' is given twice"),
        ("open:k=3,theta=1", "'open' has no parameter 'theta'; it has: k"),
        ("ddim:eta=0", "'ddim' has no parameter 'eta'; it has: none"),
        ("blend:k=3,theta=0", r"theta = 0 is outside its range; it must be in \(0, 1\]"),
        ("blend:k=3,theta=1.0001", "theta = 1.0001 is outside"),
        ("edict:p=0", r"p = 0 is outside its range; it must be in \(0, 1\]"),
        ("bdia:gamma=-0.1", r"gamma = -0.1 is outside its range; it must be in \[0, 1\]"),
        ("weights:k=3,a4=0", "'weights' with k = 3 has no a4$"),
        ("weights:k=3,a1=0", "'weights' has no parameter 'a1'; it has: k, a2, a3, a4, a5"),
        ("weights:a2=1", "'weights' needs k, a whole number from 2 to 5"),
        ("weights:k=6,a6=1", "has no parameter 'a6'"),
        ("weights:k=3,a3=-9", r"a3 = -9 is outside its range; it must be in \[-8, 8\]"),
        ("damped:k=3,m=64.5", r"m = 64.5 is outside its range; it must be in \[0, 64\]"),
        ("damped:m=8", "'damped' needs k"),
        ("bdia:gamma=half", "gamma = 'half' is not a number"),
        ("bdia:gamma=nan", "gamma = 'nan' is not a number"),
        ("bdia:gamma=1/0", "gamma = '1/0' is not a number"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(text)


def test_constructors_exist_for_families_only() -> None:
    with pytest.raises(AttributeError, match="no attribute 'belmm'"):
        methods.belmm  # noqa: B018
    with pytest.raises(InputError, match="has no parameter 'theta'"):
        methods.open(k=3, theta=1)
    with pytest.raises(InputError, match="unknown method"):
        make("nothing")


def test_the_catalogue_speaks_of_methods_that_parse() -> None:
    facts = methods.catalogue()
    assert len({fact["method"] for fact in facts}) == len(facts) >= 15
    for fact in facts:
        method = parse(fact["method"])
        assert str(method) == fact["method"]
        assert (method.k, str(method.frame), method.source) == (fact["k"], fact["frame"], fact["source"])
        assert fact["order"] <= fact["order_smooth"] and fact["sampling"][0] in ("proved", "refuted", "undecided")
    facts[0].clear()
    assert methods.catalogue()[0]


def test_natural_frames_and_depths() -> None:
    noise = {"o-belm", "bdia", "edict", "belm:k=3"}
    for text in [*noise, "ddim", "open:k=3", "blend:k=3", "adams:m=2"]:
        assert str(parse(text).frame) == ("noise" if text in noise else "flow")
    assert [parse(text).k for text in ("ddim", "edict", "o-belm", "adams:m=4", "blend:k=5")] == [2, 2, 2, 5, 5]


@pytest.mark.parametrize("fact", methods.catalogue(), ids=lambda fact: fact["method"])
def test_invertible_means_a_nonzero_oldest_weight(fact: dict[str, object]) -> None:
    method = parse(str(fact["method"]))
    if method.stages:
        assert fact["invertible"]
        return
    a, _ = method.coefficients(STEPS, WEIGHTS, Fraction)
    assert (a[-1] != 0) == fact["invertible"] and sum(a) == 1


@pytest.mark.parametrize("text", [fact["method"] for fact in methods.catalogue()])
def test_one_function_serves_fractions_floats_and_arrays(text: str) -> None:
    def flat(coefficients: tuple[tuple[object, ...], ...]) -> list[object]:
        return [value for group in coefficients for value in group]

    method = parse(text)
    exact = flat(method.coefficients(STEPS, WEIGHTS, Fraction))
    floats = {name: float(value) for name, value in STEPS.items()}, {n: float(value) for n, value in WEIGHTS.items()}
    plain = flat(method.coefficients(*floats))
    arrays = flat(method.coefficients(*({n: np.array([v, v]) for n, v in group.items()} for group in floats)))
    assert all(isinstance(value, int | Fraction) for value in exact)
    assert plain == pytest.approx([float(value) for value in exact], rel=1e-13)  # type: ignore[arg-type]
    assert [float(np.broadcast_to(value, 2)[1]) for value in arrays] == pytest.approx(plain, rel=1e-14)  # type: ignore


def test_a_method_is_a_plain_record() -> None:
    assert Method("open", (("k", Fraction(3)),)) == methods.open(k="3")
    assert methods.edict().stages[0] == ("x_inter", ("x", "f(y)")) and methods.open(k=3).stages == ()


def test_the_designed_method_knows_the_number_of_steps() -> None:
    for steps in (10, 32):
        assert parse("designed", steps) == methods.blend(k=3, theta=(steps / (steps + Fraction("9.3"))) ** 2)
    with pytest.raises(InputError, match="depends on the number of steps"):
        parse("designed")
    grid = Schedule.preset("sd15").grid(10, "designed")
    assert Sampler("designed", grid).method == coefficients("designed", grid).method == parse("designed", 10)


@pytest.mark.parametrize("preset", ["sd15", "ddpm"])
def test_the_designed_pair_inverts_without_a_warning_at_any_number_of_steps(preset: str) -> None:
    for steps in (10, 50, 200, 800):
        assert Sampler("designed", Schedule.preset(preset).grid(steps, "designed")).amplification() < 1e5


def test_every_family_has_its_constructor() -> None:
    for family in methods.FAMILIES:
        assert getattr(methods, family.replace("-", "_")).args == (family,)
    assert methods.damped(k=3, m=8) == parse("damped:k=3,m=8")


@given(
    st.one_of(
        st.builds("{}e-{}".format, st.integers(1, 10**50), st.integers(51, 349)),
        st.builds("0.{}".format, st.text("0123456789", min_size=1, max_size=57).filter(lambda digits: int(digits))),
        st.builds("{}/{}".format, st.just(1), st.integers(1, 10**57)),
        st.builds("1/{}".format, st.integers(0, 190).map(lambda n: 2**n)),
    )
)
def test_any_parameter_that_is_read_is_written_so_that_it_is_read_again(text: str) -> None:
    assume(exact(text) is not None)
    method = methods.parse(f"blend:k=3,theta={text}")
    assert methods.parse(str(method)) == method and method.parameters[1][1] == exact(text)
