"""Writing a file whole or not at all: under a temporary name in the same folder, then renamed.

Whoever looks at the final name finds the old file or the new one, never a part. A process that is killed while it
writes leaves its temporary file behind, which `clear` removes.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from belm_runtime.errors import unwritable

_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")


def write(path: Path, content: bytes) -> Path:
    """Write a file, replacing what has that name; a link is followed.

    Raises:
        InputError: if the folder does not exist or cannot be written.
        OSError: if writing fails on the way, e.g. on a full disk; what was there before is still there.
    """
    target = path.resolve()
    temporary = target.with_name(f".{uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, target)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink()
    return path


def clear(folder: Path) -> None:
    """Remove what killed processes left in a folder; nobody may be writing there."""
    for name in os.listdir(folder):
        if _TEMPORARY.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
