"""Group quantization-aware training: a scale per group, and its zero point or minimum, follow the float weights of the group."""

from __future__ import annotations

from accelsim.finetune.quantizers.encoded_weight import EncodedWeightQuantizer

KIND = "int_group"
QUANTIZER = EncodedWeightQuantizer
