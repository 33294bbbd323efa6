"""A state inside a PNG: its bytes come back, other programs see the same picture, and damage is found."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from belm_runtime import InputError, Sampler, Schedule, State
from belm_runtime.png import carries, chunk, chunks, embed, extract

GRID = Schedule.preset("ddpm").grid(6)


def state(seed: int = 0, shape: tuple[int, ...] = (1, 1, 8, 8), method: str = "open:k=3") -> State:
    def model(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return 0.5 * x

    return Sampler(method, GRID).sample(model, GRID.noise(shape, seed))


def picture(mode: str = "L", size: tuple[int, int] = (8, 8), **options: object) -> bytes:
    values = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).convert(mode).save(out, "PNG", **options)
    return out.getvalue()


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as opened:
        return np.asarray(opened)


def same(a: State, b: State) -> bool:
    equal = all(torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(a.history, b.history, strict=True))
    names = ("nodes", "method", "frame", "grid", "steps", "calls", "versions")
    return equal and all(getattr(a, name) == getattr(b, name) for name in names)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
@pytest.mark.parametrize("method", ["open:k=3", "edict", "blend:k=5"])
def test_every_bit_comes_back_and_the_picture_is_the_same(mode: str, method: str) -> None:
    before, held = picture(mode), state(method=method)
    note = json.dumps({"label": 7})
    after = embed(before, held, note)
    found, beside = extract(after)
    assert same(found, held) and beside == note
    assert np.array_equal(pixels(after), pixels(before)) and carries(after) and not carries(before)


def test_it_costs_the_state_and_less_than_two_kilobytes() -> None:
    for shape, dtype, own in (((1, 1, 8, 8), torch.float64, 512), ((1, 4, 64, 64), torch.float32, 65536)):
        held = state(shape=shape)
        held = Sampler("open:k=3", GRID).state([x.to(dtype) for x in held.history], held.nodes)
        extra = len(embed(picture(), held)) - len(picture()) - 3 * own
        assert 0 < extra < 2000


def test_a_second_state_replaces_the_first() -> None:
    twice = embed(embed(picture(), state(0), "one"), state(1), "two")
    found, note = extract(twice)
    assert same(found, state(1)) and note == "two"
    assert [kind for kind, _ in chunks(twice, "it")].count(b"beLM") == 1
    assert len(twice) == len(embed(picture(), state(1), "two"))


def test_texts_of_others_stay() -> None:
    info = PngInfo()
    info.add_text("Author", "somebody")
    after = embed(picture(pnginfo=info), state(), "mine")
    with Image.open(io.BytesIO(after)) as opened:
        assert opened.text == {"Author": "somebody", "belm": "mine"}  # type: ignore[attr-defined]


def test_pillow_can_read_and_write_the_chunk() -> None:
    """Through another implementation: its private chunks, and a file that it assembles."""
    after = embed(picture(), state())
    with Image.open(io.BytesIO(after)) as opened:
        opened.load()
        (kind, data, *_), *_ = opened.private_chunks  # type: ignore[attr-defined]
        assert kind == b"beLM"
        info = PngInfo()
        info.add(b"beLM", data, after_idat=True)
        out = io.BytesIO()
        opened.save(out, "PNG", pnginfo=info)
    # Pillow compressed the picture in the first place, so its data are the same bytes again.
    assert same(extract(out.getvalue())[0], state())


def test_a_program_that_saves_it_again_drops_the_state() -> None:
    out = io.BytesIO()
    with Image.open(io.BytesIO(embed(picture(), state()))) as opened:
        opened.save(out, "PNG")
    with pytest.raises(InputError, match=r"'seven.png' carries no state: none was put in, or a program"):
        extract(out.getvalue(), "seven.png")


def test_a_changed_picture_is_found() -> None:
    """Its own data under another picture's state chunk, and one that was only made smaller."""
    donor = next(entry for entry in chunks(embed(picture(), state()), "it") if entry[0] == b"beLM")
    for other in (picture(size=(8, 9)), picture("RGB")):
        own = list(chunks(other, "it"))
        grafted = other[:8] + b"".join(chunk(*entry) for entry in [*own[:-1], donor, own[-1]])
        with pytest.raises(InputError, match="was changed after its state was put in"):
            extract(grafted)


def test_every_truncation_is_found() -> None:
    whole = embed(picture(), state(), "{}")
    for length in range(len(whole)):
        with pytest.raises(InputError, match=r"truncated|no PNG"):
            extract(whole[:length])


def test_every_flipped_byte_is_found() -> None:
    whole = embed(picture(), state())
    for at in [*range(0, 60), *range(60, len(whole), 37)]:
        damaged = whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
        with pytest.raises(InputError):
            extract(damaged)


def test_a_chunk_with_a_right_checksum_and_wrong_bytes_is_found() -> None:
    own = list(chunks(embed(picture(), state()), "it"))
    (n, (kind, data)) = next((n, entry) for n, entry in enumerate(own) if entry[0] == b"beLM")
    for wrong in (data[:-8], data[:40], data[:32] + b"x" * 40, data[:-1] + bytes([data[-1] ^ 1])):
        changed = [*own[:n], (kind, wrong), *own[n + 1 :]]
        with pytest.raises(InputError, match="state"):
            extract(picture()[:8] + b"".join(chunk(*entry) for entry in changed))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff\xe0JFIF", b"\x89PNG\r\n\x1a", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_png_is_named(data: bytes) -> None:
    with pytest.raises(InputError, match=r"'it' is (no PNG file|truncated)"):
        extract(data, "it")
    if len(data) < 8 or not data.startswith(b"\x89PNG"):
        assert not carries(data)


def test_a_length_beyond_the_file_reads_nothing_beyond() -> None:
    png = picture()[:8] + struct.pack(">I", 2**31) + b"IHDR" + bytes(20)
    with pytest.raises(InputError, match="truncated"):
        extract(png)


def test_notes_are_ascii() -> None:
    with pytest.raises(InputError, match="ASCII"):
        embed(picture(), state(), "café")


def test_another_method_or_grid_refuses_the_state() -> None:
    found, _ = extract(embed(picture(), state()))
    longer = Schedule.preset("ddpm").grid(7)
    for sampler, word in ((Sampler("blend:k=3", GRID), "method"), (Sampler("open:k=3", longer), "grid")):
        with pytest.raises(InputError, match=f"another {word}"):
            sampler.invert(lambda x, t: 0.5 * x, found)


def test_the_checksum_is_crc_32() -> None:
    assert chunk(b"IEND", b"") == bytes.fromhex("0000000049454e44ae426082")
    assert chunk(b"beLM", b"x")[-4:] == struct.pack(">I", zlib.crc32(b"beLMx"))


def test_a_picture_in_the_place_of_a_state_is_called_one(tmp_path: Path) -> None:
    said = r"seven\.png' is a picture, not a state; .*belm_runtime\.png\.extract"
    for data in (picture(), embed(picture(), state())):
        (tmp_path / "seven.png").write_bytes(data)
        with pytest.raises(InputError, match=said) as caught:
            State.load(tmp_path / "seven.png")
        assert "\n" not in str(caught.value)
