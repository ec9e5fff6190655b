"""k-means against its definition, scikit-learn, and itself in another process."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.compression.kmeans import kmeans, nearest_codewords
from accelsim.errors import FormatError


def points_of(count: int, d: int, seed: int) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).standard_normal((count, d))).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 40), k=st.integers(1, 12), d=st.integers(1, 5), seed=st.integers(0, 1000))
def test_every_point_has_the_codeword_that_is_nearest(count: int, k: int, d: int, seed: int) -> None:
    points, codebook = points_of(count, d, seed), points_of(k, d, seed + 1)
    nearest, distance = nearest_codewords(points, codebook)
    squared = ((points[:, None, :].astype(np.float64) - codebook[None].astype(np.float64)) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared[np.arange(count), nearest], squared.min(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(distance, squared.min(axis=1), rtol=1e-5, atol=1e-6)


def test_separated_groups_are_found_exactly() -> None:
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], dtype=np.float32)
    points = (centres[:, None] + np.array([[-1, 0], [1, 0], [0, -1], [0, 1]], dtype=np.float32)).reshape(-1, 2)
    # k-means++ starts twice in one group with a probability of a few percent, so the best of some seeds is taken
    found = min((kmeans(points, 4, np.random.default_rng(seed)) for seed in range(5)), key=lambda clusters: clusters.error)
    np.testing.assert_array_equal(found.codebook[np.lexsort(found.codebook.T)], centres[np.lexsort(centres.T)])
    assert found.error == 16.0  # 16 points, each at distance 1


def test_one_codeword_is_the_mean() -> None:
    points = points_of(100, 3, 0)
    np.testing.assert_allclose(kmeans(points, 1, np.random.default_rng(0)).codebook[0], points.mean(axis=0), rtol=1e-5)


def test_as_many_codewords_as_points_leave_no_error() -> None:
    points = points_of(32, 4, 1)
    assert kmeans(points, 32, np.random.default_rng(0)).error == 0.0


@pytest.mark.parametrize("distinct", [1, 3])
def test_fewer_distinct_points_than_codewords_are_no_trouble(distinct: int) -> None:
    points = np.repeat(points_of(distinct, 4, 2), 10, axis=0)
    found = kmeans(points, 8, np.random.default_rng(0))
    assert found.error == 0.0
    assert np.isfinite(found.codebook).all()


def test_no_cluster_stays_empty() -> None:
    points = points_of(500, 2, 3)
    found = kmeans(points, 60, np.random.default_rng(1))
    assert np.unique(found.nearest).size == 60


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="4000 points, five times, take minutes as plain Python")
def test_the_error_is_as_good_as_scikit_learns() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    points = points_of(4000, 8, 4)
    theirs = cluster.KMeans(n_clusters=16, n_init=5, random_state=0).fit(points).inertia_
    ours = min(kmeans(points, 16, np.random.default_rng(seed)).error for seed in range(5))
    assert ours <= 1.01 * theirs


def test_a_seed_gives_one_codebook() -> None:
    points = points_of(300, 4, 5)
    first, second = (kmeans(points, 9, np.random.default_rng(7)) for _ in range(2))
    assert first.codebook.tobytes() == second.codebook.tobytes()


def test_what_cannot_be_clustered_is_refused() -> None:
    with pytest.raises(FormatError, match="k=5 codewords for 4 subvectors"):
        kmeans(points_of(4, 2, 0), 5, np.random.default_rng(0))
    with pytest.raises(FormatError, match="NaN"):
        kmeans(np.full((4, 2), np.nan, dtype=np.float32), 2, np.random.default_rng(0))
