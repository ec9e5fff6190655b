"""Truncated and lying GGUF files: one sentence, little memory, whatever the header states."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest

from accelsim.errors import ImportModelError
from accelsim.importers.from_gguf.header import check_header
from tests.tiny_decoders import Sizes, random_tensors, write_gguf

ARRAY, STRING, U8, U32 = 9, 8, 0, 4
F32, Q4_K = 0, 12


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def array(kind: int, count: int, values: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + values


def tensor(name: str = "t", dims: tuple[int, ...] = (32,), kind: int = F32, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def file(
    keys: tuple[bytes, ...] = (), tensors: tuple[bytes, ...] = (), data: int = 128, version: int = 3, counts: tuple[int, int] | None = None
) -> bytes:
    """A file whose data are zeros, `data` bytes from the next multiple of 32 on."""
    header = b"GGUF" + struct.pack("<IQQ", version, *(counts or (len(tensors), len(keys)))) + b"".join(keys) + b"".join(tensors)
    return header + bytes(-len(header) % 32 + data)


def test_a_small_file_is_sound(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(file((key("a", U32, bytes(4)), key("b", ARRAY, array(STRING, 1, text("x")))), (tensor(),)))
    check_header(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends after 0 bytes, within the magic number"),
        (b"PK\x03\x04" + bytes(60), "is not a GGUF file: it does not start with 'GGUF'"),
        (file(version=9), "has GGUF version 9; allowed: 2, 3"),
        (file(version=3 << 24), "has big-endian numbers"),
        (file(counts=(1 << 60, 0)), "states 1152921504606846976 tensors; allowed: at most"),
        (file(counts=(0, 1 << 60)), "states 1152921504606846976 keys; allowed: at most"),
        (file((key("a", 77, b""),)), "key 'a' is of the unknown type 77; known: 0 to 12"),
        (file((key("a", U32, bytes(4)),) * 2), "a key, 'a', is given twice"),
        (file((key("a", ARRAY, array(U8, 1 << 60)),)), "key 'a' is an array of 1152921504606846976 values"),
        (file((key("a", ARRAY, array(U8, 1 << 20)),)), "within a, which needs 1048576 bytes"),
        (file((key("a", ARRAY, array(STRING, 1, struct.pack("<Q", 1 << 60))),)), "within a, which needs 1152921504606846976 bytes"),
        (file((key("a", ARRAY, array(ARRAY, 1)),)), "key 'a' is an array of arrays"),
        (file((key("general.alignment", U32, struct.pack("<I", 48)),)), "key 'general.alignment' has value 48; allowed: a power of two"),
        (file((struct.pack("<Q", 1 << 60),)), "a key has 1152921504606846976 bytes; allowed: at most 65536"),
        (file((struct.pack("<Q", 1) + b"\xff",)), "a key at byte 32 is not UTF-8 text"),
        (file((), (tensor(dims=(1 << 60,)),)), "tensor 't' has 4611686018427387904 bytes from 64 on, but the file ends after 192"),
        (file((), (tensor(dims=(1 << 60, 1 << 60, 1 << 60)),)), "tensor 't' has .* bytes from .* on, but the file ends"),
        (file((), (tensor(offset=1 << 40),)), "from 1099511627840 on, but the file ends after 192 bytes"),
        (file((), (tensor(offset=8),)), "tensor 't' has the offset 8; allowed: multiples of 32"),
        (file((), (tensor(kind=99),)), "tensor 't' has the unknown type 99; known: F32, F16, Q4_0"),
        (file((), (tensor(dims=(128,), kind=Q4_K),)), r"tensor 't' has the dimensions \(128,\); allowed for Q4_K: rows of"),
        (file((), (tensor(dims=(0,)),)), r"tensor 't' has the dimensions \(0,\)"),
        (file((), (tensor(dims=(1,) * 5),)), "tensor 't' has 5 dimensions; allowed: 1 to 4"),
        (file((), (tensor(), tensor())), "a tensor's name, 't', is given twice"),
        (file((), (tensor("a"), tensor("b", offset=96)), data=256), "tensor 'b' starts at offset 96, within 'a'"),
    ],
)  # fmt: skip
def test_a_lying_header_is_refused_in_one_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ImportModelError, match=message) as caught:
        check_header(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    sizes = Sizes(blocks=1)
    write_gguf(tmp_path / "whole.gguf", sizes, random_tensors(sizes, {"": "Q4_K"}))
    content = (tmp_path / "whole.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    for length in (*range(0, 4096, 61), len(content) // 2, len(content) - 64):
        path.write_bytes(content[:length])
        with pytest.raises(ImportModelError, match=r"ends after|does not start"):
            check_header(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"none\.gguf: cannot be read: No such file"):
        check_header(tmp_path / "none.gguf")
