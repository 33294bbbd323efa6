"""`belm table`: every format, and every wrong call."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from belm_runtime import Schedule, coefficients


def record(run, *arguments):
    code, out, err = run("table", *arguments, "--format", "json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_json_has_the_documented_keys(run):
    page = record(run, "blend:k=3,theta=4/5", "--steps", 6)
    assert list(page) == ["method", "parameters", "k", "frame", "grid", "rows"]
    assert page["method"] == "blend:k=3,theta=0.8"
    assert page["parameters"] == {"k": "3", "theta": "0.8"}
    assert (page["k"], page["frame"]) == (3, "flow")
    assert list(page["grid"]) == ["timesteps", "alpha", "sigma"]
    assert [len(values) for values in page["grid"].values()] == [7, 7, 7]
    assert [row["i"] for row in page["rows"]] == [6, 5, 4, 3, 2, 1]
    assert [row["start"] for row in page["rows"]] == [True, True, False, False, False, False]
    for row in page["rows"]:
        assert list(row) == ["i", "start", "a", "b", "A", "B"]
        assert [len(row[key]) for key in "abAB"] == [3, 2, 3, 2]


def test_a_parameter_without_a_decimal_stays_a_fraction(run):
    assert record(run, "blend:k=2,theta=1/3", "--steps", 3)["parameters"] == {"k": "2", "theta": "1/3"}


def test_json_loses_nothing(run):
    page = record(run, "o-belm", "--schedule", "ddpm", "--steps", 50, "--spacing", "trailing", "--start", "ddim")
    grid = Schedule.preset("ddpm").grid(50, "trailing")
    table = coefficients("o-belm", grid, start="ddim")
    assert page["grid"]["alpha"] == grid.alpha.tolist()
    for row, expected in zip(page["rows"], table.rows, strict=True):
        for key in "abAB":
            assert row[key] == list(getattr(expected, key))


def test_ddim_and_o_belm_against_their_formulas(run):
    ddim = record(run, "ddim", "--steps", 10)
    alpha, sigma = (np.array(ddim["grid"][key]) for key in ("alpha", "sigma"))
    for row in ddim["rows"]:
        i = row["i"]
        ratio = alpha[i - 1] / alpha[i]
        assert row["a"] == [1, 0] and row["b"] == [-1]
        assert row["A"] == pytest.approx([ratio, 0], rel=1e-13)
        assert row["B"] == pytest.approx([sigma[i - 1] - ratio * sigma[i]], rel=1e-12)
    sbar = sigma / alpha
    for row in record(run, "o-belm", "--steps", 10)["rows"][1:]:
        i = row["i"]
        g = ((sbar[i] - sbar[i - 1]) / (sbar[i + 1] - sbar[i])) ** 2
        assert row["a"] == pytest.approx([1 - g, g], rel=1e-11)


def test_no_x_form_is_null(run):
    page = record(run, "blend:k=3", "--schedule", "flow", "--steps", 4)
    assert [row["A"] is None for row in page["rows"]] == [True, True, False, False]
    assert [row["B"] is None for row in page["rows"]] == [True, True, False, False]
    assert all(len(row["a"]) == 3 for row in page["rows"])


def test_edict_carries_stages_in_x(run):
    page = record(run, "edict:p=0.9", "--steps", 4)
    alpha, sigma = (np.array(page["grid"][key]) for key in ("alpha", "sigma"))
    for row in page["rows"]:
        assert list(row) == ["i", "start", "stages"] and row["start"] is False
        stages = {s["target"]: {t["operand"]: t["coefficient"] for t in s["terms"]} for s in row["stages"]}
        assert list(stages) == ["x_inter", "y_inter", "x", "y"]
        i = row["i"]
        ratio = alpha[i - 1] / alpha[i]
        euler = sigma[i - 1] - ratio * sigma[i]
        assert stages["x_inter"] == pytest.approx({"x": ratio, "eps(y)": euler}, rel=1e-12)
        assert stages["y_inter"] == pytest.approx({"y": ratio, "eps(x_inter)": euler}, rel=1e-12)
        assert stages["x"] == pytest.approx({"x_inter": 0.9, "y_inter": 0.1})
        assert stages["y"] == pytest.approx({"y_inter": 0.9, "x": 0.1})


def test_csv_loses_nothing(run):
    rows = list(csv.reader(run("table", "o-belm", "--steps", 7, "--format", "csv").out.splitlines()))
    page = record(run, "o-belm", "--steps", 7)
    assert rows[0] == ["i", "t_i", "start", "a_1", "a_2", "b_1", "A_1", "A_2", "B_1"]
    for cells, row in zip(rows[1:], page["rows"], strict=True):
        assert int(cells[0]) == row["i"] and float(cells[1]) == page["grid"]["timesteps"][row["i"]]
        assert cells[2] == ("true" if row["start"] else "false")
        assert [float(c) for c in cells[3:]] == [*row["a"], *row["b"], *row["A"], *row["B"]]


def test_csv_leaves_missing_numbers_empty(run):
    rows = list(
        csv.reader(run("table", "ddim", "--schedule", "flow", "--steps", 2, "--format", "csv").out.splitlines())
    )
    assert rows[1][-3:] == ["", "", ""] and rows[2][-1] != ""


@pytest.mark.parametrize("digits", [1, 3, 17])
def test_digits(run, digits):
    page = record(run, "o-belm", "--steps", 5)
    rows = list(
        csv.reader(run("table", "o-belm", "--steps", 5, "--format", "csv", "--digits", digits).out.splitlines())
    )
    assert rows[2][3] == f"{page['rows'][1]['a'][0]:.{digits}g}"


def test_text_markdown_and_latex_hold_the_same_numbers(run):
    page = record(run, "o-belm", "--steps", 5)
    last = page["rows"][-1]
    numbers = [f"{v:.4g}" for v in (*last["a"], *last["b"], *last["A"], *last["B"])]
    text = run("table", "o-belm", "--steps", 5, "--digits", 4).out.splitlines()
    assert "row i makes x_{i-1}" in text[0] and len(text) == 7
    assert text[-1].split()[2:] == numbers
    markdown = run("table", "o-belm", "--steps", 5, "--digits", 4, "--format", "md").out.splitlines()
    assert markdown[-1].strip("| ").split(" | ")[-6:] == numbers
    latex = run("table", "o-belm", "--steps", 5, "--digits", 4, "--format", "latex").out.splitlines()
    assert latex[-1] == r"\end{tabular}" and {line.count("&") for line in latex if "&" in line} == {8}
    assert latex[-3].split(" & ")[3] == f"${numbers[0]}$"


def test_latex_writes_powers_of_ten(run):
    latex = run("table", "o-belm", "--steps", 1000, "--schedule", "ddpm", "--format", "latex").out
    assert r" \cdot 10^{-" in latex and "e-0" not in latex


def test_edict_as_text_names_stage_and_operand(run):
    heading = run("table", "edict", "--steps", 3).out.splitlines()[1].split()
    assert heading[2:4] == ["x_inter<-x", "x_inter<-eps(y)"] and heading[-1] == "y<-x"
    latex = run("table", "edict", "--steps", 3, "--format", "latex").out
    assert r"x_{\mathrm{inter}} \leftarrow \varepsilon (y)" in latex


def test_frame_and_end(run):
    page = record(run, "o-belm", "--steps", 5, "--spacing", "trailing", "--frame", "data", "--end", "first")
    assert page["frame"] == "data" and page["grid"]["sigma"][0] > 0


def test_out_writes_a_whole_file_under_its_name_only(run, tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    code, out, err = run("table", "o-belm", "--format", "csv", "--out", target)
    assert (code, out, err) == (0, "", f"wrote {target}\n")
    assert target.read_text() == run("table", "o-belm", "--format", "csv").out
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_out_follows_a_link_and_leaves_it(run, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert run("table", "ddim", "--out", tmp_path / "link").code == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text().startswith("ddim")


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["o-bem"], ("'o-bem'", "'o-belm'")),
        (["blend:k=3,theta=0"], ("theta = 0", "(0, 1]")),
        (["blend:k=3,theta=1.01"], ("theta = 1.01", "(0, 1]")),
        (["o-belm", "--schedule", "sd14"], ("'sd14'", "'sd15'")),
        (["o-belm", "--schedule", "ddpm:shift=2"], ("'ddpm'", "'shift'")),
        (["o-belm", "--spacing", "leeding"], ("'leeding'", "'leading'")),
        (["o-belm", "--spacing", "power:p=0"], ("p = 0 must be", "> 0")),
        (["o-belm", "--steps", "0"], ("steps", "not 0")),
        (["o-belm", "--steps", "-5"], ("steps", "not -5")),
        (["o-belm", "--steps", "1001", "--spacing", "trailing"], ("1001", "1000")),
        (["o-belm", "--steps", "1000"], ("1000 steps", "runs past")),
        (["o-belm", "--frame", "flaw"], ("'flaw'", "'flow'")),
        (["o-belm", "--frame=-1"], ("-1", "negative")),
        (["o-belm", "--frame", "data"], ("sigma_0", "first")),
        (["edict", "--frame", "flow"], ("noise", "flow")),
        (["o-belm", "--schedule", "flow"], ("alpha_N = 0",)),
        (["exp-open:k=4", "--frame", "flow"], ("no elementary weights in the frame flow", "k <= 3")),
        (["exp-open:k=3", "--schedule", "flow"], ("exp-open:k=3", "alpha_N = 0")),
        (["exp-edict"], ("edict:p=0.93", "two registers")),
        (["o-belm", "--start", "adam"], ("'adam'", "'adams'")),
        (["o-belm", "--end", "last"], ("'last'", "zero")),
        (["o-belm", "--format", "cvs"], ("'cvs'", "'csv'")),
        (["o-belm", "--digits", "0"], ("--digits 0", "1 to 17")),
        (["o-belm", "--digits", "18"], ("--digits 18", "1 to 17")),
        (["o-belm", "--digits", "5", "--format", "json"], ("--digits 5", "json")),
        (["o-belm", "--out", "/dev/null"], ("/dev/null", "regular")),
    ],
)
def test_refusals(refused, arguments, holds):
    refused("table", *arguments, holds=holds)


def test_places_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").write_text("kept")
    refused("table", "ddim", "--out", tmp_path / "file" / "below.csv", holds=("below.csv", "Not a directory"))
    refused("table", "ddim", "--out", tmp_path / "no" / "t.csv", holds=("t.csv", "No such"))
    refused("table", "ddim", "--out", tmp_path, holds=("regular",))
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "kept"
