"""Mutations of inputs: bytes, words in text, trees (YAML, JSON), tables, safetensors headers, arrays in archives, protobuf fields, SQL."""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import json
import sqlite3
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import yaml

Mutator = Callable[[Random, bytes], bytes]

# Values that readers are known to trip over: ends of number formats, units, text that is a number, depth, control characters, paths.
HOSTILE: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2, 7, 3.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), 2**31, 2**53 + 1, 2**63 - 1, 2**63,
    2**64, -(2**63) - 1, 10**39, "", " ", "0", "-1", "1e9999", "1e99999999 Hz", "1e-99999999 ns", "64 KiB", "-64 KiB", "1.5 B", "9" * 60,
    "nan", "inf", "0x10", "1:30", "2026-11-28", "a" * 5000, "\x1b[31mred", "a\x00b", "\u202eabc", "\ud800", "../../etc/passwd",
    "/dev/zero", "/", "=1+1", "a,b", "a\nb", "*", "..", "uniform:bits=8", "ssvq:k=16,d=8", "1..1e9 x1.0000001", "1..4 +0", [], {}, [[]],
    [None], {"": 0}, {"kind": "ssvq"}, [1, 2, 3], "edge-32x32", "lpddr4-3200-x16", "gemm", "${HOME}", "%s%n", "{0}",
)  # fmt: skip
# Makes a file where a reader evaluates it, which the watch over files notes.
_CODE = (
    "__import__('os').mkdir('/tmp/evaluated')", "x=__import__('os').mkdir('/tmp/evaluated')",
    "x'), __import__('os').mkdir('/tmp/evaluated'), ('",
    "torch.os.mkdir", "torch.hub.load", "torch.ops.aten.save.default", "torch.ops.aten.from_file.default", "_operator.call", "9**9**9**9",
    "x.__class__.__base__.__subclasses__()", "u99999999999",
)  # fmt: skip
_NPY_HEADER = 10  # bytes before the header's text, in version 1
_ARRAY_TYPES = (
    "|O", "|S0", "|S1", "<U1000000", "|V0", "|V8", "<f2", ">f4", "<f8", "<f16", "<c8", "<c16", "|b1", "|i1", "|u1", ">i2", "<i4", "<i8",
    "<u8", "<M8[ns]", "<m8", "f", "float", "", "x", [("a", "<f4")], [("a", "<f4"), ("a", "<f4")], [("a", "|O")], ("<f4", (2,)),
    {"names": ["a"]},
)  # fmt: skip
_ARRAY_VALUES = tuple(
    np.array(value, kind).tobytes()
    for kind, found in (
        ("<f4", (np.nan, np.inf, -np.inf, -0.0, 3.4e38, 1e-45)), ("<f8", (np.nan, -np.inf, 1.7e308, 5e-324)),
        ("<i8", (2**63 - 1, -(2**63))), ("|i1", (-128, 127)),
    )
    for value in found
)  # fmt: skip
_WORDS = [str(value).encode("utf-8", "replace") for value in HOSTILE if not isinstance(value, list | dict)]
_FIELD_BYTES = [
    value.to_bytes(size, "little")
    for size in (4, 8)
    for value in (0, 1, 1 << 30, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
]


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Flip, replace, insert, delete, repeat or cut bytes; write an extreme integer over some."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) + 1)
        if rng.random() < 0.5:
            at = min(at, rng.randrange(1, 512))  # headers stand at the beginning
        kind = rng.randrange(7)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = rng.randrange(256)
        elif kind == 2:
            out[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            del out[at : at + rng.choice((1, 2, 8, 64))]
        elif kind == 4:
            out[at:at] = out[at : at + rng.randrange(1, 64)]
        elif kind == 5:
            field = rng.choice(_FIELD_BYTES)
            out[at : at + len(field)] = field
        elif rng.random() < 0.3:
            del out[at:]
    return bytes(out)


def mutate_text(rng: Random, data: bytes) -> bytes:
    """Put a hostile word in the place of a word, or drop, double or swap lines."""
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        kind = rng.randrange(5)
        if kind <= 1:
            words = lines[at].split(b" ")
            words[rng.randrange(len(words))] = rng.choice(_WORDS)
            lines[at] = b" ".join(words)
        elif kind == 2:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 3 and len(lines) > 1:
            del lines[at]
        else:
            lines[at] = mutate_bytes(rng, lines[at])
    return b"\n".join(lines)


def mutate_table(rng: Random, data: bytes) -> bytes:
    """Change cells, rows and columns of a CSV file."""
    rows = [line.split(b",") for line in data.split(b"\n")]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(rows)) if rng.random() < 0.8 else 0
        row, kind = rows[at], rng.randrange(5)
        if kind <= 1:
            row[rng.randrange(len(row))] = rng.choice(_WORDS)
        elif kind == 2:
            row.insert(rng.randrange(len(row) + 1), rng.choice(row))
        elif kind == 3:
            del row[rng.randrange(len(row))]
            row = row or [b""]
        else:
            row = list(rng.choice(rows))
        rows[at] = row or [b""]
    return b"\n".join(b",".join(row) for row in rows)


def mutate_tree(rng: Random, content: Any) -> Any:
    """A copy of plain data with values replaced, moved, dropped, renamed or nested."""
    out = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        spots = _spots(out)
        if not spots:
            return rng.choice(HOSTILE)
        parent, key = rng.choice(spots)
        kind = rng.randrange(8)
        if kind <= 3:
            parent[key] = copy.deepcopy(rng.choice(HOSTILE))
        elif kind == 4:
            del parent[key]
        elif kind == 5:
            other, place = rng.choice(spots)
            parent[key] = copy.deepcopy(other[place])
        elif kind == 6 and isinstance(parent, dict):
            parent[rng.choice(("x", "", str(key).upper(), "\x1b[1m", "__class__", "op", "kind"))] = parent.pop(key)
        else:
            parent[key] = _nested(parent[key], rng.choice((1, 3, 30, 400)), rng.random() < 0.5)
    return out


def _nested(value: Any, depth: int, as_list: bool) -> Any:
    for _ in range(depth):
        value = [value] if as_list else {"a": value}
    return value


def _spots(content: Any) -> list[tuple[Any, Any]]:
    """(parent, key) of every value below the root."""
    found: list[tuple[Any, Any]] = []
    ahead = [content]
    while ahead:
        here = ahead.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        for key in keys:
            found.append((here, key))
            ahead.append(here[key])
    return found


def mutate_json(rng: Random, data: bytes) -> bytes:
    """Change the tree of a JSON file, seldom its text."""
    if rng.random() < 0.15:
        return mutate_text(rng, data)
    return json.dumps(mutate_tree(rng, json.loads(data))).encode("utf-8")


def mutate_yaml(rng: Random, data: bytes) -> bytes:
    """Change the tree of a YAML file, or its text."""
    if rng.random() < 0.4:
        return mutate_text(rng, data)
    tree = mutate_tree(rng, yaml.safe_load(data))
    return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")


def mutate_safetensors(rng: Random, data: bytes) -> bytes:
    """Change the header's tree or its stated length, or any bytes."""
    size = int.from_bytes(data[:8], "little")
    kind = rng.randrange(4)
    if kind == 0:
        return mutate_bytes(rng, data)
    if kind == 1:
        stated = rng.choice((0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1)) % 2**64
        return stated.to_bytes(8, "little") + data[8:]
    header = json.dumps(mutate_tree(rng, json.loads(data[8 : 8 + size]))).encode("utf-8")
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def mutate_npy(rng: Random, data: bytes) -> bytes:
    """Change the dict, the version or the stated length of an array's header, some of its values, or any bytes."""
    kind = rng.randrange(8)
    if kind == 0 or len(data) < _NPY_HEADER:
        return mutate_bytes(rng, data)
    size = int.from_bytes(data[8:10], "little")  # behind the magic string and version: length, then the text of a dict
    header, values = data[_NPY_HEADER : _NPY_HEADER + size], data[_NPY_HEADER + size :]
    if kind == 1:
        values = _with_values(rng, values)
    elif kind == 2:
        return data[:6] + bytes(rng.choice(((1, 0), (2, 0), (3, 0), (0, 0), (9, 9)))) + data[8:]
    elif kind == 3:
        return data[:8] + (rng.choice((0, 1, size - 1, size + 1, 2**16 - 1)) % 2**16).to_bytes(2, "little") + data[_NPY_HEADER:]
    elif kind == 4:
        header = mutate_text(rng, header)
    else:
        header = _with_array_field(rng, header)
    header = header[: 2**16 - 1]
    return data[:8] + len(header).to_bytes(2, "little") + header + values


def _with_array_field(rng: Random, header: bytes) -> bytes:
    """Another type, order or shape in the dict of an array's header, or one more field."""
    try:
        fields = ast.literal_eval(header.decode("latin-1").strip())
        fields = dict(fields)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # damaged by a mutation before
        return mutate_text(rng, header)
    name = rng.choice(("descr", "descr", "shape", "shape", "fortran_order", "x"))
    value: Any = rng.choice(HOSTILE)
    if name == "descr" and rng.random() < 0.8:
        value = rng.choice(_ARRAY_TYPES)
    elif name == "shape" and rng.random() < 0.8:
        shape = fields.get("shape")
        own = list(shape) if isinstance(shape, tuple) else []
        changed = [rng.choice((0, 1, 2, -1, 2**31, 2**62, 2**64, True)) if rng.random() < 0.4 else size for size in own]
        value = tuple(rng.choice((changed, own[::-1], own[1:], [1, *own], [*own, 1], [], [0], [1] * 40)))
    elif name == "fortran_order" and rng.random() < 0.8:
        value = not fields.get(name)
    return repr({**fields, name: value}).encode("latin-1", "replace") + rng.choice((b"\n", b"", b" " * 64))


def _with_values(rng: Random, values: bytes) -> bytes:
    """Extreme numbers in the place of some elements, of whatever type they are."""
    out = bytearray(values)
    for _ in range(rng.choice((1, 2, 16))):
        extreme = rng.choice(_ARRAY_VALUES)
        at = rng.randrange(max(1, len(out) // len(extreme))) * len(extreme)
        out[at : at + len(extreme)] = extreme
    return bytes(out)


def mutate_npz(rng: Random, data: bytes) -> bytes:
    """Change an array of an archive, its name or its place, or any bytes of it."""
    return _with_entry(rng, data, lambda name, content: mutate_npy(rng, content))


def mutate_program(rng: Random, data: bytes) -> bytes:
    """Change the tree or the texts of a program's JSON, other entries of its archive, their names, or any bytes of it."""

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith(".json"):
            return mutate_bytes(rng, content)
        return mutate_json(rng, content) if rng.random() < 0.5 else _with_code(rng, content)

    return _with_entry(rng, data, change, likely=".json")


def _with_code(rng: Random, data: bytes) -> bytes:
    """Put code into a text or a name of a JSON tree, or a text of it into another place."""
    tree = json.loads(data)
    texts = [(parent, key) for parent, key in _spots(tree) if isinstance(parent[key], str)]
    if not texts:
        return mutate_json(rng, data)
    parent, key = rng.choice(texts)
    other, place = rng.choice(texts)
    parent[key] = rng.choice([*_CODE, parent[key] + rng.choice(_CODE), other[place]])
    return json.dumps(tree).encode("utf-8")


def _with_entry(rng: Random, data: bytes, change: Callable[[str, bytes], bytes], likely: str = "") -> bytes:
    """Change an entry of an archive by `change`, its name or its place, or any bytes; those with `likely` in their names more often."""
    kind = rng.randrange(8)
    if kind <= 1:
        return mutate_bytes(rng, data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [(name, archive.read(name)) for name in archive.namelist()]
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ):  # damaged by a mutation before
        return mutate_bytes(rng, data)
    if not entries:
        return mutate_bytes(rng, data)
    places = [at for at, (name, _) in enumerate(entries) if likely in name] if rng.random() < 0.8 else []
    at = rng.choice(places or range(len(entries)))
    name, content = entries[at]
    if kind == 2:
        entries[at] = mutate_text(rng, name.encode()).decode("utf-8", "replace")[:200], content
    elif kind == 3:
        entries[at : at + 1] = rng.choice(([], [entries[at]] * 2, [rng.choice(entries)]))
    else:
        entries[at] = name, change(name, content)
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        warnings.simplefilter("ignore", UserWarning)  # a name given twice is meant
        for name, content in entries:
            archive.writestr(name.replace("\0", "") or "?", content)
    return out.getvalue()


def mutate_stored_value(rng: Random, data: bytes) -> bytes:
    """Put a hostile value into a column of an SQLite file's tables, in all rows; what names a row stays."""
    return _with_sql(data, lambda tables: _update(rng, tables))


def mutate_sqlite(rng: Random, data: bytes) -> bytes:
    """Change values, columns, tables or versions of an SQLite file, or any bytes."""
    kind = rng.randrange(6)
    if kind == 0:
        return mutate_bytes(rng, data)

    def statement(tables: Mapping[str, Sequence[str]]) -> tuple[str, tuple[Any, ...]]:
        table = rng.choice(sorted(tables))
        column = rng.choice(tables[table])
        if kind == 1:
            return f"PRAGMA {rng.choice(('user_version', 'application_id'))} = {rng.choice((-1, 0, 1, 2, 2**31 - 1))}", ()
        if kind == 2:
            return rng.choice((f"DROP TABLE {table}", f"DELETE FROM {table}", f"ALTER TABLE {table} RENAME TO x")), ()
        if kind == 3:
            return f"ALTER TABLE {table} RENAME COLUMN {column} TO x", ()
        return _update(rng, tables)

    return _with_sql(data, statement)


def _update(rng: Random, tables: Mapping[str, Sequence[str]]) -> tuple[str, tuple[Any, ...]]:
    table = rng.choice(sorted(tables))
    column = rng.choice([name for name in tables[table] if name not in ("run_id", "costing", "status", "sweep", "position")])
    value = rng.choice([*HOSTILE, b"\xff\xfe", "[1", "{}", "[[]]"])
    if not isinstance(value, str | bytes | float | None):
        value = value if isinstance(value, int) and abs(value) < 2**63 else str(value)
    return f"UPDATE OR IGNORE {table} SET {column} = ?", (value,)


def _with_sql(data: bytes, statement: Callable[[Mapping[str, Sequence[str]]], tuple[str, tuple[Any, ...]]]) -> bytes:
    """An SQLite file after a statement that is made of its tables (name -> columns); ValueError if it is none."""
    try:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(data)
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            tables = {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}
            connection.execute(*statement(tables))
            connection.commit()
            return connection.serialize()
    except (sqlite3.Error, IndexError) as error:
        raise ValueError(f"not a store that can be changed so: {error}") from None


def mutate_protobuf(rng: Random, data: bytes) -> bytes:
    """Change a field somewhere in a tree of protobuf messages; lengths of the messages around it stay right."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data)
    fields = _fields(data)
    if not fields:
        return mutate_bytes(rng, data) if data else rng.choice(_WORDS)
    at = rng.randrange(len(fields))
    key, kind, value = fields[at]
    change = rng.randrange(6)
    if kind == 2 and change <= 2:
        fields[at] = (key, 2, mutate_protobuf(rng, value))
    elif change == 3:
        del fields[at]
    elif change == 4:
        fields.insert(at, rng.choice(fields))
    elif kind == 2:
        fields[at] = (key, 2, rng.choice(_WORDS))
    elif kind == 0:
        fields[at] = (key, 0, _varint(rng.choice((0, 1, 2, 127, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1))))
    else:
        fields[at] = (key, kind, rng.randbytes(len(value)))
    return b"".join(_varint(key) + (_varint(len(value)) if kind == 2 else b"") + value for key, kind, value in fields)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _fields(data: bytes) -> list[tuple[int, int, bytes]]:
    """(key, wire type, bytes of the value) of a message's fields; none if it is no message."""
    found: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        kind = key & 7
        start = at
        if kind == 0:
            _, at = _read_varint(data, at)
        elif kind == 2:
            size, start = _read_varint(data, at)
            at = start + size
        else:
            at += {1: 8, 5: 4}.get(kind, len(data) + 1)
        if at > len(data):
            return []
        found.append((key, kind, data[start:at]))
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(data) and shift < 70:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at
    return 0, len(data) + 1
