"""A researcher's own codebooks, indices and signs become a trace bit for bit; what does not fit is named."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.lib.format as npy
import pytest
from safetensors.numpy import save_file

import accelsim
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.recipe import make_recipe
from accelsim.errors import AccelsimError
from accelsim.formats.catalog import parse_format
from accelsim.trace.trace import load_trace
from tests.random_weights import random_arrays
from tests.zip_bombs import add_bomb

SOURCE = "tiny_vit_float"
LAYERS = [layer.name for layer in accelsim.load_trace(SOURCE).record.weighted_layers() if ".mlp." in layer.name]
FORMATS = ["ssvq:k=16,d=8", "ssvq:k=16,d=4,axis=1", "vq:k=32,d=8", "masked_vq:k=16,d=8,keep=2,of=4", "int_group:bits=4,group=16,zero=1",
           "palette:bits=4", "aqlm:books=2,bits=4,d=4", "uniform:bits=3", "vecq:bits=4", "universal_vq:k=32,d=8"]  # fmt: skip


def given(text: str, names: list[str] = LAYERS) -> dict[str, dict[str, np.ndarray]]:
    """Random arrays of some layers; a universal codebook is one."""
    spec = parse_format(text)
    found: dict[str, dict[str, np.ndarray]] = {}
    for layer in accelsim.load_trace(SOURCE).record.weighted_layers():
        if layer.name in names:
            arrays = random_arrays(spec, layer.weight.k, layer.weight.n, np.random.default_rng(len(found)))
            if spec.codebook_scope == "shared" and found:
                arrays["codebook"] = found[next(iter(found))]["codebook"]
            found[layer.name] = arrays
    return found


@pytest.mark.parametrize("text", FORMATS)
def test_every_array_is_packed_bit_for_bit(text: str) -> None:
    arrays = given(text)
    trace = accelsim.compress(SOURCE, text, arrays=arrays).record
    for name, streams in arrays.items():
        stored = trace.arrays(name)
        assert set(stored) == set(streams)
        for stream, values in streams.items():
            np.testing.assert_array_equal(stored[stream], values, f"{name}/{stream}")
    formats = {layer.name: layer.weight.format for layer in trace.weighted_layers()}
    assert {name for name, spec in formats.items() if spec == parse_format(text)} == set(arrays)
    assert {spec for name, spec in formats.items() if name not in arrays} == {parse_format("uniform")}
    assert any(note.startswith(f"arrays of {len(arrays)} layers were given: {LAYERS[0]}") for note in trace.manifest.notes)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_holds_arrays_by_layer_and_stream(suffix: str, tmp_path: Path) -> None:
    arrays = given("ssvq:k=16,d=8")
    flat = {f"{layer}/{stream}": np.ascontiguousarray(values) for layer, streams in arrays.items() for stream, values in streams.items()}
    file = tmp_path / f"mine{suffix}"
    np.savez_compressed(file, **flat) if suffix == ".npz" else save_file(flat, file)
    made = accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=file, out=tmp_path / "out")
    np.testing.assert_array_equal(load_trace(tmp_path / "out").arrays(LAYERS[0])["indices"], arrays[LAYERS[0]]["indices"])
    encoded = accelsim.compress(SOURCE, {"*.mlp.*": "ssvq:k=16,d=8"})
    assert accelsim.simulate("edge-32x32", made).cycles == accelsim.simulate("edge-32x32", encoded).cycles


def test_a_codebook_of_floats_becomes_integers_with_one_scale_and_its_error_is_told() -> None:
    arrays = given("ssvq:k=16,d=8", LAYERS[:1])
    centroids = np.abs(np.random.default_rng(3).normal(size=(16, 8))).astype(np.float32)
    arrays[LAYERS[0]] |= {"codebook": centroids}
    del arrays[LAYERS[0]]["scales"]
    made = accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=arrays)
    stored = made.record.arrays(LAYERS[0])
    meant = stored["codebook"] * stored["scales"].astype(np.float64)
    assert np.abs(meant - centroids).max() <= centroids.max() / 127 / 2 * (1 + 1e-6)
    error = np.sqrt(np.square(meant - centroids).mean() / np.square(centroids.astype(np.float64)).mean())
    assert any(f"float codebooks of 1 are rounded by up to {error:.2%}" in note for note in made.record.manifest.notes)
    assert made.record.manifest.metrics["codebook_error"] == pytest.approx(error, rel=1e-6)


def test_a_recipe_may_give_each_layer_a_format_of_its_own() -> None:
    arrays = given("ssvq:k=16,d=8", LAYERS[:1]) | given("vq:k=32,d=8", LAYERS[1:2])
    made = accelsim.compress(SOURCE, {LAYERS[0]: "ssvq:k=16,d=8", LAYERS[1]: "vq:k=32,d=8"}, arrays=arrays)
    np.testing.assert_array_equal(made.record.arrays(LAYERS[1])["indices"], arrays[LAYERS[1]]["indices"])


def test_other_layers_take_a_universal_codebook_that_is_given() -> None:
    spec = "universal_vq:k=32,d=8"
    arrays = given(spec, LAYERS[:1])
    made = accelsim.compress(SOURCE, {"*.mlp.*": spec}, arrays=arrays)
    np.testing.assert_array_equal(made.record.arrays(LAYERS[1])["codebook"], arrays[LAYERS[0]]["codebook"])


def test_errors_of_given_arrays_are_not_measured_against_weights_of_a_seed() -> None:
    arrays = given("ssvq:k=16,d=8")
    trace, report = compress_trace(accelsim.load_trace(SOURCE).record, make_recipe("ssvq:k=16,d=8", "*.mlp.*"), given=arrays)
    assert {row.relative_mse for row in report.layers if row.name in arrays} == {0.0}
    assert all(row.relative_mse > 0 for row in report.layers if row.name not in arrays)
    assert any("their errors are not measured" in note for note in trace.manifest.notes)


def change(name: str, **streams: Any) -> dict[str, dict[str, np.ndarray]]:
    arrays = given("ssvq:k=16,d=8", [name])
    arrays[name] |= streams
    return {name: {stream: values for stream, values in arrays[name].items() if values is not None}}


FIRST = LAYERS[0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mlp.fc9": {}}, "arrays are given for 'mlp.fc9', which is no layer with weights"),
        (change(FIRST, signs=None), "ssvq needs the streams .*signs.*, but these were given"),
        (change(FIRST, indices=np.zeros((3, 3), np.int64)), r"ssvq stream 'indices': shape \(3, 3\) does not match"),
        (change(FIRST, codebook=-np.ones((16, 8), np.int8)), "element -1 is negative; allowed: magnitudes 0..127"),
        (change(FIRST, codebook=np.full((16, 8), np.nan)), "'codebook': holds NaN, an infinity or nothing"),
        ({FIRST: {"indices": [1, 2]}}, "is of type list; allowed: a NumPy array"),
        ([1], r"arrays: \[1\] is of type list; allowed: a mapping"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: Any, message: str) -> None:
    with pytest.raises(AccelsimError, match=message):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=arrays)


def test_two_universal_codebooks_are_refused() -> None:
    arrays = given("universal_vq:k=32,d=8")
    arrays[LAYERS[1]]["codebook"] = arrays[LAYERS[1]]["codebook"] ^ 1
    with pytest.raises(AccelsimError, match="its codebook of 'universal_vq:k=32,d=8' differs from that of a layer before"):
        accelsim.compress(SOURCE, "universal_vq:k=32,d=8", arrays=arrays)


def test_without_a_payload_given_arrays_would_be_lost() -> None:
    with pytest.raises(AccelsimError, match="without its payload they would be lost"):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=given("ssvq:k=16,d=8"), payload=False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npz", b"PK\x03\x04 no archive", "is not a complete .npz file of numbers"),
        ("a.npz", b"", "is not a complete .npz file of numbers"),
        ("a.safetensors", b"\xff" * 16, "is not a complete .safetensors file of numbers"),
        ("a.npy", b"", "arrays of layers are read from a .npz or .safetensors file"),
        ("absent.npz", None, "no such file"),
    ],
)
def test_a_file_that_is_none_is_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AccelsimError, match=message):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=tmp_path / name)


def test_objects_and_names_without_a_layer_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", **{"a/b": np.array([{}], object)})
    with pytest.raises(AccelsimError, match=r"objects\.npz: a/b\.npy holds Python objects \(object\); allowed: numbers"):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=tmp_path / "objects.npz")
    np.savez(tmp_path / "flat.npz", indices=np.zeros(3))
    with pytest.raises(AccelsimError, match="an array is named 'indices'; allowed: LAYER/STREAM"):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=tmp_path / "flat.npz")


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    bomb = add_bomb(tmp_path / "bomb.npz", "blocks.0/indices.npy")
    with pytest.raises(AccelsimError, match=r"bomb\.npz: its 1 entries unpack to 314,572,800 bytes; allowed: 2\d\d,\d{3},\d{3}"):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=bomb)


@pytest.mark.parametrize(("told", "held"), [((1 << 40,), 8), ((1 << 62, 1 << 62), 8), ((2, 2), 8), ((2, 2), 0), ((0,), 8)])
def test_a_header_that_tells_another_size_is_refused(told: tuple[int, ...], held: int, tmp_path: Path) -> None:
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": told})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("blocks.0/indices.npy", header.getvalue() + bytes(held))
    with pytest.raises(AccelsimError, match=rf"indices\.npy has {held} bytes, but its header tells {math.prod(told):,} \(shape \["):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=tmp_path / "a.npz")


@pytest.mark.parametrize("damage", ["encrypted", "lzma"])
def test_an_archive_that_cannot_be_unpacked_is_refused(damage: str, tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    method = zipfile.ZIP_LZMA if damage == "lzma" else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("blocks.0/indices.npy", bytes(range(256)) * 4)
    content = bytearray(file.read_bytes())
    if damage == "lzma":
        content[80:120] = bytes(40)  # within the packed data
    else:
        content[6] |= 1  # the flag, in the entry's header and in the directory
        content[content.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    with pytest.raises(AccelsimError, match=r"a\.npz: is not a complete \.npz file of numbers"):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=file)


@pytest.mark.parametrize("kind", ["V4", "S4", "complex64", "bool"])
@pytest.mark.parametrize("floats", [False, True])
def test_scales_that_are_no_numbers_are_refused(kind: str, floats: bool) -> None:
    arrays = given("ssvq:k=16,d=8")
    streams = arrays[LAYERS[0]]
    streams["scales"] = np.zeros(streams["scales"].shape, kind)
    if floats:
        streams["codebook"] = streams["codebook"].astype(np.float32)
    with pytest.raises(AccelsimError, match=r"ssvq stream 'scales': dtype .* is no type of numbers"):
        accelsim.compress(SOURCE, "ssvq:k=16,d=8", arrays=arrays)
