"""Training with VecQ's vector-loss quantizer (arXiv 2005.08501): steering and driving run on every use, straight through backwards."""

from __future__ import annotations

from accelsim.finetune.quantizers.encoded_weight import EncodedWeightQuantizer

KIND = "vecq"
QUANTIZER = EncodedWeightQuantizer
