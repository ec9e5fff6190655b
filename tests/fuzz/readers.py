"""Every reader of what users hand in: a command that reads, a valid input to begin with, and the mutations that fit its form."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from safetensors.numpy import save

from accelsim.accelerator import load_accelerator
from accelsim.api.models import compress, import_model
from accelsim.cost.technology import load_technology
from accelsim.presets import find_preset, find_trace
from accelsim.simulation import simulate
from accelsim.sweeps.in_process import InProcess
from accelsim.sweeps.runner import run_sweep
from accelsim.sweeps.spec import load_sweep
from accelsim.sweeps.store import open_store
from accelsim.trace.trace import load_trace
from tests.fuzz import mutators
from tests.fuzz.case import Case
from tests.fuzz.mutators import Mutator
from tests.importers import onnx_models
from tests.importers.test_huggingface_folder import CONFIG, tensors
from tests.importers.test_huggingface_quantized import SCHEMES
from tests.importers.test_huggingface_quantized import folder as write_quantized
from tests.importers.test_vptq_folder import settings_of
from tests.tiny_decoders import Sizes, random_tensors, write_gguf

DATA = Path(__file__).parents[1] / "validation" / "data"
_ROWS = 25  # of a reference table, so that a replay is short


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes
    ----------
    words : of the command, files by name; `{word}` is a mutated word of the command line
    file : the file that is mutated, or a text in the place of `{word}`
    seeds : valid contents of that file; one is drawn
    others : valid files beside it
    """

    name: str
    words: tuple[str, ...]
    file: str
    seeds: tuple[bytes, ...]
    mutators: Sequence[Mutator]
    others: Mapping[str, bytes]

    def draw(self, rng: Random) -> Case:
        """A mutated input."""
        content = rng.choice(self.seeds)
        for _ in range(rng.choice((1, 1, 1, 2))):
            try:
                content = rng.choice(self.mutators)(rng, content)
            except (ValueError, TypeError, RecursionError, yaml.YAMLError):  # the mutation before left nothing that has this form
                content = mutators.mutate_bytes(rng, content)
        return self.case(content)

    def case(self, content: bytes) -> Case:
        """The command with this content of its file, or of its word."""
        if self.file == WORD:
            word = content.decode("utf-8", "replace").replace("\0", "")
            return Case(self.name, tuple(word if item == WORD else item for item in self.words), self.others)
        return Case(self.name, self.words, {**self.others, self.file: content})


