"""How fast k-means is: an assignment beside the same one by NumPy's matrix product, and all of DeiT-tiny beside its target."""

from __future__ import annotations

import time
from pathlib import Path

import numba
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.compression.kmeans import nearest_codewords
from accelsim.trace.trace import load_trace
from tests.benchmarks.speed import Speed

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="targets are those of compiled kernels; `make test` runs this folder compiled"
)
TRACES = Path(__file__).parents[2] / "traces"


def by_matrix_product(points: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """The nearest codewords as NumPy finds them: |c|^2 - 2 x c, of which a BLAS library does the most."""
    return ((codebook**2).sum(axis=1) - 2 * points @ codebook.T).argmin(axis=1)


def test_an_assignment_is_not_much_slower_than_by_a_blas_library(benchmark: BenchmarkFixture, speed: Speed) -> None:
    rng = np.random.default_rng(0)
    points, codebook = rng.standard_normal((18_432, 8)).astype(np.float32), rng.standard_normal((256, 8)).astype(np.float32)
    nearest, _ = nearest_codewords(points, codebook)  # compiles
    assert (nearest == by_matrix_product(points, codebook)).mean() > 0.999  # equal but for ties within float32
    benchmark(lambda: nearest_codewords(points, codebook))
    with threadpool_limits(1):
        product, own = speed.seconds(lambda: by_matrix_product(points, codebook), lambda: nearest_codewords(points, codebook))
    speed.judge("nearest of 256 codewords, d=8, of NumPy's speed", product / own, at_least=0.5)


def test_kmeans_of_all_of_deit_tiny_is_shown_beside_its_target(benchmark: BenchmarkFixture, speed: Speed) -> None:
    source = load_trace(TRACES / ("deit_tiny_float" if speed.judged else "tiny_vit_float"))
    start = time.process_time()
    benchmark.pedantic(lambda: compress_trace(source, make_recipe("vq:k=256,d=8")), rounds=1)
    speed.show("k-means of DeiT-tiny's 72 matrices, k=256 d=8, CPU s", time.process_time() - start, at_most=30)
