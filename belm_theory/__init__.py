"""The exact layer: frames, grids, methods, orders, inverses and stability in integers, rationals and symbols."""
