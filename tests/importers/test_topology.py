"""SCALE-Sim's topology tables become traces of independent layers, sized as that tool sizes them; its .cfg becomes overrides."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles
from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from accelsim.importers.scale_sim_config import read_scale_sim_config
from accelsim.simulation import simulate
from accelsim.trace.layers import ConvLayer, WeightedLayer
from accelsim.trace.trace import Trace, load_trace

REFERENCE = Path(__file__).parent.parent / "validation" / "data" / "systolic" / "deit_tiny_layers.csv"
KINDS = {"os": "output_stationary", "ws": "weight_stationary", "is": "input_stationary"}
CONV_HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
GEMM_HEADER = "Layer, M, N, K,"


def table(tmp_path: Path, *lines: str, end: str = "\n", name: str = "net.csv") -> str:
    path = tmp_path / name
    path.write_bytes(end.join(lines).encode())
    return str(path)


def layers(trace: Trace) -> list[tuple[str, str, int, int, int, int]]:
    return [(layer.name, layer.op, layer.m, layer.k, layer.n, layer.macs) for layer in trace.weighted_layers()]


def test_a_gemm_table_becomes_one_gemm_a_row(tmp_path: Path) -> None:
    trace = import_model(table(tmp_path, GEMM_HEADER, "qkv, 197, 576, 192,", "head,1,1000,192"), seed=1)
    assert layers(trace) == [("qkv", "gemm", 197, 192, 576, 197 * 192 * 576), ("head", "gemm", 1, 192, 1000, 192_000)]
    assert (trace.name, trace.has_payload, trace.manifest.source.kind) == ("net", False, "seeded")
    assert trace.manifest.outputs == ("qkv", "head")


def test_each_layer_reads_a_model_input_of_its_own_and_the_manifest_says_so(tmp_path: Path) -> None:
    trace = import_model(table(tmp_path, GEMM_HEADER, "a,2,3,4", "b,2,4,3"), seed=1)
    assert [layer.inputs for layer in trace.layers] == [("a.input",), ("b.input",)]
    assert [(source.name, source.shape.dims) for source in trace.manifest.inputs] == [("a.input", (1, 2, 4)), ("b.input", (1, 2, 3))]
    assert "independent" in trace.manifest.notes[0]


def test_a_convolution_is_sized_by_its_windows(tmp_path: Path) -> None:
    trace = import_model(table(tmp_path, CONV_HEADER, "Conv3, 28, 14, 3, 1, 64, 128, 1,", "FC, 1, 1, 1, 1, 512, 1000, 1,"), seed=1)
    # 28 x 14 under windows of 3 x 1: 26 x 14 positions, each of 3 * 1 * 64 products for 128 filters.
    assert layers(trace) == [
        ("Conv3", "conv2d", 26 * 14, 192, 128, 26 * 14 * 192 * 128),
        ("FC", "conv2d", 1, 512, 1000, 512_000),
    ]
    assert len(trace.manifest.notes) == 1


def test_a_last_window_past_the_image_is_counted_and_named(tmp_path: Path) -> None:
    trace = import_model(table(tmp_path, CONV_HEADER, "Conv1, 224, 224, 7, 7, 3, 64, 2,"), seed=1)
    (layer,) = trace.layers
    # ceil((224 - 7) / 2) + 1 = 110 positions a side; the last window ends at 109 * 2 + 7 = 225.
    assert isinstance(layer, ConvLayer)
    assert (layer.bounds.OY, layer.bounds.OX, layer.image) == (110, 110, (225, 225))
    assert "Conv1 (224 x 224 to 225 x 225)" in trace.manifest.notes[1]


def test_dp_in_a_name_is_depthwise(tmp_path: Path) -> None:
    rows = ("Conv2_DP, 30, 30, 3, 3, 32, 1, 1,", "DPmulti, 5, 5, 3, 3, 4, 2, 1,", "Depthwise, 5, 5, 3, 3, 4, 1, 1,")
    trace = import_model(table(tmp_path, CONV_HEADER, *rows), seed=1)
    assert layers(trace) == [
        ("Conv2_DP", "depthwise_conv2d", 784, 9, 1, 784 * 9 * 32),  # one filter a channel
        ("DPmulti", "conv2d", 9, 9, 2, 9 * 9 * 2 * 4),  # two filters a channel, in 4 groups
        ("Depthwise", "conv2d", 9, 36, 1, 9 * 36),  # not by that name
    ]
    assert [layer.bounds.G for layer in trace.weighted_layers()] == [32, 4, 1]


def test_line_ends_commas_headers_and_comments_do_not_matter(tmp_path: Path) -> None:
    plain = layers(import_model(table(tmp_path, GEMM_HEADER, "a,2,3,4", "b,5,6,7", ""), seed=1))
    for index, lines in enumerate(
        [
            ("anything", "a,2,3,4,", "b,5,6,7,"),
            ("K ,m,LAYER,n,what,not", "4, 2 , a, 3", "", " , ,", "7,5,b,6,# the last"),
            ("Layer\tM\tN\tK", "a\t2\t3\t4", "\t", "b\t5\t6\t7\t"),
            ("what; M; N; K", "a;2;3;4", "b;5;6;7;"),
            ("\ufeffLayer,M,N,K", "a,2,3,4,1:1", "b,5,6,7,,,,"),
            ("a,2,3,4", "b,5,6,7"),  # no header at all
        ]
    ):
        for end in ("\n", "\r\n", "\r"):
            assert (index, layers(import_model(table(tmp_path, *lines, end=end), seed=1))) == (index, plain)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_header_decides_the_columns_of_a_gemm(order: tuple[int, ...], tmp_path: Path) -> None:
    columns, cells = GEMM_HEADER.strip(",").split(","), ["a", "2", "3", "4"]
    lines = (",".join(text[place] for place in order) for text in (columns, cells))
    assert layers(import_model(table(tmp_path, *lines), seed=1)) == [("a", "gemm", 2, 4, 3, 24)]


def test_the_header_decides_the_columns_of_a_convolution(tmp_path: Path) -> None:
    header = "Num Filter, Stride Width, Filter H, Filter W, Name, Channels, Batch, IFMAP Width, IFMAP Height, Strides"
    (layer,) = import_model(table(tmp_path, header, "8, 2, 3, 1, c, 4, 1, 9, 5, 1"), seed=1).layers
    assert isinstance(layer, ConvLayer)
    assert (layer.image, layer.strides, layer.bounds.FY, layer.bounds.FX, layer.bounds.C, layer.bounds.K) == ((5, 9), (1, 2), 3, 1, 4, 8)


def test_headings_and_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    rows = ("Vision part,", "c1, 8, 8, 3, 3, 4, 8, 1,,,6", "Language part", GEMM_HEADER, "a,2,3,4")
    trace = import_model(table(tmp_path, f"{CONV_HEADER},,Eh", *rows), seed=1)
    assert layers(trace) == [("c1", "conv2d", 36, 36, 8, 36 * 36 * 8), ("a", "gemm", 2, 4, 3, 24)]
    assert trace.manifest.notes[1].endswith("not read: Vision part, Language part")
    assert trace.manifest.notes[2] == "columns that are not read: Eh"


def test_a_table_without_a_header_says_so(tmp_path: Path) -> None:
    assert "no header" in import_model(table(tmp_path, "a,2,3,4"), seed=1).manifest.notes[1]


def test_a_second_stride_is_that_along_the_width(tmp_path: Path) -> None:
    trace = import_model(table(tmp_path, CONV_HEADER, "c, 9, 9, 3, 3, 1, 1, 2, 3, 1:1"), seed=1)
    (layer,) = trace.layers
    assert isinstance(layer, ConvLayer)
    assert (layer.strides, layer.bounds.OY, layer.bounds.OX) == ((2, 3), 4, 3)


def test_sparsity_is_not_modelled_and_the_layers_are_named(tmp_path: Path) -> None:
    trace = import_model(table(tmp_path, GEMM_HEADER, "a,2,3,4,2:4", "b,2,3,4,4:4"), seed=1)
    assert trace.manifest.notes[1].endswith("dense here: a (2:4)")


def test_equal_names_are_numbered(tmp_path: Path) -> None:
    trace = import_model(table(tmp_path, GEMM_HEADER, "a,1,1,1", "a,1,1,1", "a.input,1,1,1"), seed=1)
    assert len({layer.name for layer in trace.layers} | {source.name for source in trace.manifest.inputs}) == 6


def test_the_layers_of_a_table_take_the_cycles_of_the_systolic_reference(tmp_path: Path) -> None:
    with REFERENCE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [f"{row['layer']},{row['m']},{row['n']},{row['k']}," for row in rows]
    trace = import_model(table(tmp_path, GEMM_HEADER, *lines), seed=1)
    for row, layer in zip(rows, trace.weighted_layers(), strict=True):
        array = SystolicArray(int(row["rows"]), int(row["cols"]))
        result = gemm_cycles(KINDS[row["dataflow"]], array, layer.m, layer.k, layer.n, "scale_sim")
        assert result.total_cycles == int(row["total_cycles"])


def test_a_table_is_saved_compressed_and_run(tmp_path: Path) -> None:
    source = table(tmp_path, CONV_HEADER, "Conv1, 9, 9, 3, 3, 3, 16, 2,", "Conv2DP, 6, 6, 3, 3, 16, 1, 1,", "FC, 1, 1, 1, 1, 64, 10, 1,")
    trace = import_model(source, tmp_path / "net", seed=1)
    assert load_trace(tmp_path / "net").manifest == trace.manifest
    assert trace.name == "net"
    packed, _ = compress_trace(trace, make_recipe("uniform:bits=8"))
    result = simulate(load_accelerator("edge-32x32"), packed)
    assert [layer.name for layer in result.layers] == ["Conv1", "Conv2DP", "FC"]
    weighted = [layer for layer in packed.layers if isinstance(layer, WeightedLayer)]
    assert sum(layer.macs for layer in result.layers) == sum(layer.macs for layer in weighted)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "holds no layers"),
        ((GEMM_HEADER,), "holds no layers"),
        ((GEMM_HEADER, "a,2,x,4"), "line 2, column N: 'x' is not allowed; allowed: an integer from 1"),
        ((GEMM_HEADER, "a,2,0,4"), "line 2, column N: '0' is not allowed"),
        ((GEMM_HEADER, "", f"a,2,3,{'9' * 5000}"), "line 3, column K: '99999"),
        ((GEMM_HEADER, "a,2,3"), "line 2: has 3 cells; allowed: Layer, M, N, K"),
        ((GEMM_HEADER, ",2,3,4"), "line 2, column Layer: '' is not allowed; allowed: a name"),
        ((GEMM_HEADER, "a,2,3,4,8"), "line 2: '8' after the sizes"),
        ((GEMM_HEADER, "a,16777216,2,16777216"), "line 2: .* elements; allowed: at most"),
        ((GEMM_HEADER, f"{'a' * 300},2,3,4"), "line 2: layer 'aaa.* at most 256"),
        ((CONV_HEADER, "c,9,9,3,3,1,1,1", "d,2,3,4"), "line 3: has 4 cells; allowed: Layer name, IFMAP Height"),
        ((CONV_HEADER, "c,9,9,3,3,1,1"), "line 2: has 7 cells; allowed: Layer name, IFMAP Height"),
        ((CONV_HEADER, "c,9,2,3,3,1,1,1"), r"line 2, column Filter Width: 3 is not allowed; allowed: 1\.\.2, the image"),
        ((CONV_HEADER, "c,9,9,3,3,1,1,-1"), "line 2, column Strides: '-1' is not allowed"),
        ((CONV_HEADER, "c,9,9,3,3,1,1,1,x"), "line 2: 'x' after the sizes is not allowed; allowed: nothing, or a ratio n:m"),
        ((f"{CONV_HEADER} Batch Size", "c,9,9,3,3,1,1,1,4"), "line 2, column Batch Size: 4 .*; allowed: 1 .* --batch 4"),
        (("Layer, M, K, Batch", "a,2,3,4"), "line 1: columns N are missing; allowed: Layer, M, N, K, in any order"),
        (("Layer, M, N, K, M", "a,2,3,4,5"), "line 1: column 'M' is given twice"),
        ((CONV_HEADER, "Vision part", "a,b", "c,9,9,3,3,1,1,1"), "line 3: has 2 cells; allowed: Layer name, IFMAP Height"),
        ((GEMM_HEADER, *["a,1,1,1"] * 4097), "holds 4097 layers; allowed: at most 4096"),
    ],
)
def test_a_table_that_cannot_be_used_says_where_and_what_is_allowed(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(ImportModelError, match=message) as caught:
        import_model(table(tmp_path, *lines), seed=1)
    assert "\n" not in str(caught.value)


def test_a_table_without_a_seed_or_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match="give a seed"):
        import_model(table(tmp_path, GEMM_HEADER, "a,1,1,1"))
    with pytest.raises(ImportModelError, match="cannot be read"):
        import_model(str(tmp_path / "none.csv"), seed=1)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ImportModelError, match="cannot be read"):
        import_model(str(tmp_path / "binary.csv"), seed=1)


CFG = """[general]
run_name = example

