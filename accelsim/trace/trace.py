"""A trace: a manifest and, where there is one, the payload of its packed weights; loading and saving its directory.

Loading checks the manifest, the graph, and that each stream is present with its length. A stream is compared with its checksum when it
is read, so no figure rests on corrupted bits; `verify_payload` reads them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from accelsim.errors import FormatError, TraceError
from accelsim.folder_swap import put_in_place, scratch_beside
from accelsim.ops.shapes import TensorShape
from accelsim.ops.weight_record import Read, StreamRecord, locate_corruption
from accelsim.registry import suggest
from accelsim.trace.layers import Layer, MacLayer, WeightedLayer
from accelsim.trace.manifest import CalibrationRecord, Manifest, PayloadRecord, read_manifest
from accelsim.trace.payload import FilePayload, MemoryPayload, Payload, file_sha256

MANIFEST_FILE = "trace.json"
PAYLOAD_FILE = "tensors.safetensors"
_TENSORS = ".safetensors"
_SHOWN_NAMES = 6
_ALLOWED = f"allowed: a trace directory with {MANIFEST_FILE} (`accelsim import MODEL -o DIR` makes one of a model)"


@dataclass(frozen=True)
class Trace:
    """A network with its packed weights.

    Attributes
    ----------
    manifest
        Everything but the bits.
    payload
        The bits; None when the trace is a manifest alone (it can be timed, not multiplied).
    directory
        Directory it was loaded from; None for a trace in memory.
    unread_files
        Names in that directory that the manifest does not mention, sorted: a reader's notes, which no figure depends on.
    """

    manifest: Manifest
    payload: Payload | None = None
    directory: Path | None = None
    unread_files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the trace."""
        return self.manifest.name

    def __repr__(self) -> str:
        return f"<Trace {self.name}: {len(self.layers)} layers, {self.macs:,} MACs>"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers in topological order."""
        return self.manifest.layers

    @property
    def has_payload(self) -> bool:
        """True when the bits of the weights are available."""
        return self.payload is not None

    @property
    def remarks(self) -> tuple[str, ...]:
        """A line about files of its directory that were not read, and one about a cache whose elements the array does not take whole."""
        found = []
        if self.unread_files:
            shown = ", ".join(self.unread_files[:_SHOWN_NAMES]) + (", ..." if len(self.unread_files) > _SHOWN_NAMES else "")
            found.append(f"trace {self.name!r}: not read, as {MANIFEST_FILE} does not name them: {shown}")
        if any(layer.from_cache and layer.cache is not None and layer.cache.bits == 16 for layer in self.layers):
            found.append(
                "the cache's elements of 16 bits are rounded to 8 on their way to the array, without cycles, area or energy; "
                "products of 16 bits would take a second pass"
            )
        return tuple(found)

    @cached_property
    def sha256(self) -> str:
        """Identity of manifest and payload, for run ids."""
        return self.manifest.sha256

    @cached_property
    def _by_name(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def shapes(self) -> dict[str, TensorShape]:
        """Shape of every activation: model inputs and layer outputs by name."""
        return {source.name: source.shape for source in self.manifest.inputs} | {layer.name: layer.output for layer in self.layers}

    def layer(self, name: str) -> Layer:
        """The layer of a name; TraceError with a suggestion if there is none."""
        if name not in self._by_name:
            raise TraceError(f"trace {self.name!r} has no layer {name!r}{suggest(name, self._by_name)}")
        return self._by_name[name]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trained numbers of all layers."""
        return sum(layer.parameters for layer in self.layers)

    def weighted_layers(self) -> tuple[WeightedLayer, ...]:
        """The layers that have weights, in order."""
        return tuple(layer.weighted for layer in self.layers if layer.weighted is not None)

    def products(self) -> tuple[MacLayer, ...]:
        """The layers that the MAC array computes, in order."""
        return tuple(layer.product for layer in self.layers if layer.product is not None)

    def stream(self, layer: str, name: str) -> npt.NDArray[np.uint8]:
        """A packed stream of a layer's weights, uint8, 1-D.

        Raises
        ------
        TraceError
            No payload, no such layer, no such stream, or a stream that differs from its record.
        """
        record = self._weighted(layer).weight
        payload = self.required_payload(layer)
        if name not in record.streams:
            raise TraceError(f"layer {layer!r} has no stream {name!r}; known: {sorted(record.streams)}{suggest(name, record.streams)}")
        data = payload.read(record.streams[name].tensor)
        self._check(layer, name, record.streams[name], lambda start, stop: data[start:stop])
        return data

    def required_payload(self, layer: str) -> Payload:
        """The payload, read for the weights of `layer`; TraceError if there is none."""
        if self.payload is None:
            raise TraceError(f"trace {self.name!r} has no payload: the weights of layer {layer!r} are not stored")
        return self.payload

    def arrays(self, layer: str) -> dict[str, npt.NDArray[Any]]:
        """The unpacked streams of a layer's weights, as its format names and shapes them."""
        record = self._weighted(layer).weight
        try:
            return record.format.unpack({name: self.stream(layer, name) for name in record.streams}, record.k, record.n)
        except FormatError as error:
            raise FormatError(f"trace {self.name!r}, layer {layer!r}: {error}") from None

    def weights(self, layer: str) -> npt.NDArray[Any]:
        """The weights Wt[K,N] of a layer as the array multiplies them: int8 (int16 above 8 bits, float32 in a float trace)."""
        record = self._weighted(layer).weight
        return record.format.dequantize(self.arrays(layer), record.k, record.n)

    def constant(self, layer: str, name: str) -> npt.NDArray[np.float32]:
        """A trained constant of a layer (bias, gamma, ...), float32, 1-D; TraceError if the payload holds none, or other bits."""
        record = self.layer(layer).constants.get(name)
        if record is None or self.payload is None:
            raise TraceError(f"trace {self.name!r}, layer {layer!r}: the payload holds no constant {name!r}")
        data = self.payload.read(record.tensor)
        self._check(layer, name, record, lambda start, stop: data[start:stop])
        return np.frombuffer(data.tobytes(), dtype="<f4")

    def verify_payload(self) -> None:
        """Read the whole payload, in chunks, and compare every stream with its record.

        Raises
        ------
        TraceError
            The first stream that differs: the layer, the stream, and the bit when exactly one was flipped.
        """
        if self.payload is None:
            raise TraceError(f"trace {self.name!r} has no payload to verify")
        for layer in self.layers:
            weights = layer.weights.streams if layer.weights is not None else {}
            for name, record in (*weights.items(), *layer.constants.items()):
                self._check(layer.name, name, record, partial(self.payload.read_part, record.tensor))
        record_of_file = self.manifest.payload
        if record_of_file is not None and self.directory is not None:
            path = self.directory / record_of_file.file
            found = file_sha256(path)
            if found != record_of_file.sha256:
                raise TraceError(f"{path}: has SHA-256 {found}, but the manifest says {record_of_file.sha256}")

    def _check(self, layer: str, name: str, record: StreamRecord, read: Read) -> None:
        where = locate_corruption(record, read)
        if where is not None:
            what = f"bit {where} is flipped" if isinstance(where, int) else "several bits differ from those written"
            raise TraceError(f"trace {self.name!r}, layer {layer!r}, stream {name!r} is corrupted: {what}")

    def _weighted(self, name: str) -> WeightedLayer:
        layer = self.layer(name)
        if layer.weighted is None:
            raise TraceError(f"layer {name!r} ({layer.op}): it has no weights")
        return layer.weighted


