"""The manifest of a trace (trace.json): the network as a graph in topological order, and where its weights came from.

The graph checks span several fields: names are unique, inputs exist earlier, and every
input has the shape that its reader needs.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from accelsim.errors import TraceError
from accelsim.ops.shapes import ManifestRecord, TensorShape
from accelsim.ops.weight_record import StreamRecord
from accelsim.problems import MISSING, UNKNOWN_FIELD, UNKNOWN_KIND, field_place, in_words, one_problem, unknown_field
from accelsim.quantities import unit
from accelsim.reading import parse_json, read_text
from accelsim.registry import suggest
from accelsim.trace.interface import Interface
from accelsim.trace.layers import Layer, Name
from accelsim.wording import first_lines, shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SCHEMA_VERSION = 1
MAX_MANIFEST_BYTES = 64 << 20
Seed = Annotated[int, Field(ge=0, lt=1 << 63), unit("seed")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=4096)]


class SeededSource(ManifestRecord):
    """Weights drawn from a seed: shapes and sizes are those of the model, values are not trained.

    Attributes
    ----------
    generator, distribution
        The method of `accelsim.trace.seeded`.
    statement
        Caveat for the reader: no accuracy can be measured with these weights.
    """

    kind: Literal["seeded"] = "seeded"
    seed: Seed = Field(description="seed of the weights")
    generator: Literal["pcg64-sum16"] = "pcg64-sum16"
    distribution: Text
    statement: Text


class CheckpointSource(ManifestRecord):
    """Weights of a real model: the file's name and SHA-256."""

    kind: Literal["checkpoint"] = "checkpoint"
    file: Text = Field(description="name of the model's file")
    sha256: Sha256 = Field(description="SHA-256 of the model's file")


Source = Annotated[SeededSource | CheckpointSource, Field(discriminator="kind")]


class ModelInput(ManifestRecord):
    """An input of the whole model, such as the image."""

    name: Name = Field(description="name by which layers read it")
    shape: TensorShape = Field(description="its shape")


class PayloadRecord(ManifestRecord):
    """The payload beside the manifest: file name, size and SHA-256."""

    file: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(description="plain file name beside the manifest")
    bytes: Annotated[int, Field(ge=8, le=1 << 40)] = Field(description="size of the file")
    sha256: Sha256 = Field(description="SHA-256 of the file")

    @model_validator(mode="after")
    def _stays_inside(self) -> PayloadRecord:
        if self.file in (".", "..") or any(part in self.file for part in ("/", "\\", "\0", ":")):
            raise TraceError(
                f"payload.file: {self.file!r} leaves the trace directory; allowed: a plain file name such as 'tensors.safetensors'"
            )
        return self


class CompressionRecord(ManifestRecord):
    """The compression of a float trace: rules in order (pattern, format), the encoder's seed, and the float trace's SHA-256."""

    rules: tuple[tuple[Text, Text], ...] = Field(description="pairs of a pattern over names of layers and a format, in order")
    seed: Seed = Field(description="seed of the encoder")
    float_trace_sha256: Sha256 = Field(description="SHA-256 of the float trace's manifest")


class CalibrationRecord(ManifestRecord):
    """The scales of all activations, as measured on samples: an element's value is its integer times the scale."""

    method: Literal["max", "percentile", "mse"] = Field(
        description="criterion of a scale: the largest magnitude, a percentile of them, or least squared error"
    )
    samples: Annotated[int, Field(ge=1), unit("samples")] = Field(description="inputs on which the activations were measured")
    scales: dict[Name, Annotated[float, Field(gt=0), unit("activation's real value")]] = Field(
        description="by the name of each model input and layer"
    )


CODEBOOK_ERROR = "codebook_error"  # of float codebooks that became integers: the largest of the matrices, over their root mean square
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Metrics = Annotated[dict[MetricName, Annotated[float, unit("that of the metric")]], Field(max_length=256)]