WORD = "{word}"
_YAML = (mutators.mutate_yaml, mutators.mutate_yaml, mutators.mutate_bytes)
_JSON = (mutators.mutate_json, mutators.mutate_json, mutators.mutate_bytes)
_TABLE = (mutators.mutate_table, mutators.mutate_table, mutators.mutate_text, mutators.mutate_bytes)
_TEXT = (mutators.mutate_text, mutators.mutate_bytes)
_CFG = b"""[architecture_presets]
ArrayHeight: 16
ArrayWidth: 16
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
Dataflow: ws
Bandwidth: 10
"""
_SWEEP = b"""name: small
base: {accelerator: edge-32x32}
axes:
  trace: [tiny_vit_int8, tiny_vit_ssvq]
  codebook.ports: 1..8 x2
linked:
  - {array.rows: [16, 32], array.cols: [16, 32]}
constraints:
  - weight_buffer.capacity >= array.rows * array.cols
  - array.psum_bits >= psum_bits_needed
pictures:
  - {name: a, kind: speedup_map, baseline: {trace: tiny_vit_int8}, rows: codebook.ports, columns: array.rows}
"""
_STORED_SWEEP = b"""name: stored
base: {accelerator: mcu-16x16, trace: tiny_vit_int8}
axes: {codebook.ports: [1, 2], vector_unit.lanes: [0, 8]}
"""
_RECIPE = b"rest: uniform:bits=8\nrules:\n  - {layers: '*mlp*', format: 'ssvq:k=16,d=8'}\n"
_TOPOLOGY = b"""Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
conv1,16,16,3,3,3,8,1,
conv2,14,14,3,3,8,8,2,
"""
_MEASURED = b"network,milliseconds,layer,batch\ntiny_vit_int8,1.0,,1\ntiny_vit_ssvq,0.8,,1\n"
_SILICON = (
    b"board,chip,network_id,recipe,context,metric,value,unit,role\n"
    b'a,stm32n6570-dk,"mobilenet_v1:depth=0.25,resolution=32,classes=10",int8,,latency,2.5,ms,context\n'
    b'b,coral,"mobilenet_v1:depth=0.25,resolution=32,classes=10",int8,,throughput,400,inf/s,fit\n'
)
_ERRORS = b"layer,format,error\nclassifier,uniform:bits=4,0.5\nclassifier,uniform:bits=8,0.1\n"
_REQUESTS = b"\n".join(b"%d %s 0x%x" % (4 * index, b"W" if index % 3 == 2 else b"R", 64 * index) for index in range(40))
_OVERRIDES = (
    b"codebook.ports=2", b"weight_buffer.capacity=64 KiB", b"clock=800 MHz", b"dram.device=lpddr4-3200-x16",
    b"codebook.mask={keep: 4, of: 16}",
    b"flash=null", b"dram.policy=frfcfs", b"vector_unit.passes.softmax=3",
)  # fmt: skip
_POLICY = b"""name: mine
kind: frfcfs
read_queue: 16
write_queue: 16
drain_above: 12
drain_below: 4
row_hits_first: true
"""
_ACCURACY = b"trace,codebook.ports,accuracy\ntiny_vit_int8,1,71.5\ntiny_vit_ssvq,1,70.25\ntiny_vit_ssvq,2,\n"
_SCHEMES = {name: SCHEMES[name][:2] for name in ("gptq act-order", "awq", "aqlm 2x8", "nf4 double")} | {"vptq": settings_of("outliers")}
_TWO_FORMATS = ("--layers", "classifier", "--format", "uniform:bits=4", "--format", "uniform:bits=8")
_GIVEN = ("ssvq:k=16,d=8", "vq:k=16,d=8", "int_group:bits=4,group=16,zero=1", "masked_vq:k=16,d=8,keep=2,of=4")
_FORMATS = (
    b"ssvq:k=16,d=8",
    b"uniform:bits=4",
    b"int_group:bits=4,group=32,zero=1",
    b"gguf:type=Q4_0",
    b"palette:bits=4",
    b"aqlm:books=2,bits=8",
)


