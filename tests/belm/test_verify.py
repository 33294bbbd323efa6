"""`belm verify` and `belm check`: claims, certificates, and constants on a grid, as a user calls them."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from belm_runtime import Schedule
from belm_theory import pages

PAGES = pages.pages()
STORED = pages.FOLDER / "certificates"
FIELDS = ["id", "statement", "hypotheses", "verdict", "method", "witness", "source", "granted"]
CONSTANTS = ["K_sampling", "K_inversion", "K_sampling_x", "K_inversion_x"]
KEYS = ["method", "frame", "schedule", "spacing", "steps", "levels", "hypothesis_fails_at", *CONSTANTS]


def stored(name: str) -> dict[str, Any]:
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


# ---- claims -------------------------------------------------------------------------------------------------------


def test_all_claims_as_json_and_their_certificates(run, tmp_path):
    code, out, _ = run("verify", "--format", "json", "--certificates", tmp_path / "new" / "folder")
    assert code == 0
    record = json.loads(out)
    assert list(record) == ["claims"]
    assert [claim["id"] for claim in record["claims"]] == list(PAGES)
    for claim in record["claims"]:
        assert list(claim) == FIELDS
        assert claim["verdict"] in ("proved", "refuted", "undecided")
        assert isinstance(claim["hypotheses"], list) and isinstance(claim["method"], str | None)
        assert claim == {field: stored(claim["id"])[field] for field in FIELDS}
    written = sorted((tmp_path / "new" / "folder").iterdir())
    assert [path.name for path in written] == sorted(f"{name}.json" for name in PAGES)
    code, out, _ = run("check", *written)
    assert code == 0
    assert out.splitlines()[:-1] == [f"{path}: holds" for path in written]


def test_chosen_claims_in_the_order_asked_for(run):
    wanted = ["proposition-5", "assumption-3"]
    code, out, _ = run("verify", *wanted, "--format", "json")
    assert code == 0, "a refuted claim is a result"
    found = {claim["id"]: claim["verdict"] for claim in json.loads(out)["claims"]}
    assert list(found.items()) == [("proposition-5", "proved"), ("assumption-3", "refuted")]


def test_text_shows_claim_verdict_and_witness(run):
    code, out, _ = run("verify", "assumption-3")
    assert code == 0
    for fragment in ("assumption-3", "refuted", "h_i = 2^{-i}", "Assumption 3"):
        assert fragment in out


def test_wrong_calls_for_claims(refused, tmp_path):
    refused("verify", "proposition5", holds=("'proposition5'", "proposition-5"))
    refused("verify", "proposition-5", "no-such-claim-at-all", holds=("no-such-claim-at-all",))
    refused("verify", "proposition-5", "--format", "yaml", holds=("yaml", "json"))
    (tmp_path / "file").write_text("")
    refused("verify", "proposition-5", "--certificates", tmp_path / "file", holds=("file",))
    refused("verify", "proposition-5", "--method", "o-belm", holds=("--method", "claims"))
    refused("verify", "--certificates", tmp_path, "--method", "o-belm", holds=("--method", "certificates"))


def test_an_unknown_claim_writes_nothing(run, tmp_path):
    assert run("verify", "proposition-5", "nonsense", "--certificates", tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()


# ---- check --------------------------------------------------------------------------------------------------------


def written(folder: Path, data: Any, name: str = "c.json") -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_every_stored_certificate_holds(run):
    files = sorted(STORED.glob("*.json"))
    code, out, err = run("check", *files, "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["files"] == [{"file": str(file), "false": []} for file in files]


def test_a_forged_certificate_is_named_with_what_is_false(run, tmp_path):
    data = stored("o-belm-is-the-second-order-method")
    index = next(i for i, record in enumerate(data["goals"], 1) if record["kind"] == "identity")
    data["goals"][index - 1]["right"] += " + h1/1000000"
    forged, true = written(tmp_path, data), STORED / "proposition-5.json"
    code, out, err = run("check", true, forged)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[:2] == [f"{true}: holds", f"{forged}: FALSE"]
    assert "the goals make the claim undecided, not proved" in lines[2] and f"goal {index}: " in lines[2]
    code, out, _ = run("check", forged, "--format", "json")
    (found,) = json.loads(out)["files"]
    assert code == 1 and found["false"] == [lines[2].strip()]


def test_a_changed_verdict_is_false(run, tmp_path):
    code, out, _ = run("check", written(tmp_path, {**stored("assumption-3"), "verdict": "proved"}))
    assert code == 1 and "the goals make the claim refuted, not proved" in out


def test_words_are_said_not_to_be_checked(run, tmp_path):
    """A certificate whose words are rewritten holds, since its goals do: the output says what was checked."""
    rewritten = written(tmp_path, {**stored("proposition-5"), "id": "riemann", "statement": "All zeros lie on a line."})
    code, out, _ = run("check", rewritten)
    assert code == 0 and out.splitlines()[0] == f"{rewritten}: holds"
    assert "id, statement and witness are words" in out.splitlines()[-1]
    checked = json.loads(run("check", rewritten, "--format", "json").out)["checked"]
    assert checked == ["hypotheses", "relations", "goals", "steps", "verdict"]


def test_files_that_are_no_certificates(refused, tmp_path):
    whole = (STORED / "proposition-5.json").read_text(encoding="utf-8")
    refused("check", tmp_path / "absent.json", holds=("absent.json", "No such file"))
    refused("check", tmp_path, holds=(str(tmp_path), "directory"))
    refused("check", written(tmp_path, whole[: len(whole) // 2]), holds=("c.json", "not JSON"))
    refused("check", written(tmp_path, ""), holds=("c.json", "not JSON"))
    refused("check", written(tmp_path, "[" * 100_000), holds=("c.json", "not JSON"))
    refused("check", written(tmp_path, []), holds=("c.json", "belm-certificate-2"))
    refused("check", STORED / "proposition-5.json", written(tmp_path, {}), holds=("c.json",))
    data = json.loads(whole)
    for field in [*FIELDS, "relations", "goals", "steps"]:
        without = {key: value for key, value in data.items() if key != field}
        refused("check", written(tmp_path, without), holds=("c.json", repr(field)))
        refused("check", written(tmp_path, {**data, field: 7}), holds=("c.json", repr(field), "int"))
    refused("check", written(tmp_path, {**data, "verdict": "true"}), holds=("c.json", "'true'", "refuted"))
    refused("check", written(tmp_path, {**data, "goals": []}), holds=("c.json", "no goals"))
    refused("check", written(tmp_path, {**data, "hypotheses": ["h1 = 2"]}), holds=("c.json", "h1 = 2"))
    refused("check", written(tmp_path, {**data, "relations": {"o-belm": {}}}), holds=("c.json", "o-belm", "'steps'"))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    refused("check", tmp_path / "bytes.json", holds=("bytes.json", "not JSON"))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("text", "unknown kind"),
        ({"kind": ["identity"]}, "unknown kind"),
        ({"kind": "belief"}, "'belief'"),
        ({"kind": "identity", "left": "1", "right": "1", "says": ""}, "does not say"),
        ({"kind": "identity", "left": "1"}, "'right'"),
        ({"kind": "identity", "left": "1", "right": 1}, "must be text"),
        ({"kind": "identity", "left": "__import__('os')", "right": "1"}, "cannot read"),
        ({"kind": "identity", "left": "x**y", "right": "1"}, "whole number"),
        ({"kind": "identity", "left": "2**99999999999", "right": "1"}, "exponent"),
        ({"kind": "identity", "left": "1/0", "right": "1"}, "division by zero"),
        ({"kind": "identity", "left": "x", "right": "x + 0", "where": "x"}, "no chain of comparisons"),
        ({"kind": "inequality", "left": "x", "relation": "=", "right": "1"}, "'='"),
        ({"kind": "inequality", "left": "x", "relation": "<", "right": "1", "point": ["1"]}, "point"),
        ({"kind": "value", "point": {}, "left": "unused", "relation": "==", "right": "1"}, "'unused'"),
        ({"kind": "value", "point": {}, "left": "1", "relation": "=", "right": "1"}, "'='"),
        ({"kind": "order", "relation": "o-belm", "grid": "every", "order": -2, "leading": "h1"}, "-2"),
        ({"kind": "order", "relation": "o-belm", "grid": "odd", "order": 2}, "'odd'"),
        ({"kind": "order", "relation": "euler", "grid": "every", "order": 1, "leading": "h1"}, "'euler'"),
        ({"kind": "stable", "relation": "o-belm", "direction": "up"}, "'up'"),
        ({"kind": "stable", "relation": "o-belm", "direction": "sampling", "grid": {"steps": ["0"]}}, "positive"),
        ({"kind": "roots", "coefficients": ["0"], "inside": 0, "on": 0, "outside": 0, "simple_on": True}, "zero"),
        ({"kind": "roots", "coefficients": ["z"], "inside": 0, "on": 0, "outside": 0, "simple_on": True}, "'z'"),
        ({"kind": "barrier", "steps": 3, "order": 3, "multipliers": [], "positive": {}, "conclusion": "none"}, "p + 1"),
        ({"kind": "barrier", "steps": 1, "order": 3, "multipliers": [], "positive": {}, "conclusion": "no"}, "2 … 12"),
        ({"kind": "convex", "schedule": {"betas": "cosine", "low": "1", "high": "2", "steps": 9}, "timesteps": [1],
          "fails_at": []}, "'cosine'"),
    ],
)  # fmt: skip
def test_malformed_evidence_is_one_line_that_names_the_file(refused, tmp_path, record, reason):
    record = {"says": "something", **record} if isinstance(record, dict) else record
    path = written(tmp_path, {**stored("proposition-5"), "steps": [record]})
    refused("check", path, holds=("c.json", "step 1", reason))


def test_check_needs_a_file(run):
    assert run("check").code == 2


# ---- constants on a grid ------------------------------------------------------------------------------------------


def constants(run, *arguments: object) -> dict[str, Any]:
    code, out, _ = run("verify", *arguments, "--format", "json")
    assert code == 0
    return json.loads(out)


def test_o_belm_on_stable_diffusions_grid(run):
    record = constants(run, "--method", "o-belm", "--schedule", "sd15", "--steps", "50", "--spacing", "leading")
    assert list(record) == KEYS
    asked = {"method": "o-belm", "frame": "noise", "schedule": "sd15", "spacing": "leading", "steps": 50}
    assert {key: record[key] for key in asked} == asked
    h = [after - before for before, after in pairwise(Schedule.preset("sd15").grid(50).sbar)]
    assert record["hypothesis_fails_at"] == [i for i in range(1, 50) if not h[i - 1] < h[i]] != []
    for key in CONSTANTS:
        assert list(record[key]) == ["lower", "upper"]
        lower, upper = (Fraction(record[key][side]) for side in ("lower", "upper"))
        assert 1 <= lower <= upper < lower * Fraction(10**10 + 1, 10**10)
    assert Fraction(record["K_sampling"]["upper"]) < 8 and Fraction(record["K_inversion"]["lower"]) > 1000


def test_astronomic_constants_stay_short_and_outward(run):
    record = constants(run, "--method", "edict:p=1/1000", "--steps", 100)
    lower, upper = (Fraction(record["K_inversion"][side]) for side in ("lower", "upper"))
    # The mixing matrix has the eigenvalue p²: its inverse grows like 10^600 over 100 steps.
    assert 10**599 < lower < upper < 10**602 and len(record["K_inversion"]["upper"]) < 25


@pytest.mark.parametrize("method", ["ddim", "adams:m=3", "bdia:gamma=0"])
def test_no_inverse_is_null(run, method):
    record = constants(run, "--method", method, "--steps", 10)
    assert record["K_inversion"] is None and record["K_inversion_x"] is None
    assert record["K_sampling"]["lower"] == "1.00000000000"
    assert record["K_sampling"]["upper"] in ("1.00000000000", "1.00000000001")
    text = run("verify", "--method", method, "--steps", 10).out
    assert text.count("not invertible") == 2


def test_defaults_names_and_text(run):
    record = constants(run, "--method", "blend:theta=4/5,k=3", "--schedule", "flow", "--steps", 6)
    assert (record["method"], record["frame"], record["spacing"]) == ("blend:k=3,theta=0.8", "flow", "trailing")
    assert "stored numbers" in record["levels"]
    assert constants(run, "--method", "open:k=3", "--frame", "q=1/3", "--steps", 5)["frame"] == "q=1/3"
    code, out, _ = run("verify", "--method", "o-belm", "--schedule", "sd15", "--steps", 20)
    assert code == 0
    assert out.startswith("o-belm in the noise frame, sd15, leading, 20 steps\n")
    assert "fails at nodes: [" in out and out.count("K in [") == 4


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (("--method", "obelm"), ("'obelm'", "o-belm")),
        (("--method", "blend:k=3,theta=1.5"), ("theta = 1.5", "(0, 1]")),
        (("--method", "bdia:gamma=-1"), ("gamma = -1", "[0, 1]")),
        (("--method", "open:k=17"), ("k = 17",)),
        (("--method", "o-belm:k=3"), ("'k'",)),
        (("--method", "o-belm", "--steps", 0), ("steps", "0")),
        (("--method", "o-belm", "--steps", 1001), ("1001",)),
        (("--method", "o-belm", "--schedule", "sd16"), ("'sd16'", "sd15")),
        (("--method", "o-belm", "--spacing", "leadnig"), ("leadnig", "leading")),
        (("--method", "o-belm", "--frame", "noisy"), ("'noisy'", "noise")),
        (("--method", "o-belm", "--frame=-1"), ("-1", ">= 0")),
        (("--method", "o-belm", "--schedule", "flow"), ("noise frame", "alpha_N = 0", "frame='flow'")),
        (("--method", "open:k=3", "--schedule", "flow", "--frame", "noise"), ("noise frame", "alpha_N = 0")),
        (("--method", "edict", "--schedule", "flow"), ("alpha_N = 0", "another method")),
        (("--method", "edict", "--frame", "flow"), ("noise frame only", "flow")),
        (("--method", "open:k=3", "--frame", "data"), ("sigma_0 > 0",)),
    ],
)
def test_wrong_calls_for_constants(refused, arguments, holds):
    refused("verify", *arguments, holds=holds)