def load_trace(directory: Path | str) -> Trace:
    """Load a trace directory.

    Raises
    ------
    TraceError
        No such directory or manifest, as for a model that is not imported yet; a wrong field, an inconsistent graph, or a payload that is
        missing, truncated, outside the directory, or without a stream that the manifest names; tensors that the manifest does not name.
    """
    directory = Path(directory)
    if not directory.is_dir():
        problem = "is a file" if directory.is_file() else "is not a directory"
        raise TraceError(f"{directory}: {problem}; {_ALLOWED}")
    if _is_missing(directory / MANIFEST_FILE):
        raise TraceError(f"{directory}: holds no {MANIFEST_FILE}; {_ALLOWED}")
    manifest = read_manifest(directory / MANIFEST_FILE)
    payload = _open_payload(directory, manifest, manifest.payload) if manifest.payload is not None else None
    return Trace(manifest, payload, directory, _unread_files(directory, manifest))


def _is_missing(path: Path) -> bool:
    """Whether there is certainly no such file: where that cannot be told, reading it says why."""
    try:
        return not path.exists()
    except OSError:
        return False


def _unread_files(directory: Path, manifest: Manifest) -> tuple[str, ...]:
    """The names in a trace's directory beside manifest and payload; TraceError if one of them holds tensors."""
    known = {MANIFEST_FILE, manifest.payload.file if manifest.payload else MANIFEST_FILE}
    try:
        unread = sorted(entry.name for entry in directory.iterdir() if entry.name not in known)
    except OSError as error:
        raise TraceError(f"{directory}: cannot be read: {error.strerror}") from None
    for name in unread:
        if name.endswith(_TENSORS):
            named = f"names {manifest.payload.file!r} alone" if manifest.payload else "names no payload"
            raise TraceError(
                f"{directory / name}: {MANIFEST_FILE} {named}, so these tensors would not be read; allowed: a directory without the file"
            )
    return tuple(unread)


