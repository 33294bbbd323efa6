"""An audit's report as one HTML file that needs no other and no network."""

from __future__ import annotations

import math
from html import escape
from importlib.resources import files
from string import Template

from belm.audit.text import facts, heading, where
from belm_runtime.audit import Report

_WORDS = {
    "pass": ("#00694a", "In order."), "differs": ("#8a5a00", "Look at this."), "fail": ("#b03a00", "A claim is false."),
}  # fmt: skip
#: Differences from here (white) to here (darkest), as powers of ten.
_PALE, _DARK = -7.0, 0.0


def as_html(report: Report) -> str:
    """The report as a page."""
    colour, word = _WORDS[_outcome(report)]
    template = Template((files("belm.audit") / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        subject=escape(report.subject), heading=escape(heading(report)), colour=colour, word=word,
        verdict=escape(report.verdict),
        facts="".join(f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in facts(report)),
        differences=_differences(report), tables=_tables(report),
    )  # fmt: skip


def _outcome(report: Report) -> str:
    if not report.sound:
        return "fail"
    clean = report.method is not None and report.method.exact and not report.faults and not report.failure
    return "pass" if clean and not report.notes else "differs"


def _differences(report: Report) -> str:
    if not report.faults:
        return ""
    items = "".join(f"<li><b>{escape(where(f, report))}:</b> {escape(f.words)}</li>" for f in report.faults)
    return f'<h2>Differences</h2><ul class="found">{items}</ul>'


def _tables(report: Report) -> str:
    """The picture of the differences, and the numbers."""
    if not report.rows or report.method is None:
        return ""
    name = escape(report.method.name)
    states = max(max(len(row.A), len(row.expected[0])) for row in report.rows)
    slopes = max(max(len(row.B), len(row.expected[1])) for row in report.rows)
    heads = [f"A<sub>{j}</sub>" for j in range(1, states + 1)] + [f"B<sub>{j}</sub>" for j in range(1, slopes + 1)]
    constant = any(abs(row.C) > 1e-9 for row in report.rows)
    heads += ["C"] if constant else []
    head = "".join(f"<th>{h}</th>" for h in heads)
    heat, numbers = [], []
    for row in report.rows:
        found = _padded(row.A, states) + _padded(row.B, slopes) + ([row.C] if constant else [])
        right = _padded(row.expected[0], states) + _padded(row.expected[1], slopes) + ([0.0] if constant else [])
        place = f"<td>{row.step}</td><td>{row.t:g}</td>"
        heat.append(f"<tr>{place}{''.join(_cell(a - b) for a, b in zip(found, right, strict=True))}</tr>")
        numbers.append(f"<tr>{place}<td>found</td>{''.join(f'<td>{v:.8g}</td>' for v in found)}</tr>")
        cells = "".join(f'<td class="expected">{v:.8g}</td>' for v in right)
        numbers.append(f'<tr><td></td><td></td><td class="expected">{name}</td>{cells}</tr>')
    return (
        f'<h2>Where it differs from {name}</h2><p class="small">Size of the difference of each coefficient. White: '
        'none that rounding in float32 does not explain.</p><div class="wide"><table class="heat"><thead><tr>'
        f"<th>step</th><th>t</th>{head}</tr></thead><tbody>{''.join(heat)}</tbody></table></div>"
        '<h2>The recovered coefficients</h2><div class="wide"><table><thead><tr><th>step</th><th>t</th><th></th>'
        f"{head}</tr></thead><tbody>{''.join(numbers)}</tbody></table></div>"
    )


def _cell(difference: float) -> str:
    """A cell whose shade is the power of ten; the number stands in it, so that nothing rests on colour."""
    size = abs(difference)
    power = math.log10(size) if size > 0 else -math.inf
    share = min(max((power - _PALE) / (_DARK - _PALE), 0.0), 1.0)
    red, green, blue = (round(255 + share * (end - 255)) for end in (176, 58, 0))
    ink = "#fff" if share > 0.6 else "#222"
    text = "0" if power < -12 else f"{size:.0e}"
    return f'<td class="cell" style="background:rgb({red},{green},{blue});color:{ink}">{text}</td>'


def _padded(values: tuple[float, ...], length: int) -> list[float]:
    return [*values, *[0.0] * (length - len(values))]
