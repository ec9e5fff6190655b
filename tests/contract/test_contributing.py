"""CONTRIBUTING's table is true: for each row a member is added by the one file that the row names, and is used."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.compression.open_trace import open_trace
from accelsim.cost.area import area_of
from accelsim.cost.technology import load_technology
from accelsim.errors import ReferenceDataError
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace
from accelsim.validate.systolic import validate_systolic
from tests import toy_format
from tests.added_members import added_member

ROOT = Path(__file__).parents[2]


def rows() -> dict[str, str]:
    """The rows of the table: member -> the file to write."""
    table = re.findall(r"^\| (an? [^|]+?) \| ([^|]+?) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    return dict(table)


PROVED = {
    "a compression format": "test_a_compression_format_is_one_file",
    "an operation of the vector unit": "test_an_operation_is_one_file",
    "a dataflow's cycle rule": "test_a_dataflow_is_one_file",
    "a DRAM device": "test_a_dram_device_is_one_file",
    "a technology": "test_a_technology_is_one_file",
    "a format that can be fine-tuned": "test_a_format_that_can_be_fine_tuned_is_one_more_file",
    "a family of pictures": "test_a_family_of_pictures_is_one_file_and_a_line",
    "an accelerator, a sweep": "test_an_accelerator_and_a_sweep_are_one_file_each",
    "an inner loop that runs once per cycle": "test_inner_loops_of_the_core_and_the_memory_have_slow_twins",
}


def test_every_row_of_the_table_has_its_test() -> None:
    assert rows().keys() == PROVED.keys()
    assert all(name in globals() for name in PROVED.values())


def test_a_compression_format_is_one_file(tmp_path: Path) -> None:
    """Blocks of tiny ViT with a scale per 32 weights: a run pays for them; `--functional` needs bits, which only an encoder makes."""
    run = ["run", "edge-32x32", "tiny_vit_float@toy", "--json"]
    with added_member("accelsim.formats", tmp_path, "toy", toy_format.SOURCE):
        blocks = [layer.weight for layer in open_trace("tiny_vit_float@toy").weighted_layers() if layer.weight.format.kind == "toy"]
        listed = CliRunner().invoke(app, ["list", "formats"])
        timed = CliRunner().invoke(app, run)
        refused = CliRunner().invoke(app, [*run, "--functional"])
    assert "toy" in listed.stdout
    assert timed.exit_code == 0, timed.output
    layers = json.loads(timed.stdout)["result"]["frames"][0]["layers"]
    moved = sum(item["bits"] for layer in layers for item in layer["traffic"] if item["operand"] == "side_data")
    assert moved == sum(16 * -(-weight.k // 32) * weight.n for weight in blocks) > 0
    assert refused.exit_code == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "unknown encoder 'toy'" in refused.stderr
    assert CliRunner().invoke(app, run).exit_code == 2


DATAFLOW = '''
    """One PE column at a time: a toy whose folds take exactly their steps."""

    from accelsim.dataflows.dataflow import Dataflow, SpatialMap
    from accelsim.dataflows.weight_stationary import WeightStationary

    KIND = "one_step"


    class OneStep(Dataflow):
        """Weights stay; a fold takes as many cycles as rows of activations pass."""

        kind = KIND
        short_name = "one"
        stationary = "weights"
        spatial = SpatialMap(rows="K", cols="N", time="M")
        outer = "N"
        decodes = True
        physical = WeightStationary.physical

        def scale_sim_fold_cycles(self, array, fold):
            """The steps, and nothing else."""
            return fold.steps


    SPEC = OneStep
'''


def test_a_dataflow_is_one_file(tmp_path: Path) -> None:
    """GEMM 10 x 8 by 8 x 4 on a 4x4 array: 2 folds along K, 1 along N, 10 steps each; the total is the last cycle's number, 19."""
    table = tmp_path / "rows.csv"
    table.write_text("dataflow,rows,cols,m,n,k,total_cycles\none,4,4,10,4,8,19\none_step,4,4,10,4,8,19\n")
    with added_member("accelsim.dataflows", tmp_path, "one_step", DATAFLOW):
        assert validate_systolic(table).ok
        assert "one_step" in CliRunner().invoke(app, ["list", "dataflows"]).stdout
    with pytest.raises(ReferenceDataError, match="'one' is not allowed"):
        validate_systolic(table)


def test_a_dram_device_is_one_file(tmp_path: Path) -> None:
    """A copy of a device is as fast as the device; one with half the memory clock is slower, and no faster than its bus allows."""
    fields = yaml.safe_load((built_in().configs / "dram" / "lpddr4-3200-x16.yaml").read_text(encoding="utf-8"))
    trace = open_trace("tiny_vit_int8")

    def cycles(device: str) -> int:
        return simulate(load_accelerator("edge-64x64-x16", [f"dram.device={device}"]), trace).total_cycles

    found = {}
    for name, t_ck_fs in (("mine", 625_000), ("half", 1_250_000)):
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump({**fields, "name": name, "t_ck_fs": t_ck_fs}), encoding="utf-8")
        found[name] = cycles(str(file))
    assert found["mine"] == cycles("lpddr4-3200-x16") < found["half"]
    bus_bytes = simulate(load_accelerator("edge-64x64-x16"), trace).bus_bytes
    assert found["half"] >= bus_bytes / 3.2  # 16 pins at 1.6 Gb/s are 3.2 bytes per cycle of 1 GHz


