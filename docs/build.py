"""The pages of the site that are built, not written: claims, derivations, the catalogue, and the command line.

As a hook of mkdocs (see mkdocs.yml) this file runs every derivation and writes docs/theory/ and
docs/reference/commands.md, which are not checked in. As a script it writes derivations/README.md, which is:

    python docs/build.py
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from method_pages import BUILT, WIDE, catalogue_page, commands_page, escaped, family_page, table

from belm_theory import certificate
from belm_theory.catalogue import FAMILIES
from belm_theory.certificate import Certificate
from belm_theory.pages import Page, pages

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "derivations" / "README.md"
TEST = "tests/belm_theory/test_derivations.py"
CHECK = "test_each_page_is_decided_and_its_certificate_holds"
MARKS = {"proved": "proved", "refuted": "**refuted**", "undecided": "*undecided*"}
ADMONITION = {"proved": "success", "refuted": "failure", "undecided": "question"}

Decided = Mapping[str, Certificate]


def on_config(config: Any) -> Any:
    """The hook: write what is built, and put the theory's pages into the navigation."""
    built = site_pages(decided())
    for name, text in built.items():
        write(DOCS / name, text)
    for stale in (p for p in (DOCS / "theory").rglob("*.*") if str(p.relative_to(DOCS)) not in built):
        stale.unlink()
    claims = [{page.claim.id: f"theory/{page.claim.id}.md"} for page in pages().values()]
    methods = [{name: f"theory/methods/{name}.md"} for name in FAMILIES]
    theory = [{"Claims": [{"All claims": "theory/claims.md"}, *claims]},
              {"Methods": [{"Catalogue": "theory/catalogue.md"}, *methods]}]  # fmt: skip
    pictures = {"Stability in pictures": "stability.md"}
    config.nav = [*config.nav, {"Theory": [{"Overview": "theory/index.md"}, pictures, *theory]}]
    return config


def decided() -> Decided:
    """Every claim, decided now from its derivation."""
    return {name: page.derive() for name, page in pages().items()}


def write(path: Path, text: str) -> None:
    """Write a file under a temporary name first; one that would not change keeps its date."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def site_pages(found: Decided) -> dict[str, str]:
    """All built pages of the site by their path in docs/."""
    built = {"theory/index.md": index(found), "theory/claims.md": claims_page(found)}
    for name, page in pages().items():
        built[f"theory/{name}.md"] = claim_page(page, found[name])
    built["theory/catalogue.md"] = catalogue_page()
    built |= {f"theory/methods/{name}.md": family_page(name) for name in FAMILIES}
    for name, one in found.items():
        built[f"theory/certificates/{name}.json"] = json.dumps(one.as_dict(), indent=1, ensure_ascii=False)
    built["reference/commands.md"] = commands_page()
    return built


# ---- claims --------------------------------------------------------------------------------------------------------


def index(found: Decided) -> str:
    """The front page of the theory."""
    counts = Counter(c.verdict.outcome for c in found.values())
    verdicts = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
    return f"""{BUILT}# Theory

Everything in this room is built from the derivations and the catalogue when the site is built.

- [Claims](claims.md): {len(found)} claims ({verdicts}), each with its derivation and its certificate.
- [Methods](catalogue.md): orders, inverse and zero-stability of every method, and the derivation of each family.
- [Stability in pictures](../stability.md): what a step and a run do to an error, in both directions.

The symbols are explained in the [notation](../notation.md). Three words recur:

**Derivation.** An executable page that states one claim and decides it in integers, rationals and symbols.

**Verdict.** *proved* or *refuted*, with a witness that says why; *undecided* is not a verdict about the claim.

**Certificate.** The evidence as exact data: goals, which are the claim in formal terms, and steps. A checker that
shares no code with the derivations decides them again, and the verdict has to follow from the goals. Its records are of
these kinds:

{table(["kind", "what it shows"], [[f"`{kind}`", escaped(text)] for kind, text in evidence_kinds().items()])}

