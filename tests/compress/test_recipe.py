"""Recipe files: which layer takes which format, and one clear message for everything else that a file may say."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.open_trace import in_format
from accelsim.compression.recipe import MatrixShape, Recipe, Rule, load_recipe, make_recipe
from accelsim.errors import AccelsimError, FormatError, TraceError
from accelsim.formats.catalog import describe_format, parse_format
from accelsim.ops.weight_record import StreamRecord
from accelsim.simulation import simulate
from accelsim.trace.layers import GemmLayer, LoopBounds, TensorShape, WeightRecord
from accelsim.trace.manifest import CheckpointSource, Manifest, ModelInput
from accelsim.trace.trace import Trace, load_trace, with_payload
from tests.tiny_convnets import ConvNet

TRACES = Path(__file__).parents[2] / "traces"
GOOD = """
rules:
  - {layers: "*.attention.*", format: "uniform:bits=4"}
  - {layers: "*.fc1", format: "vecq:bits=3"}
rest: "uniform:bits=6"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_layer_takes_the_format_of_the_first_rule_that_names_it(tmp_path: Path) -> None:
    packed, report = compress_trace(load_trace(TRACES / "tiny_vit_float"), load_recipe(written(tmp_path, GOOD)))
    formats = {layer.name: describe_format(layer.weight.format) for layer in packed.weighted_layers()}
    assert formats["vit.layers.1.attention.q_proj"] == "uniform:bits=4"
    assert formats["vit.layers.0.mlp.fc1"] == "vecq:bits=3"
    assert formats["vit.layers.0.mlp.fc2"] == formats["classifier"] == "uniform:bits=6"
    # 8 attention matrices of 48 x 48 and two fc1 of 48 x 96 are named, the rest is not among the compressed ones
    assert report.compressed.weights == 8 * 48 * 48 + 2 * 48 * 96
    assert report.compressed.paper_bits == 8 * 48 * 48 * 4 + 2 * 48 * 96 * 3


