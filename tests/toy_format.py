"""A format as somebody who extends accelsim would write it: one file, with scales finer than an output channel."""

SOURCE = '''
    """Integers of 4 bits, and a binary16 scale per 32 weights along the reduction."""

    from typing import Literal

    import numpy as np

    from accelsim.formats.decode_path import raw_path
    from accelsim.formats.parts import Scale
    from accelsim.formats.weight_format import Stream, WeightFormat

    KIND = "toy"
    EXAMPLES = ("toy",)


    class ToyFormat(WeightFormat):
        """Streams: weights [K,N] of 4 bits, scales [K/32,N]; the last group of a column may be shorter."""

        kind: Literal["toy"] = "toy"

        def decode_path(self):
            """Raw values."""
            return raw_path(4, Scale(32, 16))

        def streams(self, k, n):
            """Any shape is taken."""
            return {
                "weights": Stream(shape=(k, n), bits=4, number="signed", place="record", in_paper_count=True),
                "scales": Stream(shape=(-(-k // 32), n), bits=16, number="float", place="header", in_paper_count=False),
            }

        def dequantize(self, arrays, k, n):
            """The stored integers."""
            return arrays["weights"].astype(np.int8)


    SPEC = ToyFormat
'''
