"""Output of every command: tables for a person, JSON for a program, one line when it is to be quiet, plain text on a pipe."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.presets import find_trace
from accelsim.trace.trace import load_trace
from accelsim.validate.silicon_rows import COLUMNS
from tests.processes import HANG_S, start_group, wait_until_busy, wait_until_started

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "validation" / "data"
HEAVY = ("numba", "numpy", "simpy", "matplotlib", "torch", "rich", "yaml")
NO_QUIET = ("list", "describe", "schema")  # printing is all that they do


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and subcommand with the words that call it."""
    if not isinstance(command, TyperGroup):
        yield words, command
        return
    for name, inner in command.commands.items():
        yield from leaves(inner, (*words, name))


COMMANDS = dict(leaves(get_command(app)))


def write_model(path: Path) -> None:
    """A product and a softmax as an ONNX file."""
    weights = numpy_helper.from_array(np.ones((16, 32), np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"], name="fc"), helper.make_node("Softmax", ["a"], ["y"], name="soft")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4, width)) for name, width in (("x", 16), ("y", 32))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weights])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved run, a small request trace, a table of layers, measured times and a small sweep."""
    made = tmp_path_factory.mktemp("made")
    done = CliRunner().invoke(app, ["run", "edge-32x32", "tiny_vit_ssvq", "-q", "-o", str(made / "run")])
    assert done.exit_code == 0, done.output
    write_model(made / "net.onnx")
    for words in (
        ["import", str(made / "net.onnx"), "-o", str(made / "net")],
        ["run", "edge-32x32", f"{made}/net@uniform:bits=8", "-o", str(made / "onnx")],
    ):
        done = CliRunner().invoke(app, [*words, "-q"])
        assert done.exit_code == 0, done.output
    (made / "memory.txt").write_text("0 R 0x0\n4 R 0x40\n90 W 0x1000\n")
    (made / "net.csv").write_text("Layer, M, N, K,\nfc, 8, 16, 32,\n")
    (made / "measured.csv").write_text("network,milliseconds\ntiny_vit_ssvq,0.012\ntiny_vit_int8,0.02\n")
    (made / "silicon.csv").write_text(f"{','.join(COLUMNS)}\nApple M6,,64x64_1x1_convolution_1x1_input,int8,,latency,1,ms,context\n")
    weighted = load_trace(find_trace("tiny_vit_float")).weighted_layers()
    errors = [f'{layer.name},"{text}",1\n' for layer in weighted for text in ("uniform", "uniform:bits=4", "vq:k=64,d=4")]
    (made / "errors.csv").write_text("layer,format,error\n" + "".join(errors))
    (made / "small.yaml").write_text(
        "name: small\nbase: {accelerator: edge-32x32, trace: tiny_vit_ssvq}\n"
        "axes: {codebook.ports: [1, 2]}\nconstraints: ['codebook.ports < 3']\n"
    )
    return made


# A call of each command; {made} is the folder above, {new} a name that is free.
CALLS: dict[tuple[str, ...], str] = {
    ("run",): "edge-32x32 tiny_vit_ssvq --what-if",
    ("compare",): "edge-32x32:tiny_vit_int8 tiny_vit_ssvq +codebook.ports=4:",
    ("formats",): "edge-32x32 tiny_vit_int8 tiny_vit_ssvq",
    ("choose",): "edge-32x32 tiny_vit_float --format uniform:bits=4 --format vq:k=64,d=4 --errors {made}/errors.csv",
    ("overlay",): "{made}/onnx {made}/net.onnx -o {new}",
    ("timeline",): "{made}/run -o {new}.json.gz",
    ("report",): "{made}/run -o {new}.html",
    ("sweep",): "{made}/small.yaml --store {new}.sqlite --workers 1",
    ("import",): "{made}/net.csv -o {new} --seed 1",
    ("compress",): "tiny_vit_float --format uniform:bits=8 -o {new}",
    ("inspect",): "tiny_vit_ssvq",
    ("area",): "edge-32x32",
    ("ablation",): "edge-32x32 tiny_vit_ssvq tiny_vit_int8",
    ("calibrate",): "edge-32x32 {made}/measured.csv --fit clock -o {new}.yaml",
    ("list",): "formats",
    ("describe",): "codebook",
    ("schema",): "sweep",
    ("doctor",): "",
    ("new", "accelerator"): "-o {new}.yaml",
    ("study", "mvq"): "mobilenet_v1:depth=0.5,resolution=32",
    ("validate", "cluster"): f"{DATA}/cluster/cluster.csv",
    ("validate", "core"): f"{DATA}/core/core_cycles.csv",
    ("validate", "area"): f"{DATA}/area/published.csv",
    ("validate", "outside"): f"{DATA}/outside/published.csv",
    ("validate", "silicon"): "{made}/silicon.csv",
    ("dram", "replay"): "{made}/memory.txt --device lpddr4-3200-x16",
}
LONG = {("demo",), ("validate", "dram"), ("validate", "systolic")}  # minutes; ("demo",) is run by `make demo`


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lines of progress, which a sweep prints every ten seconds: on a busy machine even a small one takes so long."""
    monkeypatch.setattr("accelsim.cli.sweeps.PLAIN_SECONDS", float("inf"))


def call(words: tuple[str, ...], made: Path, new: Path, *more: str) -> Any:
    line = CALLS[words].format(made=made, new=new).split()
    done = CliRunner().invoke(app, [*words, *line, *more], prog_name="accelsim")
    assert done.exit_code in ((0, 1) if words[0] == "validate" else (0,)), done.output  # 1: a figure outside its tolerance
    return done


def test_every_command_is_called_here() -> None:
    assert set(CALLS) | LONG == set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_can_print_json_or_be_quiet(words: tuple[str, ...]) -> None:
    options = {option for parameter in COMMANDS[words].params for option in parameter.opts}
    assert "--json" in options
    assert {"--quiet", "-q"} <= options or words[0] in NO_QUIET


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_json_is_all_that_is_printed(words: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    done = call(words, folder, tmp_path / "new", "--json")
    assert json.loads(done.stdout) is not None
    assert done.stderr == ""


@pytest.mark.parametrize("words", [words for words in CALLS if words[0] not in NO_QUIET], ids=" ".join)
def test_a_quiet_command_prints_a_line_or_nothing(words: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    done = call(words, folder, tmp_path / "new", "--quiet")
    assert done.stdout.count("\n") <= 1
    assert done.stderr == ""


@pytest.mark.parametrize("words", [words for words in CALLS if words != ("schema",)], ids=" ".join)  # JSON has no columns
def test_text_on_a_pipe_is_plain_and_fits_80_columns(words: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    done = call(words, folder, tmp_path / "new")
    wide = [line for line in done.stdout.splitlines() if len(line) > 80 and str(tmp_path) not in line]
    assert wide == []
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("words", [words for words in CALLS if words != ("schema",)], ids=" ".join)
def test_all_that_is_printed_for_latex_is_tables_and_comments(words: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    line = CALLS[words].format(made=folder, new=tmp_path / "new").split()
    done = CliRunner().invoke(app, ["--tables", "latex", *words, *line], prog_name="accelsim")
    assert done.exit_code in (0, 1), done.output
    assert done.stdout
    outside = re.sub(r"\\begin\{table\}.*?\\end\{table\}", "", done.stdout, flags=re.DOTALL)
    assert [text for text in outside.splitlines() if text.strip() and not text.startswith("%")] == []


@pytest.mark.parametrize("words", [(), *COMMANDS, ("validate",), ("dram",)], ids=" ".join)
def test_help_fits_80_columns(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*words, "--help"], prog_name="accelsim")
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_no_help_imports_what_a_command_needs() -> None:
    code = (
        "import sys, typer.testing, accelsim.cli\n"
        f"for words in {[list(words) for words in COMMANDS]}:\n"
        "    assert typer.testing.CliRunner().invoke(accelsim.cli.app, [*words, '--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", [("run", "edge-32x32", "tiny_vit_ssvq"), ("inspect", "tiny_vit_ssvq"), ("area", "edge-32x32")], ids=" ".join
)
def test_a_terminal_without_unicode_gets_text_too(command: tuple[str, ...]) -> None:
    plain = {**os.environ, "LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", "accelsim", *command], env=plain, capture_output=True, cwd=ROOT, check=True)
    assert done.stdout.decode("ascii")
    assert done.stderr == b""


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
def test_a_stream_that_the_shell_closed_is_no_error(closing: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m accelsim list formats {closing}"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_of_a_run_who_leaves_ends_it_quietly() -> None:
    command = f"{sys.executable} -m accelsim run edge-32x32 tiny_vit_ssvq | head -n 1 > /dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) in ((141, ""), (0, ""))  # 0: all was written before head closed


def without_notice(said: str) -> str:
    """Without the lines in which the demo says what it is about to simulate, and how far it is."""
    return "".join(
        line for line in said.splitlines(keepends=True) if "two networks on" not in line and not re.search(r": \d+ of \d+$", line)
    )


@pytest.mark.parametrize(
    "words", ["run edge-32x32 deit_tiny_int8 --frames 200 -o {new}", "demo -o {new}"], ids=lambda words: words.split()[0]
)
def test_an_interrupted_command_says_so_in_one_line_and_leaves_nothing(words: str, tmp_path: Path) -> None:
    process = start_group([sys.executable, "-m", "accelsim", *words.format(new=tmp_path / "new").split()], ROOT)
    wait_until_busy(process, 3.0)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=HANG_S)
    assert (process.returncode, without_notice(said)) == (130, "accelsim: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_that_meets_a_class_being_made_ends_with_status_130(tmp_path: Path) -> None:
    """Dataclasses and numba run text by `exec`, of which CPython remembers that it was interrupted, also when that was answered."""
    (tmp_path / "interrupted.py").write_text(
        "import sys, accelsim.cli\n"
        "from accelsim.__main__ import main\n"
        "def app(**_):\n"
        "    try:\n"
        "        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n"
        "accelsim.cli.app = app\n"
        "main()\n"
    )
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, "-m", "interrupted"], capture_output=True, text=True, check=False, env=paths, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("wait", [0.0, 0.2, 1.0])
def test_a_demo_interrupted_while_its_processes_start_says_so_in_one_line(wait: float, tmp_path: Path) -> None:
    two_cores = "import os; os.cpu_count = lambda: 2; from accelsim.cli import main; main()"
    process = start_group([sys.executable, "-c", two_cores, "demo", "-o", str(tmp_path / "new")], ROOT)
    wait_until_started(process, "multiprocessing.spawn")
    time.sleep(wait)  # the interpreters start, then they import; wherever the signal finds them, they say nothing
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=HANG_S)
    assert (process.returncode, without_notice(said)) == (130, "accelsim: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_compression_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from accelsim.compression import compress_trace

    done = iter(range(3))

    def encode(*_: Any) -> Any:
        if next(done, None) is None:
            raise KeyboardInterrupt
        return whole(*_)

    whole = compress_trace.encode
    monkeypatch.setattr(compress_trace, "encode", encode)
    outcome = CliRunner().invoke(app, ["compress", "tiny_vit_float", "--format", "uniform:bits=8", "-o", str(tmp_path / "new")])
    assert (outcome.exit_code, outcome.stderr) == (130, "accelsim: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m accelsim list formats > /dev/full"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (2, "accelsim: cannot write or read: No space left on device\n")