def _open_payload(directory: Path, manifest: Manifest, record: PayloadRecord) -> FilePayload:
    """The payload file, its size and the length of each stream checked."""
    path = directory / record.file
    if not path.is_file():
        raise TraceError(f"{directory / MANIFEST_FILE}: payload.file names {record.file!r}, but {path} is missing")
    if not path.resolve().is_relative_to(directory.resolve()):
        raise TraceError(f"{path}: leads outside the trace directory; allowed: a file inside it")
    size = path.stat().st_size
    if size != record.bytes:
        raise TraceError(f"{path}: has {size} bytes, but the manifest says {record.bytes}: the payload is truncated or replaced")
    payload = FilePayload(path)
    found, wanted = payload.sizes(), manifest.stream_records()
    for tensor, stream in wanted.items():
        if found.get(tensor) != stream.bytes:
            have = f"{found[tensor]} bytes" if tensor in found else "missing"
            raise TraceError(f"{path}: tensor {tensor!r} is {have}, but the manifest needs {stream.bytes} bytes")
    extra = sorted(found.keys() - wanted.keys())
    if extra:
        raise TraceError(f"{path}: tensor {extra[0]!r} is in no layer of {MANIFEST_FILE}; allowed: the {len(wanted)} tensors that it names")
    return payload


def with_payload(manifest: Manifest, tensors: Mapping[str, npt.NDArray[np.uint8]]) -> Trace:
    """A trace in memory whose manifest states the payload that `tensors` make when saved."""
    data = _payload_bytes(tensors)
    record = PayloadRecord(file=PAYLOAD_FILE, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    return Trace(manifest=manifest.with_fields(payload=record), payload=MemoryPayload(dict(tensors)))


def with_metrics(trace: Trace, metrics: Mapping[str, float]) -> Trace:
    """The trace with measured figures, such as an accuracy, added to those of its manifest.

    Raises
    ------
    TraceError
        A name is not made of small letters, digits and '_', or a value is not a finite number.
    """
    return replace(trace, manifest=trace.manifest.with_fields(metrics={**trace.manifest.metrics, **metrics}))


def with_calibration(trace: Trace, calibration: CalibrationRecord | None) -> Trace:
    """The trace with other scales of its activations, or without; TraceError for names that are not its activations."""
    return replace(trace, manifest=trace.manifest.with_fields(calibration=calibration))


def _payload_bytes(tensors: Mapping[str, npt.NDArray[np.uint8]]) -> bytes:
    return bytes(safetensors.numpy.save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}))


def save_trace(trace: Trace, directory: Path | str) -> Path:
    """Write a trace directory, all or nothing: it appears complete under its name, or not at all.

    An older trace of that name is replaced; a directory that holds anything else is left alone.

    Raises
    ------
    TraceError
        The path holds something that is not a trace, or cannot be written.
    """
    directory = Path(directory)
    check_replaceable_trace(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(directory) as scratch:
            fresh = scratch / "fresh"
            fresh.mkdir()
            if trace.payload is not None and trace.manifest.payload is not None:
                tensors = {name: trace.payload.read(name) for name in trace.payload.sizes()}
                (fresh / trace.manifest.payload.file).write_bytes(_payload_bytes(tensors))
            (fresh / MANIFEST_FILE).write_text(trace.manifest.to_json(), encoding="utf-8", newline="\n")
            load_trace(fresh)
            put_in_place(fresh, directory)
    except OSError as error:
        raise TraceError(f"{directory}: cannot be written: {error.strerror}") from None
    return directory


def check_replaceable_trace(directory: Path | str) -> None:
    """TraceError unless a trace may be written to `directory`: there is none, it is empty, or it holds a trace."""
    directory = Path(directory)
    if not directory.exists():
        return
    if not directory.is_dir():
        raise TraceError(f"{directory}: is a file; allowed: a new directory, or a trace to replace")
    names = {entry.name for entry in directory.iterdir()}
    if names and (MANIFEST_FILE not in names or names - {MANIFEST_FILE, PAYLOAD_FILE}):
        raise TraceError(
            f"{directory}: holds files that are not a trace {sorted(names)[:5]}; allowed: a new directory, or a trace to replace"
        )