def test_a_technology_is_one_file(tmp_path: Path) -> None:
    """Gates of twice the size take twice the logic area, and macros stay as they are."""
    text = (built_in().configs / "technology" / "range28.yaml").read_text(encoding="utf-8")
    assert text.count("{value: 0.311, low: 0.29, high: 0.5,") == 1
    text = text.replace("{value: 0.311, low: 0.29, high: 0.5,", "{value: 0.622, low: 0.58, high: 1.0,").replace(
        "name: range28", "name: wide28"
    )
    (tmp_path / "wide28.yaml").write_text(text, encoding="utf-8")
    chip = load_accelerator("edge-64x64")
    before, after = (area_of(chip, load_technology(name)) for name in ("range28", str(tmp_path / "wide28.yaml")))
    assert after.technology == "wide28"
    assert after.of_kind("logic").nominal == pytest.approx(2 * before.of_kind("logic").nominal, rel=1e-12)
    assert after.of_kind("memory") == before.of_kind("memory")


CUBE = '''
    """The cube of each element."""

    from typing import Literal

    from accelsim.ops.operation import VectorLayer

    KIND = "cube"


    class CubeLayer(VectorLayer):
        """x^3."""

        pass_name = "cube"
        default_passes = 2
        fusable = True

        op: Literal["cube"] = "cube"

        def evaluate(self, operands, constants):
            return operands[0] ** 3


    SPEC = CubeLayer
    EXAMPLES = ()
'''
USE = """
import importlib, json, sys
sys.path.insert(0, {root!r})
import accelsim.ops
accelsim.ops.__path__.append({folder!r})
from accelsim.simulation import simulate
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace
from tests.tiny_machines import Net, tiny_accelerator
net = Net(3, 4)
net.same("cube", net.gemm("x", 8))
chip = tiny_accelerator(vector_unit={{"lanes": 1, "passes": {{"cube": 5}}}})
print([layer.vector_cycles for layer in simulate(chip, net.trace()).layers])
"""


