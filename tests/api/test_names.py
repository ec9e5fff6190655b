"""The face of the package: exactly these names, loaded when they are first used, and not shadowed by modules."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import accelsim

FUNCTIONS = {
    "load_accelerator", "load_trace", "load_result", "simulate", "compare", "sweep", "execute", "import_model", "compress", "choose_formats"
}  # fmt: skip
CLASSES = {"Accelerator", "Trace", "Result", "Comparison", "SweepTable", "Execution", "FormatChoice", "Cost", "Table", "AccelsimError"}


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_face_offers_exactly_the_public_names():
    assert set(accelsim.__all__) == set(dir(accelsim)) == FUNCTIONS | CLASSES | {"__version__"}
    assert all(inspect.isfunction(getattr(accelsim, name)) for name in FUNCTIONS)
    assert all(inspect.isclass(getattr(accelsim, name)) for name in CLASSES)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'accelsim' has no attribute 'simulator'"):
        accelsim.simulator  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    heavy = "numba numpy matplotlib pydantic simpy yaml rich safetensors"
    assert in_a_new_process(f"import accelsim, sys; print([name for name in '{heavy}'.split() if name in sys.modules])") == "[]"
    inside = "import accelsim, sys; print(sorted(name for name in sys.modules if name.startswith('accelsim')))"
    assert in_a_new_process(inside) == "['accelsim']"


def test_simulating_needs_no_drawing():
    code = "import accelsim, sys; accelsim.simulate; accelsim.compare; accelsim.load_result; print('matplotlib' in sys.modules)"
    assert in_a_new_process(code) == "False"


@pytest.mark.parametrize("modules_come_first", [True, False])
def test_no_module_shadows_a_function(modules_come_first):
    modules = "import accelsim.sweeps.runner, accelsim.simulation, accelsim.compression.recipe, accelsim.api.simulate, accelsim.api.sweep"
    use = f"import accelsim; found = [getattr(accelsim, name) for name in {sorted(FUNCTIONS)}]"
    lines = [modules, use] if modules_come_first else [use, modules, use]
    assert in_a_new_process("\n".join([*lines, "print({type(item).__name__ for item in found})"])) == "{'function'}"


def test_no_module_of_the_package_is_called_as_a_public_name():
    modules = {path.stem for path in Path(accelsim.__file__).parent.iterdir()}
    assert modules & set(accelsim.__all__) == set()


@pytest.mark.parametrize("name", sorted(FUNCTIONS | CLASSES))
def test_every_public_name_and_method_has_a_docstring_and_annotations(name):
    found = getattr(accelsim, name)
    methods = (
        [item for key, item in vars(found).items() if inspect.isfunction(item) and not key.startswith("_")] if name in CLASSES else [found]
    )
    assert inspect.getdoc(found)
    for item in methods:
        assert inspect.getdoc(item), item
        parameters = [each for each in inspect.signature(item).parameters.values() if each.name not in ("self", "cls")]
        assert all(each.annotation is not inspect.Parameter.empty for each in parameters), item
        assert inspect.signature(item).return_annotation is not inspect.Signature.empty, item
