"""What importing costs: tables without torch, the runtime without SymPy and the theory, and next to no time."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def python(code: str) -> str:
    """The output of a fresh interpreter."""
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_tables_need_neither_torch_nor_sympy() -> None:
    found = python("""
        import sys
        import belm_runtime, belm_runtime.methods, belm_runtime.table, belm_runtime.grid, belm_runtime.schedule
        from belm_runtime import Grid, InputError, NotFiniteError, Schedule, coefficients, methods
        for method in ("o-belm", "blend:k=3", "edict"):
            rows = coefficients(method, Schedule.preset("sd15").grid(10)).rows
            assert len(rows) == 10
        print(sorted({"torch", "sympy", "belm_theory", "belm", "scipy", "diffusers"} & set(sys.modules)))
    """)
    assert found == "[]"


def test_the_runtime_adds_no_sympy_and_less_than_a_fifth_of_a_second_to_torch() -> None:
    code = """
        import sys, time
        import torch
        before = set(sys.modules)
        begin = time.perf_counter()
        import belm_runtime, belm_runtime.sampler
        from belm_runtime import Sampler, State
        spent = time.perf_counter() - begin
        tops = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(spent, *sorted(tops & {"sympy", "belm_theory", "belm", "derivations", "diffusers", "scipy", "flint"}))
    """
    runs = [python(code).split() for _ in range(3)]
    assert all(len(run) == 1 for run in runs), runs
    assert min(float(run[0]) for run in runs) < 0.2


def test_public_names_load_on_first_use() -> None:
    found = python("""
        import sys
        import belm_runtime
        assert {"Sampler", "Grid", "coefficients", "methods"} <= set(dir(belm_runtime)) == set(belm_runtime.__all__)
        assert not any(name.startswith("belm_runtime.") for name in sys.modules)
        for name in belm_runtime.__all__:
            assert getattr(belm_runtime, name) is not None
        try:
            belm_runtime.Smapler
        except AttributeError as error:
            print(error)
    """)
    assert found == "module 'belm_runtime' has no attribute 'Smapler'"