class Manifest(ManifestRecord):
    """Everything of a trace but the bits of its weights.

    Attributes
    ----------
    metrics
        Measurements of the compressed model, by name: `relative_mse`, `cosine`, `vector_loss` and bits per weight of all matrices by
        `compress`, `codebook_error` by whatever rounded codebooks of floats to integers, others (an accuracy) by whoever measured them. No
        simulated number depends on them; an older reader that does not know the field refuses it by name, and a manifest without it
        stays valid.
    calibration, interface
        For whole-network execution alone: no simulated number depends on them.
    """

    schema_version: Annotated[Literal[1], unit("version")] = Field(default=1, description="version of this file's fields")
    name: Name = Field(description="name in tables and results")
    source: Source = Field(description="where the weights come from")
    inputs: Annotated[tuple[ModelInput, ...], Field(min_length=1, description="inputs of the model")]
    outputs: Annotated[tuple[Name, ...], Field(min_length=1, description="layers whose outputs are the model's")]
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=100_000, description="the network in topological order")]
    payload: PayloadRecord | None = Field(default=None, description="file with the packed weights; absent: the seed describes them")
    compression: CompressionRecord | None = Field(default=None, description="how a float trace became this one")
    metrics: Metrics = Field(default_factory=dict)
    calibration: CalibrationRecord | None = Field(default=None, description="scales of the activations; absent: not calibrated")
    interface: Interface | None = Field(default=None, description="inputs and outputs in the model's order; absent: in the trace's own")
    notes: tuple[Text, ...] = Field(default=(), description="remarks for a reader")

    @model_validator(mode="after")
    def _graph_holds(self) -> Manifest:
        shapes: dict[str, TensorShape] = {}
        for source in self.inputs:
            _add_name(shapes, source.name, source.shape)
        for layer in self.layers:
            for name in layer.inputs:
                if name not in shapes:
                    raise TraceError(
                        f"layer {layer.name!r}: input {name!r} is neither a model input nor an earlier layer{suggest(name, shapes)}"
                    )
            layer.check_inputs(tuple(shapes[name] for name in layer.inputs))
            _add_name(shapes, layer.name, layer.output)
        for name in self.outputs:
            if name not in shapes:
                raise TraceError(f"outputs: {name!r} is not a layer{suggest(name, shapes)}")
        if self.interface is not None:
            self.interface.check([(source.name, source.shape) for source in self.inputs], shapes, self.outputs)
        if self.calibration is not None and self.calibration.scales.keys() != shapes.keys():
            odd = min(self.calibration.scales.keys() ^ shapes.keys())
            raise TraceError(f"calibration.scales: {odd!r} is {'missing' if odd in shapes else 'no activation'}{suggest(odd, shapes)}")
        if self.payload is not None:
            for layer in self.layers:
                if layer.weights is not None and not layer.weights.streams:
                    raise TraceError(f"layer {layer.name!r}: weight.streams is empty, but the manifest names a payload")
        return self

    def with_fields(self, **changes: Any) -> Self:
        """The manifest with some fields replaced, checked again; TraceError with the first field that cannot have its value."""
        try:
            return super().with_fields(**changes)
        except ValidationError as error:
            raise TraceError(f"trace {self.name!r}: {one_problem(error)}") from None

    def stream_records(self) -> dict[str, StreamRecord]:
        """Every stream by its tensor key; layers that share a key must agree on it.

        Raises
        ------
        TraceError
            Two layers describe one tensor differently.
        """
        records: dict[str, StreamRecord] = {}
        for layer in self.layers:
            weights = layer.weights.streams if layer.weights is not None else {}
            for record in (*weights.values(), *layer.constants.values()):
                if records.setdefault(record.tensor, record) != record:
                    raise TraceError(f"layer {layer.name!r}: tensor {record.tensor!r} is described differently by another layer")
        return records

    def to_json(self) -> str:
        """The manifest as trace.json holds it: one line per field and one per layer, so that diffs are readable."""
        fields = {name: value for name, value in self.model_dump(mode="json").items() if value is not None and value != {}}
        layers = ",\n  ".join(json.dumps(_without_absent(layer)) for layer in fields.pop("layers"))
        lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
        lines.append(f' "layers": [\n  {layers}\n ]')
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @property
    def sha256(self) -> str:
        """SHA-256 of the manifest's canonical JSON; it covers the payload through the payload's own SHA-256."""
        canonical = json.dumps(json.loads(self.to_json()), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _without_absent(layer: dict[str, Any]) -> dict[str, Any]:
    """A dumped layer without its null and empty fields, op first."""
    return {"op": layer["op"], **{name: value for name, value in layer.items() if value is not None and value != {}}}


def _add_name(shapes: dict[str, TensorShape], name: str, shape: TensorShape) -> None:
    if name in shapes:
        raise TraceError(f"layer {name!r}: the name is used twice")
    shapes[name] = shape


def read_manifest(path: Path) -> Manifest:
    """Read and validate trace.json.

    Raises
    ------
    TraceError
        One message: the file, the field (with the layer's name), the value, and what is allowed.
    """
    text = read_text(path, TraceError, limit=MAX_MANIFEST_BYTES)
    try:
        raw = parse_json(text)
    except ValueError as error:
        raise TraceError(f"{path}: is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise TraceError(f"{path}: holds a {type(raw).__name__}; allowed: an object with the fields of a manifest")
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise TraceError(f"{path}: schema_version has value {shown(version)}; allowed: {SCHEMA_VERSION}")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        problems = [_in_place(problem, problem["loc"], raw) for problem in error.errors(include_url=False)]
    except TraceError as error:
        problems = _layer_problems(raw["layers"]) or [str(error)]
    raise TraceError(first_lines(f"{path}: {problem}" for problem in problems)) from None


def _layer_problems(layers: list[Any]) -> list[str]:
    """Every invalid layer's problems, with its name; none when only the graph is invalid."""
    adapter: TypeAdapter[Layer] = TypeAdapter(Layer)
    out = []
    for index, layer in enumerate(layers):
        try:
            adapter.validate_json(json.dumps(layer))
        except ValidationError as error:
            out += [_in_place(item, ("layers", index, *item["loc"]), {"layers": layers}) for item in error.errors(include_url=False)]
        except TraceError as error:
            text = str(error)
            out.append(text if text.startswith("layer ") else f"layer {shown(layer.get('name'))}: {text}")
    return out


def _in_place(problem: ErrorDetails, location: tuple[int | str, ...], raw: dict[str, Any]) -> str:
    """A problem as 'layers[3].output.rows (layer 'fc1') has value -1: must be at least 1'."""
    place = field_place({**problem, "loc": location}, raw)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    layer = ""
    if len(place) > 1 and place[0] == "layers" and isinstance(place[1], int):
        found = raw["layers"][place[1]]
        layer = f" (layer {shown(found.get('name'))})" if isinstance(found, dict) else ""
    if problem["type"] == UNKNOWN_FIELD:
        return f"{path}{layer}: {unknown_field({**problem, 'loc': location}, Manifest)}"
    if problem["type"] == MISSING:
        return f"{path}{layer} {in_words(problem)}"
    value = problem["ctx"]["tag"] if problem["type"] == UNKNOWN_KIND else problem["input"]
    return f"{path}{layer} has value {shown(value)}: {in_words(problem)}"
