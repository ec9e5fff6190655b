"""Trace directories: what is written is read back, and what is wrong is one clear message."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.errors import TraceError
from accelsim.ops.weight_record import StreamRecord, bit_locator, locate_corruption
from accelsim.report.tables.trace import inspect_trace
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace, save_trace, with_metrics
from tests import naive_formats as naive

TRACES = Path(__file__).parents[2] / "traces"
SSVQ = TRACES / "tiny_vit_ssvq"


def layer_of(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(layer for layer in manifest["layers"] if layer["name"].endswith(name))


@pytest.mark.parametrize("name", sorted(path.parent.name for path in TRACES.glob("*/trace.json")))
def test_every_committed_trace_loads_and_its_payload_is_whole(name: str) -> None:
    trace = load_trace(TRACES / name)
    assert trace.name == name
    assert trace.manifest.source.kind == "seeded"
    if trace.has_payload:
        trace.verify_payload()
        for layer in trace.weighted_layers():
            assert trace.weights(layer.name).shape == (layer.k, layer.n)


def test_the_committed_deit_tiny_has_the_paper_sizes() -> None:
    for name in ("deit_tiny_float", "deit_tiny_int8", "deit_tiny_ssvq_k16d8"):
        trace = load_trace(TRACES / name)
        assert (trace.parameters, trace.macs) == (5_717_416, 1_253_683_200)
    blocks = [layer for layer in load_trace(TRACES / "deit_tiny_ssvq_k16d8").weighted_layers() if layer.weight.format.kind == "ssvq"]
    assert len(blocks) == 72
    assert sum(layer.weight.count for layer in blocks) == 5_308_416
    assert sum(layer.weight.streams[name].bits for layer in blocks for name in ("indices", "signs")) == 5_308_416 * 3 // 2


def test_constants_beside_the_weights_are_counted() -> None:
    trace = load_trace(TRACES / "deit_tiny_float")
    # gamma and beta of 25 normalizations of 192 at 4 bytes; class token and 197 positions of 192 at 1 byte
    assert sum(layer.parameter_bytes for layer in trace.layers if layer.op == "layernorm") == 25 * 2 * 192 * 4
    assert trace.layer("vit.embeddings").parameter_bytes == (1 + 197) * 192


def test_a_saved_trace_is_read_back_equal(tmp_path: Path) -> None:
    trace = load_trace(SSVQ)
    save_trace(trace, tmp_path / "copy")
    again = load_trace(tmp_path / "copy")
    assert (again.manifest, again.sha256) == (trace.manifest, trace.sha256)
    for file in ("trace.json", "tensors.safetensors"):
        assert (tmp_path / "copy" / file).read_bytes() == (SSVQ / file).read_bytes()


def test_saving_replaces_an_older_trace_and_nothing_else(tmp_path: Path) -> None:
    trace = load_trace(SSVQ)
    save_trace(load_trace(TRACES / "tiny_vit_float"), tmp_path / "t")
    save_trace(trace, tmp_path / "t")
    assert load_trace(tmp_path / "t").sha256 == trace.sha256
    (tmp_path / "t" / "thesis.tex").write_text("dear to someone")
    with pytest.raises(TraceError, match="not a trace"):
        save_trace(trace, tmp_path / "t")
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match="is a file"):
        save_trace(trace, tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "t"]  # no scratch left behind


def test_the_identity_of_a_trace_follows_its_payload(tmp_path: Path) -> None:
    assert load_trace(SSVQ).sha256 != load_trace(TRACES / "tiny_vit_int8").sha256
    manifest = json.loads((SSVQ / "trace.json").read_text())
    manifest["payload"]["sha256"] = "0" * 64
    shutil.copytree(SSVQ, tmp_path / "t")
    (tmp_path / "t" / "trace.json").write_text(json.dumps(manifest))
    changed = load_trace(tmp_path / "t")
    assert changed.sha256 != load_trace(SSVQ).sha256
    with pytest.raises(TraceError, match="SHA-256"):
        changed.verify_payload()


Damage = Callable[[dict[str, Any]], object]
HOSTILE: list[tuple[str, Damage, str]] = [
    ("unknown field of the manifest", lambda m: m.update(author="x"), "author: unknown field"),
    ("unknown field of a layer", lambda m: layer_of(m, "fc1").update(stride=1), "stride (layer 'vit.layers.0.mlp.fc1'): unknown field"),
    ("newer schema", lambda m: m.update(schema_version=2), "schema_version has value 2; allowed: 1"),
    ("schema of another type", lambda m: m.update(schema_version=True), "schema_version has value true"),
    ("no schema", lambda m: m.pop("schema_version"), "schema_version has value null"),
    ("missing field", lambda m: layer_of(m, "fc1").pop("output"), "output (layer 'vit.layers.0.mlp.fc1') is missing"),
    ("unknown op", lambda m: layer_of(m, "fc1").update(op="gem"), "did you mean 'gemm'"),
    ("shape mismatch", lambda m: layer_of(m, "fc1")["output"].update(width=97), "output is 1 x 17 x 97"),
    ("input of another shape", lambda m: m["inputs"][0]["shape"].update(rows=31), "input is 3 x 31 x 32"),
    (
        "input of nothing",
        lambda m: layer_of(m, "fc1").update(inputs=["nowhere"]),
        "'nowhere' is neither a model input nor an earlier layer",
    ),
    ("input of a later layer", lambda m: layer_of(m, "fc1").update(inputs=["classifier"]), "'classifier' is neither"),
    ("two inputs of one", lambda m: layer_of(m, "fc1")["inputs"].append("vit.embeddings"), "gemm takes 1"),
    ("no inputs", lambda m: layer_of(m, "softmax").update(inputs=[]), "softmax takes 1"),
    ("name twice", lambda m: layer_of(m, "fc1").update(name="vit.embeddings"), "the name is used twice"),
    ("output of nothing", lambda m: m.update(outputs=["classifer"]), "did you mean 'classifier'"),
    ("negative size", lambda m: layer_of(m, "fc1")["output"].update(rows=-1), "has value -1: must be at least 1"),
    ("absurd size", lambda m: layer_of(m, "fc1")["bounds"].update(K=1 << 40), "has value 1099511627776: must be at most 16,777,216"),
    ("absurd product", lambda m: m["inputs"][0]["shape"].update(rows=1 << 24, width=1 << 24), "allowed: at most"),
    ("text for a number", lambda m: layer_of(m, "fc1")["output"].update(rows="17"), "has value '17'"),
    ("odd width in bits", lambda m: layer_of(m, "fc1")["output"].update(bits=7), "has value 7"),
    ("unknown format", lambda m: layer_of(m, "fc1")["weight"]["format"].update(kind="ssqv"), "did you mean 'ssvq'"),
    (
        "format parameter",
        lambda m: layer_of(m, "fc1")["weight"]["format"].update(k=17),
        "layer 'vit.layers.0.mlp.fc1': stream 'indices' has",
    ),
    ("format that divides nothing", lambda m: layer_of(m, "fc1")["weight"]["format"].update(d=7), "d=7 does not divide N=96"),
    ("stream missing", lambda m: layer_of(m, "fc1")["weight"]["streams"].pop("signs"), "needs the streams"),
    ("streams missing", lambda m: layer_of(m, "fc1")["weight"].pop("streams"), "weight.streams is empty"),
    ("stream too short", lambda m: layer_of(m, "fc1")["weight"]["streams"]["signs"].update(bits=8), "stream 'signs' has 8 bits"),
    ("tensor missing", lambda m: layer_of(m, "fc1")["weight"]["streams"]["signs"].update(tensor="x"), "tensor 'x' is missing"),
    ("row past the end", lambda m: layer_of(m, "classifier").update(input_row=17), "input_row=17"),
    ("heads that do not fit", lambda m: layer_of(m, "matmul")["bounds"].update(G=4), "output is 3 x 17 x 17"),
    ("image that does not fit", lambda m: m["layers"][0].update(strides=[4, 8]), "OY=4, but image"),
    (
        "constants of nobody",
        lambda m: layer_of(m, "fc1").update(constants={"gamma": layer_of(m, "fc1")["weight"]["streams"]["signs"]}),
        "constants",
    ),
    ("payload outside", lambda m: m["payload"].update(file="../tensors.safetensors"), "leaves the trace directory"),
    ("payload absolute", lambda m: m["payload"].update(file="/etc/passwd"), "leaves the trace directory"),
    ("payload missing", lambda m: m["payload"].update(file="weights.safetensors"), "is missing"),
    ("payload of another size", lambda m: m["payload"].update(bytes=1000), "truncated or replaced"),
    ("payload size absurd", lambda m: m["payload"].update(bytes=1 << 60), "payload.bytes has value"),
    ("no layers", lambda m: m.update(layers=[]), "layers has value []"),
    ("layers of another type", lambda m: m.update(layers={"a": 1}), "layers has value"),
    ("unknown source", lambda m: m["source"].update(kind="seed"), "did you mean 'seeded'"),
    ("control characters in a name", lambda m: m.update(name="a\nb"), "name has value"),
]


@pytest.mark.parametrize(("damage", "message"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_a_hostile_manifest_is_one_clear_message(damage: Damage, message: str, tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    manifest = copy.deepcopy(json.loads((SSVQ / "trace.json").read_text()))
    damage(manifest)
    (tmp_path / "t" / "trace.json").write_text(json.dumps(manifest))
    with pytest.raises(TraceError) as caught:
        load_trace(tmp_path / "t")
    assert message in str(caught.value)
    assert str(tmp_path / "t") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "holds a list"),
        (b"\xff\xfe", "is not UTF-8"),
        (b'{"schema_version": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b'{"schema_version": 1, "schema_version": 1}', "'schema_version' is given twice"),
        (b'{"schema_version": 1}', "is missing"),
    ],
)
def test_a_manifest_that_is_none_is_one_clear_message(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_bytes(content)
    with pytest.raises(TraceError, match=message):
        load_trace(tmp_path)


def test_a_missing_directory_or_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere: is not a directory; allowed: a trace directory with trace\.json"):
        load_trace(tmp_path / "nowhere")
    with pytest.raises(TraceError, match=r"holds no trace\.json; allowed: a trace directory"):
        load_trace(tmp_path)
    (tmp_path / "trace.json").mkdir()
    with pytest.raises(TraceError, match=r"trace\.json: "):
        load_trace(tmp_path)


def test_a_model_that_is_not_imported_yet_is_told_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    for name in ("model.gguf", "./model.gguf", str(tmp_path / "model.gguf"), "model.gguf@step:context=3"):
        with pytest.raises(TraceError, match=r"model\.gguf: is a file; allowed: .*`accelsim import MODEL -o DIR` makes one of a model"):
            open_trace(name)


def test_a_file_hides_no_trace_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny_vit_int8").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert open_trace("tiny_vit_int8").name == "tiny_vit_int8"


def test_a_truncated_or_foreign_payload_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    file = tmp_path / "t" / "tensors.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(TraceError, match="truncated"):
        load_trace(tmp_path / "t")
    file.write_bytes(b"\xff" * len(whole))
    with pytest.raises(TraceError, match="not a whole safetensors file"):
        load_trace(tmp_path / "t")
    file.unlink()
    with pytest.raises(TraceError, match="is missing"):
        load_trace(tmp_path / "t")


def test_a_payload_of_other_types_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    file = tmp_path / "t" / "tensors.safetensors"
    file.write_bytes(safetensors.numpy.save({"x": np.zeros(3, dtype=np.float32)}))
    manifest = json.loads((SSVQ / "trace.json").read_text())
    manifest["payload"]["bytes"] = file.stat().st_size
    (tmp_path / "t" / "trace.json").write_text(json.dumps(manifest))
    with pytest.raises(TraceError, match="one-dimensional U8"):
        load_trace(tmp_path / "t")


def test_a_tensor_that_no_layer_names_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    file = tmp_path / "t" / "tensors.safetensors"
    tensors = safetensors.numpy.load_file(file)
    file.write_bytes(safetensors.numpy.save({**tensors, "classifier.sings": np.zeros(3, dtype=np.uint8)}))
    manifest = json.loads((SSVQ / "trace.json").read_text())
    manifest["payload"]["bytes"] = file.stat().st_size
    (tmp_path / "t" / "trace.json").write_text(json.dumps(manifest))
    with pytest.raises(TraceError, match=rf"tensor 'classifier.sings' is in no layer of trace.json; allowed: the {len(tensors)} tensors"):
        load_trace(tmp_path / "t")


@pytest.mark.parametrize(
    ("source", "message"), [("tiny_vit_ssvq", "names 'tensors.safetensors' alone"), ("tiny_vit_float", "names no payload")]
)
def test_a_file_of_tensors_that_the_manifest_does_not_name_is_refused(source: str, message: str, tmp_path: Path) -> None:
    shutil.copytree(TRACES / source, tmp_path / "t")
    (tmp_path / "t" / "weights.safetensors").write_bytes((SSVQ / "tensors.safetensors").read_bytes())
    with pytest.raises(TraceError, match=rf"weights.safetensors: trace.json {message}, so these tensors would not be read"):
        load_trace(tmp_path / "t")


def test_other_files_of_a_directory_are_named_and_change_no_identity(tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    (tmp_path / "t" / "notes.txt").write_text("trained on Monday")
    (tmp_path / "t" / "older").mkdir()
    trace = load_trace(tmp_path / "t")
    assert trace.unread_files == ("notes.txt", "older")
    assert trace.remarks == ("trace 'tiny_vit_ssvq': not read, as trace.json does not name them: notes.txt, older",)
    assert trace.sha256 == load_trace(SSVQ).sha256
    assert inspect_trace(trace)["unread_files"] == ["notes.txt", "older"]
    assert set(trace.remarks) <= set(simulate(load_accelerator("edge-64x64"), trace).warnings)
    assert load_trace(SSVQ).remarks == ()


def test_a_link_that_leaves_the_directory_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    file = tmp_path / "t" / "tensors.safetensors"
    shutil.move(file, tmp_path / "outside")
    file.symlink_to(tmp_path / "outside")
    with pytest.raises(TraceError, match="outside the trace directory"):
        load_trace(tmp_path / "t")


def test_asking_for_what_is_not_there_is_a_clear_message() -> None:
    trace = load_trace(SSVQ)
    with pytest.raises(TraceError, match="did you mean"):
        trace.layer("clasifier")
    with pytest.raises(TraceError, match="no stream 'sign'"):
        trace.stream("vit.layers.0.mlp.fc1", "sign")
    with pytest.raises(TraceError, match="it has no weights"):
        trace.stream("vit.layers.0.attention.softmax", "signs")
    with pytest.raises(TraceError, match="has no payload"):
        load_trace(TRACES / "tiny_vit_float").stream("classifier", "weights")
    with pytest.raises(TraceError, match="no constant"):
        trace.constant("classifier", "bias")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=64))
def test_the_bit_locator_is_the_xor_of_positions(data: bytes) -> None:
    assert bit_locator(np.frombuffer(data, dtype=np.uint8)) == naive.bit_locator(data)


def test_the_bit_locator_holds_across_chunks() -> None:
    data = np.zeros((1 << 20) + 5, dtype=np.uint8)
    data[(1 << 20) - 1], data[1 << 20] = 0x80, 0x01
    assert bit_locator(data) == (8 << 20) ^ ((8 << 20) + 1)


def reader(data: np.ndarray) -> Callable[[int, int], np.ndarray]:
    return lambda start, stop: data[start:stop]


def test_a_flipped_bit_is_located_in_any_piece_of_a_long_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.ops.weight_record._PIECE", 64)
    stream = np.random.default_rng(0).integers(0, 256, 2 * 64 + 3, np.uint8)
    record = StreamRecord.of("x", 8 * stream.size, stream)
    assert locate_corruption(record, reader(stream)) is None
    for byte in (0, 63, 64, stream.size - 1):
        stream[byte] ^= 0x20
        assert locate_corruption(record, reader(stream)) == 8 * byte + 5
        stream[byte] ^= 0x20
    for size in (64, 128, 129, 130):
        assert locate_corruption(record, reader(stream[:size])) == "several"


@settings(max_examples=60, deadline=None)
@given(data=st.binary(min_size=1, max_size=64), where=st.data())
def test_one_flipped_bit_is_located_and_more_are_several(data: bytes, where: st.DataObject) -> None:
    stream = np.frombuffer(data, dtype=np.uint8)
    record = StreamRecord.of("x", 8 * stream.size, stream)
    assert record.crc32 == zlib.crc32(data)
    assert locate_corruption(record, reader(stream)) is None
    bits = where.draw(st.lists(st.integers(0, 8 * stream.size - 1), min_size=1, max_size=3, unique=True))
    flipped = stream.copy()
    for bit in bits:
        flipped[bit // 8] ^= np.uint8(1 << bit % 8)
    assert locate_corruption(record, reader(flipped)) == (bits[0] if len(bits) == 1 else "several")
    for other in (flipped[:-1], stream[:-1], np.append(stream, np.uint8(0))):
        assert locate_corruption(record, reader(other)) == "several"


def test_one_flipped_payload_bit_is_reported_with_its_layer(tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    file = tmp_path / "t" / "tensors.safetensors"
    tensors = safetensors.numpy.load(file.read_bytes())
    tensors["vit.layers.1.mlp.fc2.signs"][100] ^= 1 << 3
    file.write_bytes(safetensors.numpy.save(tensors))
    trace, layer = load_trace(tmp_path / "t"), "vit.layers.1.mlp.fc2"
    for look in (trace.verify_payload, lambda: trace.stream(layer, "signs"), lambda: trace.arrays(layer), lambda: trace.weights(layer)):
        with pytest.raises(TraceError, match=r"layer 'vit\.layers\.1\.mlp\.fc2', stream 'signs' is corrupted: bit 803 is flipped"):
            look()
    trace.stream(layer, "indices")


def test_a_sparse_payload_beyond_the_memory_is_one_message(tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    size = 1 << 39  # sparse
    header = json.dumps({"classifier.weights": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    file, manifest = tmp_path / "t" / "tensors.safetensors", tmp_path / "t" / "trace.json"
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    with file.open("r+b") as stream:
        stream.truncate(8 + len(header) + size)
    fields = json.loads(manifest.read_text())
    fields["payload"]["bytes"] = 8 + len(header) + size
    manifest.write_text(json.dumps(fields))
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 36, 1 << 36))\n"
        "import sys\nfrom accelsim.errors import TraceError\nfrom accelsim.trace.trace import load_trace\n"
        "try:\n    load_trace(sys.argv[1])\nexcept TraceError as error:\n    sys.exit(str(error))\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path / "t")], capture_output=True, text=True, check=False)
    assert f"{file}: cannot be mapped" in found.stderr
    assert found.stderr.count("\n") == 1


def test_metrics_are_added_and_a_wrong_one_is_one_message() -> None:
    trace = load_trace(TRACES / "tiny_vit_int8")
    more = with_metrics(trace, {"top1_accuracy": 0.9})
    assert more.manifest.metrics == {**trace.manifest.metrics, "top1_accuracy": 0.9}
    assert more.manifest.layers == trace.manifest.layers
    for wrong in ({"Top 1": 0.9}, {"a": float("nan")}, {"a": float("inf")}, {"a": "0.9"}):
        with pytest.raises(TraceError, match="trace 'tiny_vit_int8': metrics"):
            with_metrics(trace, wrong)  # type: ignore[arg-type]


def test_a_manifest_with_two_mistakes_lists_both(tmp_path: Path) -> None:
    shutil.copytree(SSVQ, tmp_path / "t")
    manifest = json.loads((SSVQ / "trace.json").read_text())
    first, last = manifest["layers"][0], manifest["layers"][-1]
    first["typo"] = 1
    last["output"]["rows"] = -1
    (tmp_path / "t" / "trace.json").write_text(json.dumps(manifest))
    with pytest.raises(TraceError) as caught:
        load_trace(tmp_path / "t")
    lines = str(caught.value).split("\n")
    assert len(lines) == 2
    assert all(line.startswith(str(tmp_path)) for line in lines)
    assert first["name"] in lines[0]
    assert "typo" in lines[0]
    assert last["name"] in lines[1]
    assert "has value -1" in lines[1]


def test_a_mistake_within_a_layer_hides_none_of_another(tmp_path: Path) -> None:
    """A check over several fields of a layer ends the reading of the manifest: the others are read one by one."""
    shutil.copytree(SSVQ, tmp_path / "t")
    manifest = json.loads((SSVQ / "trace.json").read_text())
    product = next(layer for layer in manifest["layers"] if layer["op"] == "gemm")
    product["output"]["rows"] += 1
    manifest["layers"][-1]["typo"] = 1
    (tmp_path / "t" / "trace.json").write_text(json.dumps(manifest))
    with pytest.raises(TraceError) as caught:
        load_trace(tmp_path / "t")
    assert product["name"] in str(caught.value)
    assert "typo" in str(caught.value)
