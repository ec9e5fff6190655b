"""The wheel and the sdist, built once from what git keeps, and the wheel installed for each Python that this machine has."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.packaging.environment import ROOT, VERSIONS, Installed, install, interpreter, pip


@pytest.fixture(scope="session")
def clean_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of every file that git keeps or would keep: a clean clone, with changes that are not committed yet."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def wheel(clean_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `pip wheel .` builds it in a clean clone."""
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, ".", cwd=clean_tree)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="session")
def wheel_of_sdist(clean_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist alone."""
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder), "--target"]
    subprocess.run([*build, "sdist"], cwd=clean_tree, capture_output=True, check=True)
    (sdist,) = folder.iterdir()
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    subprocess.run([*build, "wheel"], cwd=folder / sdist.name.removesuffix(".tar.gz"), capture_output=True, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def environments(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Installed]]:
    """The wheel in a fresh environment of each Python that this machine has, by version; two are made at a time, none is left."""
    present = [version for version in VERSIONS if interpreter(version) is not None]
    folders = [tmp_path_factory.mktemp(f"python{version}-") for version in present]
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda version, folder: install(version, wheel, folder), present, folders)
        yield dict(zip(present, made, strict=True))
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture(params=VERSIONS)
def installed(request: pytest.FixtureRequest, environments: Mapping[str, Installed]) -> Installed:
    """Each environment in turn."""
    if request.param not in environments:
        pytest.skip(f"this machine has no Python {request.param}")
    return environments[request.param]
