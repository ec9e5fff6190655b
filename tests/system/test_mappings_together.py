"""Chips with feeds, multipliers behind the decoder, lanes that multiply: layers of all mappings follow each other as the twin says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.trace.trace import Trace
from tests.system.test_column_feed import fed
from tests.system.test_few_rows import compare_if_it_fits, few_row_machines
from tests.system.test_vector_path import with_lanes
from tests.tiny_convnets import convnets


@settings(max_examples=40)
@given(few_row_machines(), st.integers(0, 3), st.sampled_from(["column_feed", "cheapest"]), convnets(), st.integers(1, 2))
def test_random_convolutional_nets_equal_the_twin(accelerator: Accelerator, side: int, mode: str, trace: Trace, frames: int) -> None:
    compare_if_it_fits(fed(accelerator, side, mode), trace, frames=frames)


@settings(max_examples=40)
@given(few_row_machines(), st.sampled_from([4, 9]), st.sampled_from(["vector", "cheapest"]), convnets(), st.integers(1, 2))
def test_nets_with_depthwise_layers_on_lanes_equal_the_twin(
    accelerator: Accelerator, taps: int, mode: str, trace: Trace, frames: int
) -> None:
    compare_if_it_fits(with_lanes(fed(accelerator, 3, "column"), taps, mode), trace, frames=frames)
