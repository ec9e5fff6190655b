"""Program files: they run no code, and need nothing imported beforehand."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
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
    with pytest.raises(ImportModelError, match=r"h\.pt2: (is not a program|constant 'c' is a pickled object)"):
        import_model(str(hostile), seed=0)
    assert not trap.exists()


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


def test_a_program_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    whole = Path(export(torch.nn.Linear(8, 8), 1, 4, 8, path=tmp_path / "m.pt2"))
    with pytest.raises(ImportModelError, match=r"bomb\.pt2: its \d+ entries unpack to 314,\d{3},\d{3} bytes; allowed: 2"):
        import_model(str(bombed_copy(whole, tmp_path / "bomb.pt2")), seed=0)
