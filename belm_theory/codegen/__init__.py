"""From exact coefficients to the Python source that runs: lowering, module texts, writing and comparing."""

from belm_theory.codegen.modules import generated_modules
from belm_theory.codegen.write import compare, write

__all__ = ["compare", "generated_modules", "write"]
