"""Program files: they run no code, and need nothing imported beforehand."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from tests.zip_bombs import bombed_copy

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch


def export(network: Any, *shape: int, path: Path) -> str:
    torch.export.save(torch.export.export(network, (torch.zeros(*shape),)), path)
    return str(path)


@dataclass
class _Runs:
    """An object whose pickle makes a folder when it is read."""

    folder: str

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("entry", ["data/sample_inputs/model.pt", "data/weights/weight_0", "data/constants/opaque_obj_0"])
def test_a_program_file_runs_no_code(entry: str, tmp_path: Path) -> None:
    whole, hostile, trap = Path(export(torch.nn.Linear(8, 8), 1, 4, 8, path=tmp_path / "m.pt2")), tmp_path / "h.pt2", tmp_path / "trap"
    torch.save(_Runs(str(trap)), tmp_path / "pickled")
    pickled = (tmp_path / "pickled").read_bytes() if "obj" not in entry else pickle.dumps(_Runs(str(trap)))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(hostile, "w") as out:
        root = source.namelist()[0].split("/")[0]
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("_weights_config.json"):
                content = content.replace(b'"use_pickle": false', b'"use_pickle": true')
            if name.endswith("_constants_config.json") and "obj" in entry:
                payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
                content = json.dumps({"config": {"c": payload}}).encode()
            out.writestr(name, pickled if name == f"{root}/{entry}" else content)
        if "obj" in entry:
            out.writestr(f"{root}/{entry}", pickled)
    with pytest.raises(ImportModelError, match=r"h\.pt2: (is not a program|.*: constant 'c' is a pickled object)"):
        import_model(str(hostile), seed=0)
    assert not trap.exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of one layer."""
    return Path(export(torch.nn.Linear(8, 8), 1, 4, 8, path=tmp_path_factory.mktemp("program") / "m.pt2"))


def changed(whole: Path, copy: Path, change: Callable[[Any], object]) -> str:
    """A copy of an archive whose program's JSON is changed."""
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(copy, "w") as out:
        for name in source.namelist():
            content = source.read(name)
            if "/models/" in name:
                tree = json.loads(content)
                change(tree)
                content = json.dumps(tree).encode()
            out.writestr(name, content)
    return str(copy)


