"""Kernels are compiled before a command's stderr is looked at: the first simulation of an installation says that it compiles them."""

from __future__ import annotations

import pytest

import accelsim


@pytest.fixture(scope="session", autouse=True)
def _compiled_kernels() -> None:
    accelsim.simulate("edge-32x32", "tiny_vit_int8")
