"""Use of codewords and balance of signs, against plain counting; in bounded memory, and with one message for bits that do not fit."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from math import log2
from pathlib import Path

import numpy as np
import pytest

from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import FormatError, TraceError
from accelsim.formats.catalog import parse_format
from accelsim.ops.weight_record import StreamRecord
from accelsim.report.tables.index import bars, statistics_dict
from accelsim.trace import statistics
from accelsim.trace.layers import GemmLayer, LoopBounds, TensorShape, WeightRecord
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.seeded import seeded_source
from accelsim.trace.statistics import index_use, trace_statistics
from accelsim.trace.trace import Trace, load_trace, save_trace, with_payload

TRACES = Path(__file__).parents[2] / "traces"


def test_an_index_that_is_used_evenly_has_its_bits_as_entropy() -> None:
    use = index_use(np.array([5, 5, 5, 5]), 2)
    assert (use.entropy_bits, use.unused, use.most_used, use.most_used_share, use.indices) == (2.0, 0, 0, 0.25, 20)
    use = index_use(np.array([0, 8, 4, 0, 4]), 3)  # shares 1/2, 1/4, 1/4
    assert (use.entropy_bits, use.unused, use.most_used, use.most_used_share) == (1.5, 2, 1, 0.5)
    assert use.bars == (8, 4, 4, 0, 0)
    assert index_use(np.array([0, 9]), 1).entropy_bits == 0


def test_more_codewords_than_bars_are_averaged_in_groups_of_nearly_equal_size() -> None:
    use = index_use(np.arange(1, 65), 6)
    assert len(use.bars) == statistics.BARS
    assert use.bars[0] == (64 + 63) / 2
    assert use.bars[-1] == (1 + 2) / 2


def plain_use(indices: list[int], codewords: int) -> tuple[float, int, int]:
    """(entropy, unused, the most used index) by counting one by one."""
    counts = Counter(indices)
    entropy = -sum(count / len(indices) * log2(count / len(indices)) for count in counts.values())
    return entropy, codewords - len(counts), min(counts, key=lambda index: (-counts[index], index))


@pytest.mark.parametrize("piece", [8, 1 << 20])
@pytest.mark.parametrize("text", ["ssvq:k=11,d=8", "vq:k=33,d=4,axis=1", "masked_vq:k=9,d=8,keep=3,of=8", "universal_vq:k=50,d=8"])
def test_statistics_are_those_of_the_unpacked_arrays(text: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_VALUES", piece)
    compress_trace(load_trace(TRACES / "tiny_vit_float"), make_recipe(text), tmp_path / "t")
    packed = load_trace(tmp_path / "t")
    found = trace_statistics(packed)
    codewords = parse_format(text).decode_path().codewords
    together: list[int] = []
    shares, entropies = [], []
    for layer in found.layers:
        arrays = packed.arrays(layer.name)
        signed = arrays["signs"] == 1 if "signs" in arrays else arrays["weights"] < 0 if "weights" in arrays else None
        assert layer.negative_share == (None if signed is None else pytest.approx(signed.mean()))
        if "indices" not in arrays:
            assert layer.indices is None
            continue
        indices = arrays["indices"].reshape(-1).tolist()
        assert layer.indices is not None
        entropy, unused, most = plain_use(indices, codewords)
        assert (layer.indices.unused, layer.indices.most_used) == (unused, most)
        assert layer.indices.entropy_bits == pytest.approx(entropy)
        together += indices
        shares.append(layer.indices.most_used_share)
        entropies.append(entropy * len(indices))
    total = found.indices[text]
    assert total.indices == len(together)
    if text.startswith("universal"):
        entropy, unused, most = plain_use(together, codewords)
        assert (total.codewords, total.unused, total.most_used) == (codewords, unused, most)
        assert total.entropy_bits == pytest.approx(entropy)
    else:
        assert (total.codewords, total.codebooks, total.most_used) == (12 * codewords, 12, None)
        assert total.entropy_bits == pytest.approx(sum(entropies) / len(together))
        assert total.most_used_share == max(shares)
    assert json.loads(json.dumps(statistics_dict(found)))["indices"][text]["unused"] == total.unused


def large_layer(rows: int, index: int) -> Trace:
    """One matrix of `rows` x 1024 in SSVQ k=5 d=8, all of whose indices are `index`."""
    spec = parse_format("ssvq:k=5,d=8")
    arrays = {
        "indices": np.full((rows, 128), index, np.uint8),
        "signs": np.ones((rows, 1024), np.uint8),
        "codebook": np.ones((5, 8), np.int8),
        "scales": np.ones(1, np.float32),
    }
    packed = spec.pack({**arrays, "indices": np.minimum(arrays["indices"], 4)}, rows, 1024)
    if index > 4:
        packed["indices"] = np.packbits(np.tile(np.array([1, 1, 1], np.uint8), rows * 128))
    streams = {name: StreamRecord.of(f"fc.{name}", spec.streams(rows, 1024)[name].total_bits, data) for name, data in packed.items()}
    weight = WeightRecord(format=spec, k=rows, n=1024, streams=streams)
    layer = GemmLayer(name="fc", inputs=("x",), output=TensorShape(rows=1, width=1024), bounds=LoopBounds(K=1024, C=rows), weight=weight)
    inputs = (ModelInput(name="x", shape=TensorShape(rows=1, width=rows)),)
    manifest = Manifest(name="large", source=seeded_source(0), inputs=inputs, outputs=("fc",), layers=(layer,))
    return with_payload(manifest, {f"fc.{name}": data for name, data in packed.items()})


def test_memory_does_not_grow_with_the_matrix(tmp_path: Path) -> None:
    save_trace(large_layer(1 << 15, 3), tmp_path / "t")  # 33 M signs, 4 M indices
    trace = load_trace(tmp_path / "t")
    tracemalloc.start()
    found = trace_statistics(trace)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20
    assert found.negative_share == {"ssvq:k=5,d=8": 1.0}
    assert found.indices["ssvq:k=5,d=8"].most_used == 3


def test_an_index_past_the_codebook_is_one_message() -> None:
    with pytest.raises(
        FormatError, match=r"trace 'large', layer 'fc': ssvq stream 'indices': index 7 is past the codebook; allowed: 0\.\.4"
    ):
        trace_statistics(large_layer(64, 7))


def test_a_trace_without_payload_has_no_statistics() -> None:
    with pytest.raises(TraceError, match="has no payload"):
        trace_statistics(load_trace(TRACES / "deit_tiny_int8"))


def test_bars_are_ascii_where_blocks_cannot_be_shown() -> None:
    assert bars((8, 4, 0), "utf-8") == "█▄ "
    assert bars((8, 4, 0), "ascii") == "@= "
    assert len(bars(tuple(range(32, 0, -1)), "utf-8")) == 16