def renamed(tree: Any, old: str, new: str) -> None:
    """Replace a text wherever it is a value of a tree."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        if tree[key] == old:
            tree[key] = new
        renamed(tree[key], old, new)


def first_node(tree: Any) -> Any:
    return tree["graph_module"]["graph"]["nodes"][0]


def size_as_text(text: str) -> Callable[[Any], None]:
    def change(tree: Any) -> None:
        meta = tree["graph_module"]["graph"]["tensor_values"]["input"]
        meta["sizes"][1] = {"as_expr": {"expr_str": text, "hint": {"as_int": 4}}}

    return change


TRAP = "__import__('os').mkdir('trap')"
EVALUATED: list[tuple[str, Callable[[Any], object]]] = [
    ("field `expr_str`", size_as_text(TRAP)),
    ("field `expr_str`", size_as_text("(lambda: 4)()")),
    ("field `expr_str`", size_as_text("().__class__")),
    ("field `expr_str`", size_as_text("9**9**9**9")),
    ("field `expr_str`", size_as_text("9^9^9^9")),
    ("field `expr_str`", size_as_text("Pow(Integer(9), Pow(Integer(9), Integer(9)))")),
    ("field `expr_str`", size_as_text("LShift(1, 10000000000)")),
    ("field `guards_code`", lambda tree: tree.update(guards_code=[TRAP])),
    ("field `name`", lambda tree: renamed(tree["graph_module"]["graph"], "input", f"x={TRAP}")),
    ("field `forward_arg_names`", lambda tree: renamed(tree["graph_module"]["module_call_graph"], "input", f"x={TRAP}")),
    ("field `parameter_name`", lambda tree: renamed(tree, "weight", f'weight"), {TRAP}, ("')),
    ("field `in_spec`", lambda tree: [
        entry["signature"].update(in_spec=json.dumps([1, {"type": "collections.defaultdict", "context": json.dumps(
            {"default_factory_module": "antigravity", "default_factory_name": "geohash", "dict_context": []}), "children_spec": []}]))
        for entry in tree["graph_module"]["module_call_graph"] if entry.get("signature")
    ]),
    ("field `range_constraints`", lambda tree: tree.update(range_constraints={"u99999999999": {"min_val": 0, "max_val": 1}})),
    *(
        ("field `target`", lambda tree, target=target: first_node(tree).update(target=target))
        for target in ("torch.os.mkdir", "torch.hub.load", "_operator.call", "torch.ops.load_library.__call__",
                       "torch.ops.aten.save.default", "torch.ops.aten.from_file.default")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("field", "change"), EVALUATED, ids=[f"{number}-{field}" for number, (field, _) in enumerate(EVALUATED)])
def test_text_that_pytorch_would_evaluate_is_refused_unread(
    field: str, change: Callable[[Any], object], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportModelError) as caught:
        import_model(changed(whole, tmp_path / "h.pt2", change), seed=0)
    assert f"h.pt2: m/models/model.json: {field}: " in str(caught.value)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("text", ["4", "2 + 2", "Max(4, 3)", "FloorDiv(9, 2)", "Add(Integer(1), Mul(Integer(3), Integer(1)))"])
def test_sizes_that_are_arithmetic_are_read(text: str, whole: Path, tmp_path: Path) -> None:
    same = changed(whole, tmp_path / "s.pt2", size_as_text(text))
    assert import_model(same, seed=0).manifest.layers == import_model(str(whole), seed=0).manifest.layers


class Halves(torch.nn.Module):
    """A shape that follows from another one, whose range the program states under a text of arithmetic."""

    def forward(self, x: Any) -> Any:
        return x[:, : x.shape[1] // 2] * x.shape[1]


def test_a_program_of_free_shapes_is_told_apart_from_one_that_runs_code(tmp_path: Path) -> None:
    free = {"x": {1: 2 * torch.export.Dim("half", min=2, max=8)}}
    torch.export.save(torch.export.export(Halves(), (torch.zeros(1, 8, 4),), dynamic_shapes=free), tmp_path / "m.pt2")
    with pytest.raises(ImportModelError, match="is not fixed; export the model without dynamic shapes"):
        import_model(str(tmp_path / "m.pt2"), seed=0)


def test_an_archive_with_a_compiled_model_is_refused(whole: Path, tmp_path: Path) -> None:
    hostile = shutil.copy(whole, tmp_path / "h.pt2")
    with zipfile.ZipFile(hostile, "a") as out:
        out.writestr("m/data/aotinductor/model/model.so", b"\x7fELF")
    with pytest.raises(
        ImportModelError,
        match=r"is not a program .*: it holds 'm/data/aotinductor/model/model\.so', which could run code",
    ):
        import_model(str(hostile), seed=0)


def test_what_pytorch_reads_is_judged_where_zipfile_shows_another_program(whole: Path, tmp_path: Path) -> None:
    """Two archives in one file: Python's zipfile takes the directory before the end, PyTorch the one at the offset that the end states."""
    hostile = Path(changed(whole, tmp_path / "h.pt2", size_as_text(TRAP))).read_bytes()
    both = tmp_path / "both.pt2"
    both.write_bytes(hostile + whole.read_bytes())
    with zipfile.ZipFile(both) as archive:
        assert TRAP.encode() not in archive.read("m/models/model.json")
    with pytest.raises(ImportModelError):
        import_model(str(both), seed=0)


def test_a_tensor_that_is_far_larger_than_its_bytes_is_refused(whole: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / "h.pt2", "w") as out:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("_weights_config.json"):
                content = content.replace(b'{"as_int": 8}', b'{"as_int": 1000000}')
            out.writestr(name, content)
    with pytest.raises(ImportModelError, match=r"tensor 'weight' has 1,000,000,000,000 elements, more than its bytes"):
        import_model(str(tmp_path / "h.pt2"), seed=0)


def test_a_model_on_the_meta_device_imports_by_its_shapes_alone(tmp_path: Path) -> None:
    """Of more elements than a tensor that PyTorch fills with zeros may have; without --seed, its weights were zeros."""
    with torch.device("meta"):
        program = torch.export.export(torch.nn.Linear(4096, 8192), (torch.zeros(1, 2, 4096),))
    torch.export.save(program, tmp_path / "m.pt2")
    trace = import_model(str(tmp_path / "m.pt2"), seed=1)
    assert trace.parameters == 8192 * 4096 + 8192
    with pytest.raises(
        ImportModelError, match="tensor 'weight' is on the device 'meta', and has no numbers; allowed: --seed, or --weights"
    ):
        import_model(str(tmp_path / "m.pt2"))


def test_a_program_of_a_transformers_model_loads_in_a_fresh_process(tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=8, num_labels=4
    )
    network = transformers.ViTForImageClassification(config).eval()  # its result is a class of transformers.modeling_outputs
    path = export(network, 1, 3, 16, 16, path=tmp_path / "vit.pt2")
    run = subprocess.run(
        [sys.executable, "-m", "accelsim", "import", str(path), "-o", str(tmp_path / "trace")], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "trace" / "trace.json").is_file()


def test_a_program_that_unpacks_to_far_more_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"bomb\.pt2: its \d+ entries unpack to 314,\d{3},\d{3} bytes; allowed: 2"):
        import_model(str(bombed_copy(whole, tmp_path / "bomb.pt2")), seed=0)