@cache
def readers() -> tuple[Reader, ...]:
    """All readers, each with its valid inputs."""
    tiny = find_trace("tiny_vit_ssvq")
    manifest, payload = (tiny / "trace.json").read_bytes(), (tiny / "tensors.safetensors").read_bytes()
    chips = tuple(find_preset("accelerators", name, "accelerator").read_bytes() for name in ("edge-32x32", "mcu-16x16"))
    device = find_preset("dram", "lpddr4-3200-x16", "device").read_bytes()
    technology = find_preset("technology", "nangate45", "technology").read_bytes()
    store_words = ("sweep", "s.yaml", "--store", "s.sqlite")
    table = [
        Reader("accelerator", ("area", "c.yaml"), "c.yaml", chips, _YAML, {}),
        Reader("accelerator, run", ("run", "c.yaml", "tiny_vit_ssvq", "-q"), "c.yaml", chips, _YAML, {}),
        Reader("technology", ("area", "edge-32x32", "--technology", "t.yaml"), "t.yaml", (technology,), _YAML, {}),
        Reader("DRAM device", ("dram", "replay", "r.txt", "--device", "d.yaml"), "d.yaml", (device,), _YAML, {"r.txt": _REQUESTS}),
        Reader("request trace", ("dram", "replay", "r.txt", "--device", "lpddr4-3200-x16"), "r.txt", (_REQUESTS,), _TEXT, {}),
        Reader("manifest", ("inspect", "t"), "t/trace.json", (manifest,), _JSON, {"t/tensors.safetensors": payload}),
        Reader("manifest, run", ("run", "mcu-16x16", "t", "-q"), "t/trace.json", (manifest,), _JSON, {"t/tensors.safetensors": payload}),
        Reader(
            "safetensors", ("run", "mcu-16x16", "t", "-q", "--functional"), "t/tensors.safetensors", (payload,),
            (mutators.mutate_safetensors,), {"t/trace.json": manifest},
        ),
        Reader("result", ("report", "r.json"), "r.json", (_result(),), _JSON, {}),
        Reader("run of a comparison", ("report", "c"), "c/runs/1/result.json", (_result(),), _JSON,
            {"c/comparison.json": b"{}", "c/runs/0/result.json": _result()}),
        Reader("result, timeline", ("timeline", "r.json", "-o", "t.json"), "r.json", (_result(),), (_mutate_result, *_JSON), {}),
        Reader("window of a timeline", ("timeline", "r.json", "-o", "t.json", "--cycles", WORD), WORD, (b"100..2000",), _TEXT,
            {"r.json": _result()}),
        Reader("sweep", ("sweep", "s.yaml", "--dry-run", "--store", "s.sqlite", "-o", "out"), "s.yaml", (_SWEEP,), _YAML, {}),
        Reader("store", (*store_words, "--dry-run"), "s.sqlite", (_store(),), (mutators.mutate_sqlite,), {"s.yaml": _STORED_SWEEP}),
        Reader("store, ranked", store_words, "s.sqlite", (_store(),), (mutators.mutate_stored_value,),
            {"s.yaml": _STORED_SWEEP}),
        Reader("recipe", ("compress", "tiny_vit_float", "--recipe", "r.yaml", "-o", "out", "--no-payload"), "r.yaml", (_RECIPE,),
            _YAML, {}),
        *(
            Reader(
                f"arrays, {text.partition(':')[0]}", ("compress", "tiny_vit_float", "--format", text, "--arrays", "a.npz", "-o", "out"),
                "a.npz", (_arrays(text),), (mutators.mutate_npz,), {},
            )
            for text in _GIVEN
        ),
        Reader(
            "arrays, safetensors", ("compress", "tiny_vit_float", "--format", _GIVEN[0], "--arrays", "a.safetensors", "-o", "out"),
            "a.safetensors", (save(_layer_arrays(_GIVEN[0], floats=True)),), (mutators.mutate_safetensors,), {},
        ),
        Reader(
            "input of a network",
            ("run", "mcu-16x16", "tiny_vit_ssvq", "-q", "--functional", "network", "--input", "x.npy", "--outputs", "out"),
            "x.npy", _network_inputs(), (mutators.mutate_npy,), {},
        ),
        Reader("format", ("inspect", WORD), WORD, tuple(b"deit_tiny_float@" + text for text in _FORMATS), _TEXT, {}),
        Reader("--set", ("area", "edge-32x32", "--set", WORD), WORD, _OVERRIDES, (mutators.mutate_text, _mutate_override), {}),
        Reader("SCALE-Sim cfg", ("run", "mcu-16x16", "tiny_vit_ssvq", "-q", "--set", "s.cfg"), "s.cfg", (_CFG,), _TEXT, {}),
        Reader("topology", ("import", "t.csv", "-o", "out", "--seed", "1"), "t.csv", (_TOPOLOGY,), _TABLE, {}),
        Reader("measured", ("calibrate", "mcu-16x16", "m.csv", "--fit", "clock=100 MHz..1 GHz"), "m.csv", (_MEASURED,), _TABLE, {}),
        Reader("silicon", ("validate", "silicon", "s.csv", "--json"), "s.csv", (_SILICON,), _TABLE, {}),
        Reader("errors of a choice", ("choose", "mcu-16x16", "tiny_vit_float", *_TWO_FORMATS, "--errors", "e.csv", "-q"), "e.csv",
            (_ERRORS,), _TABLE, {}),
        Reader("ONNX", ("import", "m.onnx", "-o", "out"), "m.onnx", _onnx_files(), (mutators.mutate_protobuf,), {}),
        Reader("ONNX, explained", ("import", "m.onnx", "--explain"), "m.onnx", _onnx_files(), (mutators.mutate_protobuf,), {}),
        Reader("GGUF", ("import", "m.gguf", "-o", "out", "--bind", "tokens=8"), "m.gguf", (_gguf(),), (mutators.mutate_bytes,), {}),
        Reader("policy", ("dram", "replay", "r.txt", "--device", "lpddr4-3200-x16", "--policy", "./p.yaml"), "p.yaml", (_POLICY,), _YAML,
            {"r.txt": _REQUESTS}),
        Reader("accuracy", ("sweep", "s.yaml", "--dry-run", "--store", "s.sqlite", "-o", "out", "--accuracy", "a.csv"), "a.csv",
            (_ACCURACY,), _TABLE, {"s.yaml": _SWEEP}),
        Reader("tensors of a folder", ("import", "m", "-o", "out", "--bind", "tokens=3"), "m/model.safetensors", (save(tensors()),),
            (mutators.mutate_safetensors,), {"m/config.json": json.dumps(CONFIG).encode()}),
        *_quantized_folders(),
        Reader("model of an overlay", ("overlay", "r.json", "m.onnx", "-o", "out"), "m.onnx", _onnx_files()[:1],
            (mutators.mutate_protobuf,), {"r.json": _imported_result()}),
        Reader(
            "config.json", ("import", "m", "-o", "out", "--bind", "tokens=3"), "m/config.json", (json.dumps(CONFIG).encode(),), _JSON,
            {"m/model.safetensors": save(tensors())},
        ),
    ]  # fmt: skip
    if find_spec("torch") is not None:
        table.append(Reader("PyTorch", ("import", "m.pt2", "-o", "out"), "m.pt2", _programs(), (mutators.mutate_program,), {}))
    for kind, file in (("core", "core_cycles"), ("cluster", "cluster"), ("systolic", "random_gemms"), ("area", "synthesis_blocks")):
        content = b"\n".join((DATA / kind / f"{file}.csv").read_bytes().splitlines()[:_ROWS]) + b"\n"
        table.append(Reader(f"reference, {kind}", ("validate", kind, "r.csv"), "r.csv", (content,), _TABLE, {}))
    return tuple(table)


