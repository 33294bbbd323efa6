"""A state inside the PNG it belongs to: a private chunk, put in and taken out byte by byte.

A PNG file is a signature and a list of chunks: length, four letters, data, CRC-32. Two are added before the last one:

    beLM    SHA-256 of the picture's own chunks (IHDR, PLTE, tRNS, IDAT), then the state's safetensors bytes
    tEXt    keyword "belm": what made the picture, as JSON in ASCII

By the PNG specification (ISO/IEC 15948, 5.4) the letters of beLM say: a reader may ignore it; it is private; a program
that changes the picture must not copy it. The digest finds one that did. The cost is k·(bytes of a state) and less than
2 kB more: three states of an 8×8 picture in float64 are 1.5 kB, of a 4×64×64 latent in float32 196 kB.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator

from belm_runtime.errors import InputError
from belm_runtime.state import PNG, State

_STATE, _NOTE = b"beLM", b"tEXt"
_KEYWORD = b"belm\0"
_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_DIGEST = 32


def embed(png: bytes, state: State, note: str = "") -> bytes:
    """The same picture, carrying a state.

    Args:
        png: a PNG file; a state it carries already is replaced.
        state: the state, usually of the one sample that the picture shows.
        note: what made the picture; ASCII, such as JSON.

    Raises:
        InputError: not a whole PNG file, or a note that is not ASCII.
    """
    if not note.isascii():
        raise InputError("the note must be ASCII; json.dumps writes it so")
    own = [(kind, data) for kind, data in chunks(png, "the picture") if not _ours(kind, data)]
    added = [(_STATE, _digest(own) + state.to_bytes()), *([(_NOTE, _KEYWORD + note.encode())] if note else [])]
    return PNG + b"".join(chunk(*entry) for entry in [*own[:-1], *added, own[-1]])


def extract(png: bytes, source: str = "the picture") -> tuple[State, str]:
    """The state that a picture carries, and the note.

    Args:
        png: a PNG file.
        source: its name, for messages.

    Raises:
        InputError: no PNG, truncated or damaged, without a state, or changed after the state was put in.
    """
    found = list(chunks(png, source))
    carried = next((data for kind, data in found if kind == _STATE), None)
    if carried is None:
        raise InputError(
            f"{source!r} carries no state: none was put in, or a program that saved the picture again dropped it"
        )
    if carried[:_DIGEST] != _digest(found):
        raise InputError(f"{source!r} was changed after its state was put in; invert it as a bare picture")
    note = next((data for kind, data in found if kind == _NOTE and data.startswith(_KEYWORD)), _KEYWORD)
    return State.from_bytes(carried[_DIGEST:], source), note[len(_KEYWORD) :].decode("ascii", "replace")


def carries(png: bytes, source: str = "the picture") -> bool:
    """Whether a PNG file carries a state; what is no PNG carries none."""
    return png.startswith(PNG) and any(kind == _STATE for kind, _ in chunks(png, source))


def chunks(png: bytes, source: str) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file, (four letters, data), each CRC compared, the last one IEND.

    Raises:
        InputError: no PNG, truncated, or damaged.
    """
    if not png.startswith(PNG):
        raise InputError(f"{source!r} is no PNG file")
    at, kind = len(PNG), b""
    while kind != b"IEND":
        head = png[at : at + 8]
        length = int.from_bytes(head[:4], "big")
        kind, data, check = head[4:], png[at + 8 : at + 8 + length], png[at + 8 + length : at + 12 + length]
        if len(check) < 4:
            raise InputError(f"{source!r} is truncated: it ends within a chunk at byte {len(png)}")
        if zlib.crc32(kind + data) != int.from_bytes(check, "big"):
            raise InputError(f"{source!r} is damaged: a checksum of {kind.decode('ascii', 'replace')} is wrong")
        yield kind, data
        at += 12 + length


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in the file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _ours(kind: bytes, data: bytes) -> bool:
    return kind == _STATE or (kind == _NOTE and data.startswith(_KEYWORD))


def _digest(found: list[tuple[bytes, bytes]]) -> bytes:
    """SHA-256 of the picture itself: a change of one pixel changes it, a change of its texts does not."""
    digest = hashlib.sha256()
    for kind, data in found:
        if kind in _PICTURE:
            digest.update(struct.pack(">I", len(data)) + kind + data)
    return digest.digest()