[architecture_presets]
ArrayHeight:    16
ArrayWidth:     64
IfmapSramSzkB:   256
FilterSramSzkB:  96
OfmapSramSzkB:   128
IfmapOffset:    0
Bandwidth : 10
Dataflow : os

[run_presets]
InterfaceBandwidth: CALC
"""


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scale.cfg"
    path.write_text(text)
    return path


def test_a_configuration_sets_array_buffers_and_dataflow_and_names_what_it_leaves(tmp_path: Path) -> None:
    read = read_scale_sim_config(config(tmp_path, CFG))
    chip = load_accelerator("edge-32x32", read.overrides)
    assert (chip.array.rows, chip.array.cols) == (16, 64)
    assert (chip.weight_buffer.capacity, chip.activation_buffer.capacity) == (96 * 1024, (256 + 128) * 1024)
    assert read.dataflow == "output_stationary"
    assert [warning.split(" = ")[0] for warning in read.warnings] == [
        "[architecture_presets] ifmapoffset",
        "[architecture_presets] bandwidth",
        "[run_presets] interfacebandwidth",
    ]


def test_a_configuration_may_leave_things_out(tmp_path: Path) -> None:
    read = read_scale_sim_config(config(tmp_path, "[architecture_presets]\nArrayHeight = 8\n"))
    assert (read.overrides, read.dataflow, read.warnings) == (("array.rows=8",), "", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"section \[architecture_presets\] is missing"),
        ("[architecture_preset]\n", "the file has: .'architecture_preset'"),
        ("no section\n", "is not a configuration"),
        ("[architecture_presets]\nArrayHeight = 0\n", r"\[architecture_presets\] ArrayHeight = '0' is not allowed; allowed: an integer"),
        ("[architecture_presets]\nArrayHeight = 1.5\n", "ArrayHeight = '1.5' is not allowed"),
        ("[architecture_presets]\nArrayHeight = 1\nArrayHeight = 2\n", "is not a configuration"),
        ("[architecture_presets]\nDataflow = rs\n", "Dataflow = 'rs' is not allowed; allowed: os, ws, is"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ImportModelError, match=message):
        read_scale_sim_config(config(tmp_path, text))


def test_a_configuration_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match="cannot be read"):
        read_scale_sim_config(tmp_path / "none.cfg")
