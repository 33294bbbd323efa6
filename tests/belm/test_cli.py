"""The app: help, exit codes, one-line errors, and what it does not import."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib.metadata import version

import pytest

import belm
from belm.cli import failures

COMMANDS = ["demo", "methods", "derive", "table", "generate", "sample", "invert", "bench"]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=lambda c: c[0] if c else "belm")
def test_help_has_an_example(run, command):
    code, out, err = run(*command, "--help")
    assert (code, err) == (0, "")
    assert "Example: belm" in out


def test_help_lists_every_command(run):
    out = run("--help").out
    assert all(f" {name} " in out for name in COMMANDS)


def test_no_command_prints_the_help_and_is_a_wrong_call(run):
    code, out, _ = run()
    assert code == 2 and "Usage" in out


def test_version(run):
    assert run("--version") == (0, f"belm {version('belm')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["tabel"], ("tabel", "table")),
        (["table"], ("METHOD",)),
        (["table", "o-belm", "surplus"], ("surplus",)),
        (["table", "o-belm", "--stepz", "3"], ("--stepz", "--steps")),
        (["table", "o-belm", "--steps", "many"], ("--steps",)),
        (["table", "o-belm", "--steps", "2.5"], ("--steps",)),
        (["sample"], ("--out",)),
        (["invert"], ("--state",)),
        (["methods", "--format", "jsn"], ("'jsn'", "'json'")),
        (["derive", "o-belm", "--format", "latx"], ("'latx'", "'latex'")),
        (["generate", "--format", "yaml"], ("'yaml'", "text, json")),
        (["demo", "--format", "yaml"], ("'yaml'", "text, json")),
    ],
)
def test_usage_errors_are_one_line(refused, arguments, holds):
    refused(*arguments, holds=holds)


def test_an_unexpected_exception_is_not_swallowed(run, monkeypatch):
    monkeypatch.setattr("belm_runtime.methods.catalogue", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("methods")


def test_a_missing_module_that_no_extra_brings_is_not_swallowed(run, monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module named 'surprise'", name="surprise")

    monkeypatch.setattr("belm_runtime.methods.catalogue", missing)
    with pytest.raises(ModuleNotFoundError, match="surprise"):
        run("methods")


def test_a_failure_while_running_is_one_line_and_exit_code_1(run, monkeypatch):
    def fail():
        raise OSError("disk full\nreally")

    monkeypatch.setattr("belm_runtime.methods.catalogue", fail)
    assert run("methods") == (1, "", "error: disk full really\n")


def test_an_interrupt_has_no_traceback(run, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("belm_runtime.methods.catalogue", interrupt)
    code, out, err = run("methods")
    assert (code, out, err) == (130, "", "error: interrupted\n")


def test_demo_calls_belm_demo(run, monkeypatch, tmp_path):
    calls = []
    fake = types.ModuleType("belm.demo")

    def main(out, *, seed=0, show):
        calls.append((out, seed))
        show.print("shown")
        out.mkdir(exist_ok=True)
        (out / "report.html").write_text("report")

    fake.main = main
    monkeypatch.setitem(sys.modules, "belm.demo", fake)
    monkeypatch.setattr(belm, "demo", fake, raising=False)
    code, out, err = run("demo", "--out", tmp_path / "d", "--seed", 3)
    assert (code, out, err) == (0, "shown\n", "")
    assert calls == [(tmp_path / "d", 3)]
    code, out, err = run("demo", "--out", tmp_path / "d", "--format", "json")
    assert '"report.html"' in out and "shown" in err


def test_demo_refuses_a_folder_it_cannot_write(refused, tmp_path):
    (tmp_path / "file").write_text("")
    refused("demo", "--out", tmp_path / "file" / "below", holds=("below",))


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


def test_help_methods_derive_table_and_generate_do_not_import_torch():
    done = python("""
import sys
import belm_theory.codegen
belm_theory.codegen.compare = lambda folder, progress: []
from belm.cli.app import main
calls = [["--help"], ["methods"], ["methods", "--format", "json"], ["derive", "ddim"], ["table", "o-belm"],
         ["table", "edict", "--format", "json"], ["generate", "--check"], ["sample", "--help"], ["demo", "--help"]]
for call in calls:
    assert main(call) == 0, call
    assert "torch" not in sys.modules, call
import belm_runtime.methods, belm_runtime.table, belm_runtime.grid, belm_runtime.schedule
assert "torch" not in sys.modules
""")
    assert done.returncode == 0, done.stderr


def test_help_methods_and_table_do_not_import_sympy():
    done = python("""
import sys
from belm.cli.app import main
for call in (["--help"], ["methods"], ["table", "o-belm"]):
    assert main(call) == 0
assert "sympy" not in sys.modules
""")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [["derive", "o-belm"], ["generate", "--check"]])
def test_a_missing_extra_says_what_to_install(command):
    done = python(f"""
import sys
sys.modules["sympy"] = None
from belm.cli.app import main
raise SystemExit(main({command!r}))
""")
    assert done.returncode == 2
    assert done.stderr == 'error: this command needs sympy; install it with: pip install "belm[theory]"\n'


def test_python_m_belm():
    done = subprocess.run([sys.executable, "-m", "belm", "table", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: unknown method 'x'")


def test_a_closed_pipe_leaves_no_traceback():
    table = f"{sys.executable} -m belm table blend:k=5 --schedule ddpm --steps 900 --format csv"
    done = subprocess.run(["bash", "-c", f"{table} | head -n 1"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("i,t_i,start,a_1") and "Traceback" not in done.stderr


def test_warnings_are_one_line(run, monkeypatch):
    import warnings

    monkeypatch.setattr("belm_runtime.methods.catalogue", lambda: warnings.warn("careful\nnow", stacklevel=1) or [])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run("methods", "--format", "json").err == "warning: careful now\n"


def test_usage_error_is_clicks_own():
    assert failures._USAGE_ERROR.__name__ == "UsageError"