def _mutate_override(rng: Random, data: bytes) -> bytes:
    """Another field, or a hostile value for a field."""
    field, _, value = data.partition(b"=")
    hostile = str(rng.choice(mutators.HOSTILE)).encode("utf-8", "replace")
    return rng.choice((field + b"=" + hostile, hostile + b"=" + value, field + b"." + hostile + b"=" + value, field + hostile))


def _mutate_result(rng: Random, data: bytes) -> bytes:
    """Another chip in a result, which a timeline runs again."""
    content = json.loads(data)
    content["accelerator"] = mutators.mutate_yaml(rng, content["accelerator"].encode()).decode("utf-8", "replace")
    return json.dumps(content).encode()


@cache
def _result() -> bytes:
    run = simulate(load_accelerator("mcu-16x16"), load_trace(find_trace("tiny_vit_int8")))
    return run.to_json().encode()


@cache
def _store() -> bytes:
    """A store with all points of the sweep, which only have to be read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_bytes(_STORED_SWEEP)
        sweep = load_sweep(str(path))
        technology = load_technology(sweep.technology)
        with open_store(path.with_suffix(".sqlite")) as store:
            run_sweep(sweep, store, InProcess(technology), technology)
        content = bytearray(path.with_suffix(".sqlite").read_bytes())
    content[18:20] = 1, 1  # of the header: a journal in place of a write-ahead log, which would be a second file
    return bytes(content)


def _layer_arrays(text: str, floats: bool = False) -> dict[str, npt.NDArray[Any]]:
    """The streams of a layer in a format; with `floats` its codebook as a training leaves it."""
    trace = compress("tiny_vit_float", text).record
    layer = next(item for item in trace.weighted_layers() if ".mlp." in item.name)
    arrays = {f"{layer.name}/{stream}": values for stream, values in trace.arrays(layer.name).items()}
    return {name: values.astype(np.float32) / 3 if floats and name.endswith("codebook") else values for name, values in arrays.items()}


def _arrays(text: str) -> bytes:
    out = io.BytesIO()
    np.savez(out, **_layer_arrays(text))
    return out.getvalue()


def _network_inputs() -> tuple[bytes, ...]:
    """Images of a network: one of floats, two of integers, one that lies column by column."""
    shape = load_trace(find_trace("tiny_vit_ssvq")).manifest.inputs[0].shape.dims
    rng = np.random.default_rng(0)
    floats = rng.standard_normal(shape)
    found = []
    for array in (floats.astype(np.float32), np.stack([floats, -floats]), np.asfortranarray(floats)):
        out = io.BytesIO()
        np.save(out, array)
        found.append(out.getvalue())
    return tuple(found)


def _quantized_folders() -> Iterator[Reader]:
    """Folders whose weights are quantized, each scheme by its tensors and by its settings."""
    words = ("import", "m", "-o", "out", "--bind", "tokens=3")
    for name, (settings, writer) in _SCHEMES.items():
        with tempfile.TemporaryDirectory() as folder:
            write_quantized(Path(folder), settings, writer)
            config, stored = (Path(folder, file).read_bytes() for file in ("config.json", "model.safetensors"))
        yield Reader(f"tensors, {name}", words, "m/model.safetensors", (stored,), (mutators.mutate_safetensors,), {"m/config.json": config})
        yield Reader(f"settings, {name}", words, "m/config.json", (config,), _JSON, {"m/model.safetensors": stored})


@cache
def _imported_result() -> bytes:
    """The result of a network that came from the first ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(_onnx_files()[0])
        return simulate(load_accelerator("mcu-16x16"), compress(import_model(str(path)), "uniform:bits=8").record).to_json().encode()