```bash
belm verify
belm verify proposition-5
```
"""


def claims_page(found: Decided) -> str:
    """The table of all claims."""
    rows = [
        [
            f"[{c.claim.id}]({c.claim.id}.md)", MARKS[c.verdict.outcome],
            f"{escaped(c.claim.statement)}<br><small>{_hypotheses(c)}</small>", escaped(c.verdict.witness),
            escaped(c.claim.source), f"[json](certificates/{c.claim.id}.json)",
        ]
        for c in found.values()
    ]  # fmt: skip
    text = "Each claim links to its derivation. `belm verify` decides them all again.\n\n"
    headings = ["claim", "verdict", "statement and hypotheses", "witness", "source", "certificate"]
    return f"{WIDE}{BUILT}# Claims\n\n{text}" + table(headings, rows)


def _hypotheses(c: Certificate) -> str:
    return escaped("If " + "; ".join(c.claim.hypotheses)) if c.claim.hypotheses else ""


def evidence_kinds() -> dict[str, str]:
    """What each kind of evidence shows, as `belm_theory.certificate` says it."""
    return dict(re.findall(r"^    (\w+) {2,}(.+)$", inspect.getdoc(certificate) or "", re.MULTILINE))


def evidence(found: Certificate) -> str:
    """Goals and steps of a certificate in words, with their kind."""
    parts = {"goal": found.goals, "step": found.steps}
    rows = [[part, f"`{r['kind']}`", _in_words(r)] for part, records in parts.items() for r in records]
    granted = "".join(f"\nGranted, from textbooks: {escaped(fact)}.\n" for fact in found.claim.granted)
    return table(["", "kind", "in words"], rows) + granted


def _in_words(record: Mapping[str, Any]) -> str:
    """What a record shows, with the hypotheses that are its alone."""
    where = ", ".join(record.get("where", ()))
    return escaped(record["says"] + (f" (where {where})" if where else ""))


def claim_page(page: Page, found: Certificate) -> str:
    """One derivation: its mathematics, claim, verdict, evidence, and how to check it."""
    claim, source = found.claim, page.path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    title, _, prose = (ast.get_docstring(tree) or "").partition("\n\n")
    # m<n is no tag; lines that are indented are formulas, which Markdown leaves alone.
    body = "\n".join(x if x.startswith("    ") else x.replace("<", "&lt;") for x in prose.splitlines())
    code = "\n".join(source.splitlines()[tree.body[0].end_lineno :]).strip()
    method = f"\nMethod: [`{claim.method}`](methods/{claim.method.partition(':')[0]}.md)\n" if claim.method else ""
    return f"""{BUILT}# {escaped(" ".join(title.split()).rstrip("."))}

!!! {ADMONITION[found.verdict.outcome]} "{found.verdict.outcome}: `{claim.id}`"

    {escaped(claim.statement)}

    {_hypotheses(found)}

    Witness: {escaped(found.verdict.witness)}

Source: {escaped(claim.source)}
{method}
{body}

## What the certificate holds

The goals are the claim in formal terms; the checker decides each anew, and the verdict follows from them.

{evidence(found)}
## Check it again

`belm verify` derives the claim anew and writes its certificate; `belm check` verifies the certificate with a checker
that shares no code with the derivation. The evidence behind this page is [here](certificates/{claim.id}.json).

```bash
belm verify {claim.id} --certificates certificates
belm check certificates/{claim.id}.json
```

## The derivation

`derivations/{page.path.name}`

```python
{code}
```
"""


def readme(verdicts: Mapping[str, str]) -> str:
    """The map theorem → file → source → certificate → test.

    Args:
        verdicts: proved, refuted or undecided by claim id.
    """
    rows = [
        [
            f"`{name}`", escaped(page.claim.statement), MARKS[verdicts[name]], f"[{page.path.name}]({page.path.name})",
            escaped(page.claim.source), f"[json](certificates/{name}.json)", f"`[{name}]`",
        ]
        for name, page in pages().items()
    ]  # fmt: skip
    return f"""# Derivations

One executable page per theorem, run on `belm_theory`. A page states its claim in `CLAIM`; `derive()` decides it and
returns a certificate, whose evidence `belm_theory/checker/` verifies again without any code of the derivation.
The symbols are those of [docs/notation.md](../docs/notation.md).

```bash
belm verify                                  # decide every claim
belm verify proposition-5                    # decide one
belm check derivations/certificates/*.json   # verify the certificates
make derive                                  # decide all, write the certificates and this file
```

The test of a claim is
[`{TEST}::{CHECK}`](../{TEST})
with its id in brackets: the verdict is the expected one and the certificate survives the checker.

{table(["claim", "statement", "verdict", "file", "equation", "certificate", "test"], rows)}"""


if __name__ == "__main__":
    write(README, readme({name: found.verdict.outcome for name, found in decided().items()}))
