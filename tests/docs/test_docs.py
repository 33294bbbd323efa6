"""The documents hold: examples run and print what they show, commands parse or run, links lead somewhere.

In a Markdown file a block in python is run, all blocks of a file in one namespace and one temporary folder, and a
block in text that follows it is exactly what it prints. A command that starts with ``belm`` is parsed; those that take
seconds at most are run, and every line of a text block that follows stands in the output.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
import typer

from belm.cli.app import app, main
from belm_theory.checker import KINDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BUILT = ("docs/theory/", "docs/reference/commands.md")
FILES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "derivations/README.md", *DOCS.rglob("*.md"))
    if not str(path.relative_to(ROOT)).startswith(BUILT)
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = {
    "audit", "methods", "derive", "table", "check", "sample", "invert", "verify", "reconstruct", "edit", "interpolate",
}  # fmt: skip
PARSED_ONLY = {("verify",)}  # deciding every claim is what test_derivations does


def blocks(name: str) -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))


def commands(text: str) -> Iterator[list[str]]:
    """Commands that start with belm; what stands behind two spaces or # is a remark."""
    for line in text.splitlines():
        if line.startswith("belm "):
            yield shlex.split(re.split(r"\s{2,}|\s#", line)[0])[1:]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """docs/build.py, which imports its neighbour."""
    monkeypatch.syspath_prepend(str(DOCS))
    specification = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """A folder with a tiny pipeline, made when it is asked for."""

    @cache
    def folder() -> str:
        pytest.importorskip("diffusers")
        from tiny_pipelines import Builder

        made = str(tmp_path_factory.mktemp("pipeline"))
        Builder(tmp_path_factory.mktemp("tokenizer")).stable_diffusion(dtype=torch.float32).pipe.save_pretrained(made)
        return made

    return folder


def verdicts() -> dict[str, str]:
    stored = [json.loads(path.read_text()) for path in (ROOT / "derivations/certificates").glob("*.json")]
    return {record["id"]: record["verdict"] for record in stored}


@pytest.mark.parametrize("name", [name for name in FILES if any(kind == "python" for kind, _ in blocks(name))])
def test_python_examples_run_and_print_what_they_show(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "example"}
    found = blocks(name)
    for number, (kind, code) in enumerate(found):
        if kind != "python":
            continue
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), warnings.catch_warnings():
            exec(compile(code, f"{name}, block {number}", "exec"), namespace)
        following = found[number + 1] if number + 1 < len(found) else ("", "")
        if following[0] == "text":
            assert shown.getvalue() == following[1]


@pytest.mark.parametrize("name", FILES)
def test_commands_parse(name: str) -> None:
    group = typer.main.get_command(app)
    for _, text in blocks(name):
        for arguments in commands(text):
            command = group.commands[arguments[0]]  # type: ignore[attr-defined]
            command.make_context(arguments[0], arguments[1:])


@pytest.mark.parametrize("name", FILES)
def test_commands_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    pipeline: Callable[[], str],
) -> None:  # fmt: skip
    (tmp_path / "derivations").symlink_to(ROOT / "derivations")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    found = blocks(name)
    for number, (kind, text) in enumerate(found):
        cheap = [c for c in commands(text) if c[0] in RUN and tuple(c) not in PARSED_ONLY]
        if kind == "python" or not cheap:
            continue
        out = ""
        for arguments in cheap:
            expanded = [p for a in arguments for p in (sorted(map(str, Path().glob(a))) if "*" in a else [a])]
            # As in: belm verify --method M --schedule S --steps N, belm sample --model MODEL.
            values = {"M": "o-belm", "S": "sd15", "N": "20", **({"MODEL": pipeline()} if "MODEL" in expanded else {})}
            assert main([values.get(a, a) for a in expanded]) == 0, arguments
            out += capsys.readouterr().out
        following = found[number + 1] if number + 1 < len(found) else ("", "")
        if following[0] == "text":
            assert set(following[1].splitlines()) <= set(out.splitlines())


def test_wrong_commands_are_found() -> None:
    command = typer.main.get_command(app).commands["table"]  # type: ignore[attr-defined]
    (arguments,) = commands("belm table o-belm --sched sd15   the table\nother command\n")
    assert arguments == ["table", "o-belm", "--sched", "sd15"]
    with pytest.raises(Exception, match=r"[Nn]o such option"):
        command.make_context("table", arguments[1:])


def test_the_map_of_derivations_is_up_to_date(build: ModuleType) -> None:
    assert build.readme(verdicts()) == build.README.read_text(encoding="utf-8"), "run: make derive"
    assert f"def {build.CHECK}(" in (ROOT / build.TEST).read_text(encoding="utf-8")


def test_every_page_of_the_theory_is_built(build: ModuleType) -> None:
    pages = sys.modules["method_pages"]
    kinds = build.evidence_kinds()
    assert set(kinds) == set(KINDS)
    page = pages.family_page("open")
    assert "## `open:k=2`" in page and page.count("<math") > 20 and "Zero-stability" in page
    for command in ("derive", "invert"):
        assert f"belm {command}" in pages.shown_help(command) and "--format" in pages.shown_help(command)


@pytest.mark.parametrize("name", FILES)
def test_links_resolve(name: str) -> None:
    text = BLOCK.sub("", (ROOT / name).read_text(encoding="utf-8"))
    claims = {f"docs/theory/{claim}.md" for claim in verdicts()}
    built = claims | {"docs/theory/index.md", "docs/theory/catalogue.md", "docs/reference/commands.md"}
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http://", "https://")):
            path = ((ROOT / name).parent / target).resolve()
            assert path.exists() or str(path.relative_to(ROOT)) in built, target
