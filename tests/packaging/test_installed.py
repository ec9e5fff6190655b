"""The installed wheel, in an empty folder: the README's commands on the newest Python here, a run and the data on each.

All commands on every Python would take minutes more, most of them for compiling kernels. What can differ between Pythons is whether
the dependencies install, whether Numba compiles and whether the data are found, and that is asked of each.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.accelerator import load_accelerator
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace
from tests.packaging.environment import ROOT, Installed
from tests.page_commands import commands, python_blocks, quoted_commands
from tests.tiny_decoders import Sizes, random_tensors, write_gguf

pytestmark = pytest.mark.wheel
README = ROOT / "README.md"
RUN = ("run", "edge-64x64", "deit_tiny_int8", "-q")
LISTS = ("formats", "presets", "traces", "references")
# Figures that the README reports as misses: a check that failed is exit status 1.
MISSES = ("validate outside published", "validate area published", "validate silicon measured")
SHORTER = {"sweep when_does_3x_hold --plot": "--limit 12", "sweep decode_map --plot": "--limit 2"}  # of 210 and 225 points


@cache
def checkout(*words: str) -> str:
    """What the checkout prints."""
    return subprocess.run([sys.executable, "-m", "accelsim", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_run_gives_the_figures_of_the_checkout_and_leaves_the_folder_empty(installed: Installed) -> None:
    done = installed.run("accelsim", *RUN)
    assert (done.returncode, done.stdout, done.stderr) == (0, checkout(*RUN), "")
    assert list(installed.folder.iterdir()) == []


def test_the_names_of_the_checkout_are_there(installed: Installed) -> None:
    for what in LISTS:
        assert installed.run("accelsim", "list", what).stdout == checkout("list", what)


def test_reference_figures_are_found_by_name(installed: Installed) -> None:
    done = installed.run("accelsim", "validate", "core", "core_cycles", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("core_cycles.csv: 399 of 399 figures inside their tolerance\n")


def test_the_python_of_the_front_page_runs(installed: Installed, tmp_path: Path) -> None:
    for block in python_blocks(README):
        done = installed.run("python", "-c", block, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_every_command_of_the_front_page_runs_on_the_newest_python(environments: Mapping[str, Installed], tmp_path: Path) -> None:
    onnx.save(two_products(), tmp_path / "MODEL.onnx")
    sizes = Sizes(context=128)
    write_gguf(tmp_path / "MODEL.gguf", sizes, random_tensors(sizes, {"": "Q4_K", "output": "Q6_K"}))
    lines = list(dict.fromkeys([*commands(README), *quoted_commands(README)]))
    assert {"demo", *MISSES, *SHORTER} <= set(lines)
    newest = list(environments.values())[-1]
    for line in lines:
        done = newest.run("accelsim", *shlex.split(f"{line} {SHORTER.get(line, '')}"), folder=tmp_path)
        assert done.returncode == int(line in MISSES), f"accelsim {line}: {done.stdout}{done.stderr}"
        assert "Warning" not in done.stderr, f"accelsim {line}: {done.stderr}"
    demonstrated = json.loads((tmp_path / "out" / "demo" / "demo.json").read_text())["cells"]
    found = {cell["preset"]: (cell["baseline_cycles"], cell["other_cycles"]) for cell in demonstrated if cell["map"] == "presets"}
    networks = [load_trace(built_in().traces / name) for name in ("deit_tiny_int8", "deit_tiny_ssvq_k16d8")]
    chips = [load_accelerator(str(path)) for path in built_in().entries("accelerators").values()]
    assert found == {chip.name: tuple(simulate(chip, network).total_cycles for network in networks) for chip in chips}


def two_products() -> onnx.ModelProto:
    """A network of two layers, to be imported."""
    random = np.random.default_rng(1)
    weights = [numpy_helper.from_array(random.standard_normal((64, 64), np.float32), f"w{index}") for index in range(2)]
    names = ("x", "blocks.0.fc", "blocks.1.fc")
    nodes = [helper.make_node("MatMul", [names[index], f"w{index}"], [names[index + 1]]) for index in range(2)]
    source, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 64]) for name in (names[0], names[-1]))
    return helper.make_model(helper.make_graph(nodes, "two_products", [source], [result], weights), ir_version=10)