def test_an_operation_is_one_file(tmp_path: Path) -> None:
    """In a process of its own, since records of chips and traces are built when they are imported: 3 rows x 8 elements x 5 passes."""
    (tmp_path / "cube.py").write_text(dedent(CUBE), encoding="utf-8")
    program = USE.format(root=str(ROOT), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[24, 120]", done.stderr


CONTRACT = """
import sys
sys.path.insert(0, {root!r})
import accelsim.ops
accelsim.ops.__path__.append({folder!r})
import pytest
raise SystemExit(pytest.main(["-q", "-p", "no:cacheprovider", "tests/contract/test_operations.py", "-k", "second_norm"]))
"""
IMPORT = """
import accelsim.ops
accelsim.ops.__path__.append({folder!r})
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from accelsim.importers.import_model import import_model
weights = [numpy_helper.from_array(np.eye(8, dtype=np.float32), "w"), numpy_helper.from_array(np.ones(8, np.float32), "g")]
nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("SecondNorm", ["h", "g"], ["y"], domain="com.example")]
ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [3, 8])] for name in "xy"]
sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
model = helper.make_model(helper.make_graph(nodes, "net", *ends, weights), opset_imports=sets)
open({file!r}, "wb").write(model.SerializeToString())
print([layer.op for layer in import_model({file!r}).layers])
"""


def test_rmsnorm_is_one_file_and_its_tests_appear(tmp_path: Path) -> None:
    """Its own source, under another name: the contract tests find it and pass, and an ONNX file that names it imports."""
    source = (ROOT / "accelsim" / "ops" / "rmsnorm.py").read_text(encoding="utf-8")
    source = source.replace('"rmsnorm"', '"second_norm"').replace('"RMSNormalization"', '"com.example.SecondNorm"')
    source = re.sub(r'^ +"(SimplifiedLayerNormalization|com\.microsoft\..*|aten\..*)": \{\},\n', "", source, flags=re.MULTILINE)
    (tmp_path / "second_norm.py").write_text(source, encoding="utf-8")

    def run(program: str) -> str:
        text = program.format(root=str(ROOT), folder=str(tmp_path), file=str(tmp_path / "net.onnx"))
        done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run(CONTRACT).count(".") >= 16  # eight tests of each of its two examples
    assert run(IMPORT).strip() == "['gemm', 'second_norm']"


def test_an_accelerator_and_a_sweep_are_one_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by name on the search path: a chip with one lane, which takes longer, and a sweep over two chips."""
    chip = yaml.safe_load((built_in().configs / "accelerators" / "edge-32x32.yaml").read_text(encoding="utf-8"))
    chip = {**chip, "name": "narrow", "vector_unit": {**chip["vector_unit"], "lanes": 1}}
    points = {"name": "both", "base": {"trace": "tiny_vit_int8"}, "axes": {"accelerator": ["edge-32x32", "narrow"]}}
    for folder, fields in (("accelerators", chip), ("sweeps", points)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{fields['name']}.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    monkeypatch.setenv("ACCELSIM_PATH", str(tmp_path))
    trace = open_trace("tiny_vit_int8")
    assert simulate(load_accelerator("narrow"), trace).total_cycles > simulate(load_accelerator("edge-32x32"), trace).total_cycles
    counted = CliRunner().invoke(app, ["sweep", "both", "--dry-run"])
    assert counted.exit_code == 0, counted.output
    assert "2 points" in counted.output


PICTURE = '''
    """MACs of each layer, as bars."""

    from accelsim.report.plots.picture import picture


    def plot_mac_counts(ax, result):
        """One bar per layer."""
        macs = [layer.macs for layer in result.layers]
        ax.bar(range(len(macs)), macs)
        ax.set_ylabel("MACs")


    def mac_counts_picture(result):
        """The picture of a run."""
        return picture("mac_counts", "MACs by layer", 40, lambda ax: plot_mac_counts(ax, result))
'''


def test_a_family_of_pictures_is_one_file_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that `run_pictures` returns is written by `run -o` and shown by the page, which know nothing of it."""
    from accelsim.report.plots import pictures

    energy_pictures = pictures.energy_pictures
    (tmp_path / "plots").mkdir()
    out, page = tmp_path / "run", tmp_path / "page.html"
    with added_member("accelsim.report.plots", tmp_path / "plots", "mac_counts", PICTURE):
        family = importlib.import_module("accelsim.report.plots.mac_counts")
        monkeypatch.setattr(pictures, "energy_pictures", lambda runs: [*energy_pictures(runs), family.mac_counts_picture(runs[0].result)])
        ran = CliRunner().invoke(app, ["run", "edge-32x32", "tiny_vit_int8", "-o", str(out), "-q"])
        shown = CliRunner().invoke(app, ["report", str(out), "-o", str(page), "-q"])
    assert (ran.exit_code, shown.exit_code) == (0, 0), ran.output + shown.output
    assert (out / "mac_counts.svg").is_file()
    assert (out / "mac_counts.png").is_file()
    assert "Mac counts" in page.read_text(encoding="utf-8")


FORMAT_TO_TUNE = {
    "accelsim.formats": '''
        """Uniform integers under another name."""

        from typing import Literal

        from accelsim.formats.uniform import UniformFormat

        KIND = "mine"
        EXAMPLES = ("mine:bits=4",)


        class MineFormat(UniformFormat):
            """Streams of `uniform`."""

            kind: Literal["mine"] = "mine"


        SPEC = MineFormat
    ''',
    "accelsim.compression": '''
        """Its encoder."""

        from accelsim.compression.uniform import encode as encode

        KIND = "mine"
    ''',
    "accelsim.finetune.quantizers": '''
        """Its quantizer."""

        from accelsim.finetune.quantizers.uniform import UniformQuantizer

        KIND = "mine"


        class MineQuantizer(UniformQuantizer):
            """The float weights learn."""


        QUANTIZER = MineQuantizer
    ''',
}


@pytest.mark.torch
def test_a_format_that_can_be_fine_tuned_is_one_more_file(tmp_path: Path) -> None:
    """Prepared, trained for an epoch and exported; its twin `uniform` ends with the same integers."""
    torch = pytest.importorskip("torch")
    from accelsim.finetune import Settings, export, finetune, prepare

    def tuned(kind: str) -> dict[str, np.ndarray]:
        torch.manual_seed(3)
        model = prepare(torch.nn.Sequential(torch.nn.Linear(12, 8)), f"{kind}:bits=4", layers="*")
        finetune(model, torch.randn(16, 12), torch.arange(16) % 8, settings=Settings(epochs=1, batch=16))
        export(model, torch.zeros(1, 12), out=tmp_path / f"{kind}_trace")
        trace = load_trace(tmp_path / f"{kind}_trace")
        (layer,) = trace.weighted_layers()
        assert layer.weight.format.kind == kind
        return dict(trace.arrays(layer.name))

    with ExitStack() as stack:
        for package, source in FORMAT_TO_TUNE.items():
            (folder := tmp_path / package).mkdir()
            stack.enter_context(added_member(package, folder, "mine", source))
        mine = tuned("mine")
    uniform = tuned("uniform")
    assert mine.keys() == uniform.keys()
    assert all(np.array_equal(mine[name], uniform[name]) for name in mine)


def test_inner_loops_of_the_core_and_the_memory_have_slow_twins() -> None:
    """A loop is no member of a registry: its row asks for a twin beside the tests, which shares no code with the kernels."""
    twins = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("naive_*.py")}
    assert twins.keys() >= {"naive_core", "naive_decode", "naive_dma", "naive_dram", "naive_drains"}
    assert not [name for name, text in twins.items() if "accelsim.kernels" in text]
