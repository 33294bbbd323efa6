"""What is known exactly of a method that an audit has recognised.

Orders come from the catalogue's computed facts, or are computed by the theory for members that it does not list;
stability constants are enclosed by ball arithmetic on the levels of the audited grid.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from belm_runtime.audit import Report, Subject
from belm_runtime.errors import InputError
from belm_runtime.methods import Method, catalogue, parse


def with_facts(report: Report, subject: Subject) -> Report:
    """The report with ``exact``: the method's orders, inverse and enclosed K; unchanged if no method was recognised.

    Args:
        report: of the subject.
        subject: for its grid.
    """
    if report.method is None or not report.method.exact or not report.method.catalogued:
        return report
    method = parse(report.method.name)
    # Of several slopes in log-SNR the orders are not in the catalogue: what is measured on this grid stands alone.
    facts = ({} if method.exponential and method.k > 2 else _orders(method)) | {"invertible": method.has_inverse}
    return replace(report, exact=facts | _enclosed(method, subject, report.method.frame))


def _orders(method: Method) -> dict[str, Any]:
    listed = next((fact for fact in catalogue() if fact["method"] == str(method)), None)
    if listed is not None:
        return {key: listed[key] for key in ("order", "order_smooth")}
    import sympy as sp

    from belm_theory.catalogue import FAMILIES
    from belm_theory.order import order, order_smooth

    values = {name: sp.Rational(value.numerator, value.denominator) for name, value in method.parameters}
    made = FAMILIES[method.family](**values)
    return {"order": order(made), "order_smooth": order_smooth(made)}


def _enclosed(method: Method, subject: Subject, frame: str) -> dict[str, Any]:
    from belm.enclose import enclosures

    try:
        found = enclosures(method, subject.grid, frame=frame)
    except (InputError, ZeroDivisionError):
        return {}  # in this frame a level of the grid is infinite
    return {key: value for key, value in found.items() if key.startswith("K_")}
