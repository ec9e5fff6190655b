"""Shapes of large networks, as benchmarks run them: no weights, and of a decoder the products of one token alone."""

from __future__ import annotations

from accelsim.trace.trace import Trace
from tests.tiny_machines import Net, tiny_encoder

HEAD_COLUMNS = 8192  # of a vocabulary's head in one product: the scales and biases of a layer pass the weight buffer in one piece


def vit_base() -> Trace:
    """The encoder of ViT-Base/16 at 224 x 224 (arXiv 2010.11929, table 1), without the patch embedding and the classifier."""
    return tiny_encoder(197, 768, 12, 3072, "int8", depth=12)


def bert_large() -> Trace:
    """The encoder of BERT-large (arXiv 1810.04805, section 3) over 512 tokens."""
    return tiny_encoder(512, 1024, 16, 4096, "int8", depth=24)


def decoder_1b() -> Trace:
    """A decode step in the shapes of Llama 3.2 1B: 16 layers of width 2048, 8 of 32 heads for keys and values."""
    return decode_step(layers=16, width=2048, kv_width=512, hidden=8192, vocabulary=128_256)


def decoder_7b() -> Trace:
    """A decode step in the shapes of Llama 2 7B (arXiv 2307.09288): 32 layers of width 4096."""
    return decode_step(layers=32, width=4096, kv_width=4096, hidden=11_008, vocabulary=32_000)


def decode_step(layers: int, width: int, kv_width: int, hidden: int, vocabulary: int) -> Trace:
    """The products of one token with all weights, at one row; without attention over the tokens before and without norms."""
    net = Net(1, width)
    at = "x"
    for _ in range(layers):
        query = net.gemm(at, width)
        net.same("add", net.gemm(at, kv_width), net.gemm(at, kv_width))  # keys and values: read, so that they leave the buffer
        at = net.gemm(query, width)
        at = net.gemm(net.same("add", net.gemm(at, hidden), net.gemm(at, hidden)), width)
    for first in range(0, vocabulary, HEAD_COLUMNS):
        net.gemm(at, min(HEAD_COLUMNS, vocabulary - first))
    return net.trace()
