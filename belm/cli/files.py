"""Writing results: whole or not at all.

A file is written under a temporary name and renamed (`belm_runtime.files`); a folder's files are gathered in a
temporary folder inside it and moved when the work is done. A place that cannot be written, or a folder where a file
will go, is a wrong call and found before the work; a disk that runs full on the way is a failure.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

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
def staged(folder: Path, names: Iterable[str] = ()) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when the block ends well, and vanish when it does not.

    Args:
        folder: made if it does not exist; removed again if the block fails and it was made here.
        names: of the files that will come, as far as they are known; a folder of such a name is found before the work.

    Raises:
        InputError: if the folder cannot be made or written, or holds a folder where a file will go.
    """
    made: list[Path] = []
    stage = folder / f".belm-{uuid4().hex}"
    try:
        try:
            _refuse_folders(folder, names)
            made = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            stage.mkdir()
        except OSError as error:
            raise unwritable(folder, error) from None
        yield stage
        files = sorted(stage.iterdir())
        # All or none of them.
        _refuse_folders(folder, (file.name for file in files))
        for file in files:
            os.replace(file, folder / file.name)
        shutil.rmtree(stage, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(stage, ignore_errors=True)
        _remove_empty(made)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise unwritable(folder, error) from None
        raise


def _refuse_folders(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if (folder / name).is_dir():
            raise InputError(
                f"cannot write the file {str(folder / name)!r}: a folder has that name; move it, or write into another"
            )


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
