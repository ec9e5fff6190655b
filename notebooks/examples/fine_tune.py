"""Fine-tuning of a coded network: codewords learn, and with SSVQ the signs; indices stay, and the result is packed into bits again.

SSVQ's rule (arXiv 2503.08668): W = C[A] o sign(L), the gradient of the latent L is that of W times the codeword (straight through), and L
starts at the weights. Disputable assumptions: signs that oscillate are not frozen, which the paper adds, and biases and layer norms stay
as they were trained.

    python -m notebooks.examples.fine_tune
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.func import functional_call

from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.recipe import make_recipe
from accelsim.compression.repack import repack
from accelsim.trace.trace import Trace
from notebooks.examples.digits_vit import BATCH, Digits, accuracy, digits, to_trace, train, weights_of, with_weights

EPOCHS, CODEWORD_RATE, LATENT_RATE = 8, 1e-3, 1e-2
TOP = 127  # of an int8 codeword
FORMATS = ("vq:k=256,d=4", "vq:k=64,d=4", "vq:k=32,d=4", "ssvq:k=256,d=8", "ssvq:k=16,d=8", "ssvq:k=4,d=8")


class Sign(torch.autograd.Function):
    """-1 or 1 forwards; backwards the gradient passes as it is."""

    @staticmethod
    def forward(context: Any, latent: torch.Tensor) -> torch.Tensor:
        return torch.where(latent < 0, -1.0, 1.0)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


class Coded(torch.nn.Module):
    """A matrix Wt[K,N] of a trace in `vq` or `ssvq` (axis 0) whose codewords, and signs if it has any, can learn."""

    def __init__(self, trace: Trace, name: str, exact: npt.NDArray[np.float64]) -> None:
        super().__init__()
        self.arrays = trace.arrays(name)
        scale = float(self.arrays["scales"][0])
        self.indices = torch.tensor(self.arrays["indices"].astype(np.int64))
        self.codebook = torch.nn.Parameter(torch.tensor(self.arrays["codebook"].astype(np.float32) * scale))
        self.latent = torch.nn.Parameter(torch.tensor(exact, dtype=torch.float32)) if "signs" in self.arrays else None

    def forward(self) -> torch.Tensor:
        """The weights as a linear layer holds them, [N,K]."""
        rows = self.indices.shape[0]
        if self.latent is None:
            return self.codebook[self.indices].reshape(rows, -1).T
        return (self.codebook.clamp(min=0)[self.indices].reshape(rows, -1) * Sign.apply(self.latent)).T

    def packed(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of the format: codewords rounded to int8 under one scale."""
        codebook = self.codebook.detach().numpy().astype(np.float64)
        if self.latent is not None:
            codebook = codebook.clip(min=0)
        step = max(float(np.abs(codebook).max()), float(np.finfo(np.float32).tiny)) / TOP
        out = {**self.arrays, "codebook": np.rint(codebook / step).astype(np.int8), "scales": np.array([step], np.float32)}
        if self.latent is not None:
            out["signs"] = (self.latent.detach().numpy() < 0).astype(np.uint8)
        return out


def fine_tune(network: Any, source: Trace, packed: Trace, data: Digits, seed: int = 0, epochs: int = EPOCHS) -> Trace:
    """A trace like `packed`, whose codewords and signs have learned; the other matrices are those of `packed`."""
    torch.manual_seed(seed)
    fixed = with_weights(network, packed)
    names = [layer.name for layer in packed.weighted_layers() if layer.weight.format.kind in ("vq", "ssvq")]
    coded = {name: Coded(packed, name, weights_of(source, name)) for name in names}
    groups = [
        {"params": [item.codebook for item in coded.values()], "lr": CODEWORD_RATE},
        {"params": [item.latent for item in coded.values() if item.latent is not None], "lr": LATENT_RATE},
    ]
    steps = epochs * -(-len(data.train_images) // BATCH)
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(data.train_images)).split(BATCH):
            weights = {f"{name}.weight": item() for name, item in coded.items()}
            logits = functional_call(fixed, weights, (data.train_images[chosen],)).logits
            loss = torch.nn.functional.cross_entropy(logits, data.train_digits[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return repack(packed, {name: item.packed() for name, item in coded.items()}, f"codewords and signs fine-tuned for {epochs} epochs")


def main() -> None:
    """Train, compress, fine-tune, and print a line for each format."""
    torch.set_num_threads(1)
    data = digits()
    network = train(data)
    with tempfile.TemporaryDirectory() as folder:
        source = to_trace(network, Path(folder))
    print(f"float32: {100 * accuracy(network, data):.2f} %")
    print(f"{'format':20}{'bits/weight':>12}{'compressed':>12}{'fine-tuned':>12}")
    for text in FORMATS:
        packed, report = compress_trace(source, make_recipe(text))
        before = accuracy(with_weights(network, packed), data)
        after = accuracy(with_weights(network, fine_tune(network, source, packed, data)), data)
        print(f"{text:20}{report.compressed.paper_bits_per_weight:12.3f}{100 * before:10.2f} %{100 * after:10.2f} %")


if __name__ == "__main__":
    main()
