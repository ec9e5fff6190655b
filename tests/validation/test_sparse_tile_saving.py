"""MVQ's sparse tile against its paper: the direction of the saving is met, its size is not, and nothing was tuned to it."""

from __future__ import annotations

import pytest

from accelsim.cost import gate_counts, sparse_tile
from accelsim.validate.area_published import MVQ_WEIGHT_FILE_DEPTH, PUBLISHED_PSUM_BITS

# "reduces the size of the systolic array by 55 % when compared with the base EWS accelerator": abstract of arXiv 2412.10261v2. The array
# keeps 4 of 16 weights (the paper's k = 512, d = 16, 4:16) in files of 16 weights a PE.
PUBLISHED_SAVING = 0.55
D, Q = 16, 4


def test_the_array_shrinks_less_than_published() -> None:
    dense = D * gate_counts.pe_weight_file(PUBLISHED_PSUM_BITS, MVQ_WEIGHT_FILE_DEPTH)
    row = sparse_tile.tile_row(PUBLISHED_PSUM_BITS, D, Q, MVQ_WEIGHT_FILE_DEPTH)
    saving, least, most = (1 - gates / dense for gates in (row.nominal, row.high, row.low))
    # 44 % (34 to 49): a published tile may keep fewer adders and activation registers than a column each, and no mask in its file.
    assert (saving, least, most) == (pytest.approx(0.439, abs=0.001), pytest.approx(0.345, abs=0.001), pytest.approx(0.486, abs=0.001))
    assert 0 < most < PUBLISHED_SAVING


def test_without_weight_files_the_saving_is_smaller_and_half_masks_save_nothing() -> None:
    dense = gate_counts.pe(PUBLISHED_PSUM_BITS)
    assert sparse_tile.tile_row(PUBLISHED_PSUM_BITS, 16, 4).nominal < 0.7 * 16 * dense
    assert sparse_tile.tile_row(PUBLISHED_PSUM_BITS, 16, 8).nominal > 0.95 * 16 * dense  # routing eats what 8 of 16 multipliers save
