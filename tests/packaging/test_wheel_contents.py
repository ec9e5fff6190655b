"""What the wheel holds: the package, its types and all data that the README names; nothing of this machine and no tests."""

from __future__ import annotations

import re
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from accelsim import __version__

pytestmark = pytest.mark.wheel
DATA = "accelsim/_data/"
MAX_BYTES = 8 * 2**20
# Folder of the clone -> folder of the wheel, with every file below it.
CARRIED = {
    "accelsim": "accelsim/",
    "configs": DATA,
    "traces": f"{DATA}traces/",
    **{
        f"tests/validation/data/{kind}": f"{DATA}references/{kind}/"
        for kind in ("area", "cluster", "core", "dram", "outside", "silicon", "systolic")
    },
}


@pytest.fixture(scope="module")
def files(wheel: Path) -> dict[str, bytes]:
    """Name -> content of the wheel's files."""
    return contents(wheel)


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_is_pure_named_by_its_version_and_small(wheel: Path) -> None:
    assert wheel.name == f"accelsim-{__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < MAX_BYTES


def test_every_file_of_the_package_and_of_its_data_is_in_the_wheel_as_it_is_in_the_clone(files: dict[str, bytes], clean_tree: Path) -> None:
    expected = {}
    for source, target in CARRIED.items():
        for path in filter(Path.is_file, (clean_tree / source).rglob("*")):
            expected[target + path.relative_to(clean_tree / source).as_posix()] = path.read_bytes()
    assert {f"{DATA}accelerators/edge-64x64.yaml", f"{DATA}traces/deit_tiny_int8/trace.json", "accelsim/py.typed"} <= set(expected)
    assert {"accelsim/report/html/page.css", "accelsim/report/html/page.js", f"{DATA}technology/cacti7_sram.csv"} <= set(expected)
    metadata = {name for name in files if name.startswith(f"accelsim-{__version__}.dist-info/")}
    assert {name: content for name, content in files.items() if name not in metadata} == expected
    assert {Path(name).name for name in metadata} == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE"}


def test_the_wheel_names_no_folder_of_the_machine_that_built_it(files: dict[str, bytes], clean_tree: Path) -> None:
    folders = {str(clean_tree), str(clean_tree.parent), str(Path(__file__).parents[2]), str(Path.home())} - {"/"}
    places = re.compile(b"|".join(re.escape(folder.encode()) + rb"\b" for folder in sorted(folders)))
    assert [name for name, content in files.items() if places.search(content)] == []


def test_the_metadata_says_which_pythons_and_what_it_needs(files: dict[str, bytes]) -> None:
    metadata = Parser().parsestr(files[f"accelsim-{__version__}.dist-info/METADATA"].decode())
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    said = [line.rpartition(" ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("Programming Language")]
    assert said == ["3.11", "3.12", "3.13"]
    needed = {re.split(r"[^\w-]", line)[0].lower() for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert needed == {"numpy", "numba", "simpy", "pydantic", "matplotlib", "pyyaml", "safetensors", "typer", "rich"}


def test_the_sdist_alone_builds_the_same_wheel(wheel: Path, wheel_of_sdist: Path) -> None:
    assert contents(wheel_of_sdist) == contents(wheel)
