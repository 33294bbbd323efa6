"""Writing results: whole or not at all.

A file is written under a temporary name and renamed (`belm_runtime.files`); a folder's files are gathered in a
temporary folder inside it and moved when the work is done. A place that cannot be written is a wrong call and found
before the work; a disk that runs full on the way is a failure.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from belm_runtime.errors import InputError, unwritable
from belm_runtime.files import write

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name in the same folder and rename it.

    Raises:
        InputError: if the path cannot be written.
        OSError: if writing fails on the way.
    """
    # Renaming onto a device such as /dev/null would replace it.
    if path.exists() and not path.is_file():
        raise InputError(f"cannot write {str(path)!r}: it exists and is not a regular file")
    write(path, text.encode())


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when the block ends well, and vanish when it does not.

    Args:
        folder: made if it does not exist; removed again if the block fails and it was made here.

    Raises:
        InputError: if the folder cannot be made or written.
    """
    made: list[Path] = []
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".belm-", dir=folder))
    except OSError as error:
        _remove_empty(made)
        raise unwritable(folder, error) from None
    try:
        yield stage
        for file in sorted(stage.iterdir()):
            os.replace(file, folder / file.name)
    except BaseException as error:
        shutil.rmtree(stage, ignore_errors=True)
        _remove_empty(made)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise unwritable(folder, error) from None
        raise
    shutil.rmtree(stage, ignore_errors=True)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