def _onnx_files() -> tuple[bytes, ...]:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((8, 4), np.float32)
    kernel = rng.standard_normal((6, 3, 3, 3), np.float32)
    linear = onnx_models.make(
        [
            onnx_models.node("MatMul", ["x", "w"], ["a"]),
            onnx_models.node("Relu", ["a"], ["b"]),
            onnx_models.node("Softmax", ["b"], ["y"], axis=-1),
        ],
        (1, 5, 8),
        {"w": weight},
    )
    convolution = onnx_models.make(
        [
            onnx_models.node("Conv", ["x", "k"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
            onnx_models.node("Relu", ["a"], ["b"]),
            onnx_models.node("GlobalAveragePool", ["b"], ["c"]),
            onnx_models.node("Flatten", ["c"], ["y"]),
        ],
        (1, 3, 8, 8),
        {"k": kernel},
    )
    return linear.SerializeToString(), convolution.SerializeToString()


def _programs() -> tuple[bytes, ...]:
    """Exported by a process of its own: what PyTorch holds afterwards would be copied at each fork."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("numbers.pt2", "texts.pt2")]
        subprocess.run(
            [sys.executable, "-m", "tests.fuzz.programs", *map(str, paths)], check=True, cwd=DATA.parents[2], capture_output=True
        )
        return tuple(path.read_bytes() for path in paths)


def _gguf() -> bytes:
    sizes = Sizes(blocks=1, feed_forward=256, vocabulary=32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        write_gguf(path, sizes, random_tensors(sizes, {"": "Q4_0"}))
        return path.read_bytes()
