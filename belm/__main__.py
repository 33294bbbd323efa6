"""The command `belm`, also as ``python -m belm``."""

from __future__ import annotations

from belm.cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
