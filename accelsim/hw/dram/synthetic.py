"""Synthetic request traces from their description: sequential, tiled, several streams, random, bursts with gaps.

`python -m accelsim.hw.dram.synthetic CASES.json -o DIR` writes NAME.BYTES.txt for each case and burst size (default 32 and 64).
Randomness is splitmix64 (Steele, Lea, Flood, OOPSLA 2014), so that a trace can be made again in any language, and its
SHA-256 tells whether it was.

Disputable assumption: a request is 64 bytes; it is cut into the bursts that it touches.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from accelsim.errors import AccelsimError, ReferenceDataError
from accelsim.hw.dram.memory_trace import MemoryTrace
from accelsim.reading import parse_json, read_text
from accelsim.records import Record, build

REQUEST_BYTES = 64
WRITE_BIT = np.uint64(1 << 63)
Operation = Literal["R", "W"]
Request = tuple[int, Operation, int, int]  # cycle, direction, byte address, bytes
Size = Annotated[int, Field(ge=1, le=2**40)]
Offset = Annotated[int, Field(ge=0, le=2**50)]


class _Case(Record):
    name: str = Field(pattern=r"^[A-Za-z0-9_\-]+$")
    mo: int = Field(default=32, ge=1, description="reads in flight that the case is meant for")


class Sequential(_Case):
    """Consecutive requests, `interval` cycles apart."""

    kind: Literal["seq"]
    base: Offset = 0
    bytes: Size
    op: Operation = "R"
    interval: Offset = 0

    def requests(self) -> Iterator[Request]:
        for i in range(self.bytes // REQUEST_BYTES):
            yield i * self.interval, self.op, self.base + i * REQUEST_BYTES, REQUEST_BYTES


class Tile(_Case):
    """Rows of a two-dimensional tile, `pitch` bytes apart."""

    kind: Literal["tile"]
    base: Offset = 0
    rows: Size
    row_bytes: Size
    pitch: Size
    op: Operation = "R"

    def requests(self) -> Iterator[Request]:
        for row in range(self.rows):
            yield 0, self.op, self.base + row * self.pitch, self.row_bytes


class RequestStream(Record):
    """One of several streams: `bytes` from `base` on, `chunk` bytes in turn."""

    base: Offset
    bytes: Size
    op: Operation
    chunk: Size


class Streams(_Case):
    """Streams served in turn, a chunk each, until all are at their end."""

    kind: Literal["streams"]
    streams: tuple[RequestStream, ...] = Field(min_length=1)

    def requests(self) -> Iterator[Request]:
        offset = [0] * len(self.streams)
        while any(done < stream.bytes for done, stream in zip(offset, self.streams, strict=True)):
            for index, stream in enumerate(self.streams):
                end = min(stream.bytes, offset[index] + stream.chunk)
                for at in range(offset[index], end, REQUEST_BYTES):
                    yield 0, stream.op, stream.base + at, min(REQUEST_BYTES, end - at)
                offset[index] = end


class Random(_Case):
    """Uniformly random requests in `span` bytes, `write_pct` percent of them writes."""

    kind: Literal["random"]
    base: Offset = 0
    span: Size = Field(ge=REQUEST_BYTES)
    n: Size
    seed: Offset
    interval: Offset = 0
    write_pct: int = Field(default=0, ge=0, le=100)

    def requests(self) -> Iterator[Request]:
        numbers = splitmix64(self.seed)
        for i in range(self.n):
            address = self.base + next(numbers) % (self.span // REQUEST_BYTES) * REQUEST_BYTES
            write = self.write_pct > 0 and next(numbers) % 100 < self.write_pct
            yield i * self.interval, "W" if write else "R", address, REQUEST_BYTES


class Bursts(_Case):
    """Sequential reads in bursts of `burst_bytes`, one every `gap` cycles."""

    kind: Literal["bursts"]
    base: Offset = 0
    n: Size
    burst_bytes: Size
    gap: Offset

    def requests(self) -> Iterator[Request]:
        each = self.burst_bytes // REQUEST_BYTES
        for i in range(self.n * each):
            yield i // each * self.gap, "R", self.base + i * REQUEST_BYTES, REQUEST_BYTES


Case = Annotated[Sequential | Tile | Streams | Random | Bursts, Field(discriminator="kind")]


class Cases(Record):
    """A file of cases."""

    cases: tuple[Case, ...]


def splitmix64(seed: int) -> Iterator[int]:
    """The endless sequence of 64-bit numbers of splitmix64."""
    mask = (1 << 64) - 1
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        mixed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9 & mask
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & mask
        yield mixed ^ (mixed >> 31)


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a JSON file; ReferenceDataError if it does not fit."""
    try:
        fields = parse_json(read_text(path, ReferenceDataError))
    except ValueError as error:
        raise ReferenceDataError(f"{path}: not a file of trace cases: {error}") from error
    return build(Cases, fields, f"{path}: not a file of trace cases", ReferenceDataError).cases


def make_trace(case: Case, burst_bytes: int) -> MemoryTrace:
    """The trace of a case, cut into bursts of `burst_bytes`."""
    bursts = [
        (cycle, operation == "W", address)
        for cycle, operation, start, size in case.requests()
        for address in range(start - start % burst_bytes, start + size, burst_bytes)
    ]
    columns = np.array(bursts, np.int64).reshape(-1, 3)
    return MemoryTrace(case.name, *(np.ascontiguousarray(columns[:, i]) for i in range(3)))


def trace_sha256(trace: MemoryTrace) -> str:
    """SHA-256 of the trace's binary form: for each burst its cycle and its address (bit 63: write), little-endian u64."""
    words = np.empty((len(trace.cycle), 2), "<u8")
    words[:, 0] = trace.cycle
    words[:, 1] = trace.address.astype(np.uint64) | np.where(trace.is_write, WRITE_BIT, np.uint64(0))
    return hashlib.sha256(words.tobytes()).hexdigest()


def write_trace(trace: MemoryTrace, path: Path) -> None:
    """Write the trace as text lines."""
    rows = zip(trace.cycle.tolist(), trace.is_write.tolist(), trace.address.tolist(), strict=True)
    path.write_text("".join(f"{cycle} {'W' if write else 'R'} {address:#x}\n" for cycle, write, address in rows), encoding="ascii")


def write_traces(cases: Path, folder: Path, burst_bytes: tuple[int, ...] = (32, 64)) -> list[Path]:
    """Write NAME.BYTES.txt for every case and burst size into `folder`; their paths."""
    paths = []
    folder.mkdir(parents=True, exist_ok=True)
    for case in read_cases(cases):
        for size in burst_bytes:
            paths.append(folder / f"{case.name}.{size}.txt")
            write_trace(make_trace(case, size), paths[-1])
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Entry point: write the requested traces."""
    parser = argparse.ArgumentParser(prog="python -m accelsim.hw.dram.synthetic", description="Write synthetic request traces.")
    parser.add_argument("cases", type=Path, help="JSON file of cases")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for NAME.BYTES.txt")
    parser.add_argument("--burst-bytes", type=int, nargs="+", default=[32, 64], choices=(16, 32, 64, 128))
    options = parser.parse_args(arguments)
    try:
        write_traces(options.cases, options.output, tuple(options.burst_bytes))
    except (AccelsimError, OSError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