def test_what_no_rule_names_is_int8_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, 'rules: [{layers: "*.fc1", format: "vecq:bits=3"}]'))
    assert describe_format(recipe.format_of("classifier")) == "uniform"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: []", "field `rules`"),
        ("rest: uniform", "field `rules`"),
        ("rules: 3", "field `rules`"),
        ("- a", "must be a mapping"),
        ("rules: [{layers: a}]", r"field `rules.0.format`"),
        ("rules: [{layers: a, format: uniform, bits: 3}]", r"field `rules.0.bits`: unknown field"),
        ("rules: [{layers: a, format: unifrom}]", r"recipe.yaml: field `rules.0.format`: unknown format 'unifrom'.*did you mean 'uniform'"),
        ("rules: [{layers: a, format: uniform}]\nrest: 'vq:k=4'", r"field `rest`: .*'d' is missing"),
        ("rules: [{layers: yes, format: uniform}]", r"rules.0.*truth value"),
        ("rules: [{layers: '', format: uniform}]", r"rules.0.layers"),
        ("rules: [{layers: [a], format: uniform}]", r"rules.0.layers"),
    ],
)
def test_a_wrong_file_is_one_message_with_its_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AccelsimError, match=message):
        load_recipe(written(tmp_path, text))
    with pytest.raises(AccelsimError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")


def test_a_pattern_that_decides_about_nothing_is_an_error(tmp_path: Path) -> None:
    trace, spec = load_trace(TRACES / "tiny_vit_float"), parse_format("uniform:bits=4")
    with pytest.raises(FormatError, match=r"'\*\.fc3' matches no layer with weights; layers: 'vit\.embeddings"):
        compress_trace(trace, make_recipe("uniform:bits=4", "*.fc3"), tmp_path / "t")
    shadowed = Recipe((Rule("*.mlp.*", spec), Rule("*.fc1", spec), Rule("*", spec)))
    with pytest.raises(FormatError, match=r"'\*\.fc1' decides about no layer: earlier rules"):
        compress_trace(trace, shadowed, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_a_last_rule_with_a_pattern_names_its_layers_as_the_others_do() -> None:
    fine, coarse = parse_format("uniform:bits=4"), parse_format("vecq:bits=3")
    _, report = compress_trace(load_trace(TRACES / "tiny_vit_float"), Recipe((Rule("vit.*", fine), Rule("class*", coarse))))
    assert report.compressed.weights == report.total.weights == 46_560


def test_a_seed_that_no_manifest_holds_is_one_message() -> None:
    for seed in (-1, 1 << 63):
        with pytest.raises(FormatError, match=rf"seed has value {seed}; allowed: 0 to 9,223,372,036,854,775,807"):
            make_recipe("uniform", seed=seed)


def test_a_shape_that_does_not_fit_is_told_before_any_layer_is_encoded() -> None:
    seen: list[str] = []
    recipe = Recipe((Rule("classifier", parse_format("ssvq:k=4,d=3")), Rule("*", parse_format("uniform"))))
    with pytest.raises(FormatError, match=r"layer 'classifier': ssvq: d=3 does not divide N=10"):
        compress_trace(load_trace(TRACES / "tiny_vit_float"), recipe, progress=lambda phase, done, of: seen.append(phase))
    assert seen == []


def test_a_place_that_cannot_be_written_is_told_before_any_layer_is_encoded(tmp_path: Path) -> None:
    seen: list[str] = []

    def compress(out: Path, trace: Trace) -> None:
        compress_trace(trace, make_recipe("uniform"), out, progress=lambda phase, done, of: seen.append(phase))

    source = tmp_path / "float"
    shutil.copytree(TRACES / "tiny_vit_float", source)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(TraceError, match=r"notes: holds files that are not a trace \['diary\.txt'\]"):
        compress(tmp_path / "notes", load_trace(source))
    with pytest.raises(TraceError, match="holds the float trace 'tiny_vit_float', whose weights would be lost"):
        compress(tmp_path / "notes" / ".." / "float", load_trace(source))
    universal = make_recipe("universal_vq:k=4,d=8")
    with pytest.raises(TraceError, match="holds the float trace 'tiny_vit_float', whose weights would be lost"):
        compress_trace(ConvNet(4, 6, 6).conv(8).trace("float32"), universal, source, companions=[load_trace(source)])
    assert seen == []
    assert load_trace(source).manifest == load_trace(TRACES / "tiny_vit_float").manifest


def test_an_empty_pattern_is_no_default() -> None:
    with pytest.raises(FormatError, match="the pattern '' matches no layer"):
        compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe("vq:k=4,d=4", ""))


def test_weights_that_are_not_finite_are_one_message_with_the_layer(tmp_path: Path) -> None:
    for bad in (np.nan, np.inf):
        data = np.frombuffer(np.full(32, bad, "<f4").tobytes(), np.uint8)
        layer = GemmLayer(
            name="fc",
            inputs=("x",),
            output=TensorShape(rows=1, width=8),
            bounds=LoopBounds(K=8, C=4),
            weight=WeightRecord(format=parse_format("float32"), k=4, n=8, streams={"weights": StreamRecord.of("w", 32 * 32, data)}),
        )
        source = CheckpointSource(file="m.safetensors", sha256="0" * 64)
        inputs = (ModelInput(name="x", shape=TensorShape(rows=1, width=4)),)
        trace = with_payload(Manifest(name="bad", source=source, inputs=inputs, outputs=("fc",), layers=(layer,)), {"w": data})
        with pytest.raises(FormatError, match=r"trace 'bad', layer 'fc': .*NaN or an infinity"):
            compress_trace(trace, make_recipe("uniform"), tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_more_codewords_than_subvectors_are_one_message_with_the_layer_before_anything_is_encoded() -> None:
    seen: list[str] = []
    rules = (Rule("*.fc1", parse_format("vq:k=4,d=8")), Rule("*.1.attention.o_proj", parse_format("vq:k=500,d=8")))
    with pytest.raises(FormatError, match=r"layer 'vit\.layers\.1\.attention\.o_proj': k=500 codewords for 288 subvectors"):
        compress_trace(
            load_trace(TRACES / "tiny_vit_float"),
            Recipe((*rules, Rule("*", parse_format("uniform")))),
            progress=lambda phase, done, of: seen.append(phase),
        )
    assert seen == []


def test_codewords_that_would_cross_the_groups_of_a_convolution_are_refused_before_anything_is_encoded() -> None:
    net = ConvNet(4, 6, 6).conv(8, 3, groups=4).trace("float32")
    with pytest.raises(FormatError, match=r"codewords of d=4 outputs cross its 4 groups of 2; allowed: a divisor of 2"):
        compress_trace(net, make_recipe("vq:k=4,d=4", "*"))
    packed, _ = compress_trace(net, make_recipe("vq:k=4,d=2", "*"))
    assert {layer.weight.format.kind for layer in packed.weighted_layers()} == {"vq"}


def coded(trace: Trace) -> list[str]:
    return [layer.name for layer in trace.weighted_layers() if layer.weight.format.kind == "ssvq"]


def test_the_usual_recipe_leaves_layers_that_the_format_does_not_fit_at_8_bits_and_names_them() -> None:
    net = ConvNet(8, 6, 6).conv(16).conv(16, groups=16).conv(16, 1).conv(12).conv(16).head(8).trace("float32")
    spec = "ssvq:k=4,d=8"
    names = [layer.name for layer in net.weighted_layers()]
    misfits = [names[1], names[3]]  # 16 groups of one output, which codewords would cross; and 12 outputs, which 8 do not divide
    packed, _ = compress_trace(net, make_recipe(spec))
    assert coded(packed) == [names[2], names[4]]  # without numbered blocks the first and the last keep 8 bits as well
    rules = packed.manifest.compression.rules if packed.manifest.compression else ()
    assert rules == (*((name, "uniform") for name in (names[0], names[5], *misfits)), ("?*", spec), ("*", "uniform"))
    assert packed.manifest.notes == (f"2 of 4 layers keep 8 bits, since {spec} does not fit them: {', '.join(misfits)}",)
    shapes = in_format(net, make_recipe(spec), "shapes")
    assert coded(shapes) == coded(packed)
    assert packed.manifest.notes[0] in simulate(load_accelerator("edge-64x64"), shapes).warnings
    assert packed.name == f"{net.name}_ssvq"
    with pytest.raises(FormatError, match="codewords of d=8 outputs cross its 16 groups of 1"):
        compress_trace(net, make_recipe(spec, "*"))


def test_the_usual_recipe_of_a_network_with_numbered_blocks_is_that_of_the_papers() -> None:
    recipe = make_recipe("ssvq:k=16,d=8")
    layers = load_trace(TRACES / "tiny_vit_float").weighted_layers()
    assert [
        (rule.pattern, describe_format(rule.format)) for rule in recipe.settled([[MatrixShape.of(layer) for layer in layers]]).rules
    ] == [
        ("*.[0-9]*.*", "ssvq:k=16,d=8"),
        ("*", "uniform"),
    ]


def test_a_network_of_two_layers_is_coded_whole() -> None:
    net = ConvNet(8, 4, 4).conv(16).head(16).trace("float32")
    assert len(coded(compress_trace(net, make_recipe("ssvq:k=4,d=8"))[0])) == 2


def settled(text: str, *shapes: tuple[int, int]) -> Recipe:
    """A usual recipe for layers 'fc0', 'fc1', ... of these shapes."""
    return make_recipe(text).settled([[MatrixShape(f"fc{place}", k, n) for place, (k, n) in enumerate(shapes)]])


def test_a_format_that_fits_some_layers_leaves_the_others_at_8_bits_and_names_them() -> None:
    recipe = settled("ssvq:k=16,d=8", (64, 64), (64, 64), (8, 8), (64, 12), (64, 64))
    kinds = {f"fc{place}": recipe.format_of(f"fc{place}").kind for place in range(5)}
    assert kinds == {"fc0": "uniform", "fc1": "ssvq", "fc2": "uniform", "fc3": "uniform", "fc4": "uniform"}
    assert recipe.notes == ("2 of 3 layers keep 8 bits, since ssvq:k=16,d=8 does not fit them: fc2, fc3",)


def test_a_format_that_fits_only_the_first_or_the_last_layer_is_used_there() -> None:
    # 8 x 24 has 24 subvectors of 8, as the input of a GRU of width 8; 8 x 8 has 8, fewer than 16 codewords
    recipe = settled("ssvq:k=16,d=8", (8, 24), (8, 8), (8, 8), (8, 5))
    assert recipe.format_of("fc0").kind == "ssvq"
    assert {recipe.format_of(f"fc{place}").kind for place in (1, 2, 3)} == {"uniform"}
    assert recipe.notes == (
        "3 of 4 layers keep 8 bits, since ssvq:k=16,d=8 does not fit them: fc1, fc2, fc3",
        "ssvq:k=16,d=8 fits only layers that usually keep 8 bits, and is used there: fc0",
    )


def test_a_format_that_fits_no_layer_is_refused() -> None:
    with pytest.raises(FormatError, match=r"layer 'fc1': k=16 codewords for 8 subvectors; .*; no layer fits"):
        settled("ssvq:k=16,d=8", (8, 8), (8, 8), (8, 8))
