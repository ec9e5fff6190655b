"""A small ViT trained on scikit-learn's digits in seconds, and what each format does to its accuracy: before and after, not on paper.

Compression is post-training, so accuracies are lower bounds of what fine-tuning reaches; activations stay float, so what is measured is
the weights' share of the loss. 1,797 images of 8x8 say nothing of ImageNet: a percent is four test images. Matrices of 64 x 64 are small:
a codebook each weighs as much as the indices, which the stored bits show.

    python -m notebooks.examples.digits_vit
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits
from transformers import ViTConfig, ViTForImageClassification

from accelsim.compression.compress_trace import compress_trace
from accelsim.compression.encoder import reconstruct
from accelsim.compression.recipe import make_recipe
from accelsim.importers.import_model import import_model
from accelsim.trace.trace import Trace, with_metrics

SIZES = {
    "image_size": 8,
    "patch_size": 2,
    "num_channels": 1,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "num_labels": 10,
}
TEST_IMAGES = 400
EPOCHS, BATCH, LEARNING_RATE = 12, 64, 2e-3
INITIAL_DEVIATION = 0.1  # near 1/sqrt(hidden_size); transformers' 0.02 is meant for wide networks, and trains this one slowly
MEAN, DEVIATION = 0.3, 0.37  # of the pixels, about
FORMATS = (
    "uniform:bits=8",
    "uniform:bits=4",
    "vecq:bits=4",
    "vecq:bits=3",
    "vecq:bits=2",
    "vq:k=256,d=4",
    "ssvq:k=256,d=8",
    "ssvq:k=16,d=8",
    "universal_vq:k=4096,d=4",
    "masked_vq:k=256,d=8,keep=4,of=8",
)


@dataclass(frozen=True)
class Digits:
    """Images float32 [count, 1, 8, 8] of mean 0 and deviation 1 (about) and their digits, shuffled by the seed and parted once."""

    train_images: torch.Tensor
    train_digits: torch.Tensor
    test_images: torch.Tensor
    test_digits: torch.Tensor


@dataclass(frozen=True)
class Measured:
    """A format: bits per weight of the compressed matrices, as papers count and as stored, the error of all weights, and the accuracy."""

    format: str
    paper_bits_per_weight: float
    stored_bits_per_weight: float
    relative_mse: float
    accuracy: float
    trace: Trace


def digits(seed: int = 0) -> Digits:
    """scikit-learn's bundled digits."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    pictures = torch.tensor((images[order] / 16 - MEAN) / DEVIATION, dtype=torch.float32).reshape(-1, 1, 8, 8)
    targets = torch.tensor(labels[order], dtype=torch.long)
    return Digits(pictures[TEST_IMAGES:], targets[TEST_IMAGES:], pictures[:TEST_IMAGES], targets[:TEST_IMAGES])


def train(data: Digits, seed: int = 0, epochs: int = EPOCHS) -> Any:
    """A trained ViT: AdamW with one cycle of the learning rate; 1,397 images an epoch, about five seconds of one core."""
    torch.manual_seed(seed)
    network = ViTForImageClassification(ViTConfig(**SIZES, attn_implementation="eager", initializer_range=INITIAL_DEVIATION))
    steps = epochs * -(-len(data.train_images) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(data.train_images)).split(BATCH):
            loss = torch.nn.functional.cross_entropy(network(data.train_images[chosen]).logits, data.train_digits[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def accuracy(network: Any, data: Digits) -> float:
    """Share of the test images that the network names right."""
    with torch.no_grad():
        return float((network(data.test_images).logits.argmax(dim=1) == data.test_digits).float().mean())


def to_trace(network: Any, folder: Path, name: str = "digits_vit_float") -> Trace:
    """The network as a float trace, through torch.export and a file in `folder`, whose hash the trace keeps."""
    path = folder / f"{name}.pt2"
    torch.export.save(torch.export.export(network, (torch.zeros(1, 1, 8, 8),)), path)
    return import_model(str(path), name=name)


def weights_of(trace: Trace, layer: str) -> npt.NDArray[np.float64]:
    """The weights Wt[K,N] that a trace's bits stand for: integers times scales."""
    record = next(item.weight for item in trace.weighted_layers() if item.name == layer)
    return reconstruct(record.format, trace.arrays(layer), record.k, record.n)


def with_weights(network: Any, trace: Trace) -> Any:
    """A copy of the network whose matrices are those of a trace of it."""
    copy = ViTForImageClassification(network.config).eval()
    copy.load_state_dict(network.state_dict())
    modules = dict(copy.named_modules())
    with torch.no_grad():
        for layer in trace.weighted_layers():
            parameter = modules[layer.name].weight  # its rows are Wt's columns; a filter's taps keep their order
            parameter.copy_(torch.tensor(weights_of(trace, layer.name).T.copy(), dtype=torch.float32).reshape(parameter.shape))
    return copy


def measure(network: Any, data: Digits, source: Trace, formats: Sequence[str] = FORMATS, seed: int = 0) -> tuple[Measured, ...]:
    """The float network and each format of it, with its accuracy in the trace's metrics."""
    before = accuracy(network, data)
    out = [Measured("float32", 32.0, 32.0, 0.0, before, source)]
    for text in formats:
        packed, report = compress_trace(source, make_recipe(text, seed=seed), name=f"digits_vit_{text.replace(':', '_')}")
        found = accuracy(with_weights(network, packed), data)
        marked = with_metrics(packed, {"top1_accuracy": found, "top1_accuracy_float32": before})
        bits = report.compressed
        out.append(Measured(text, bits.paper_bits_per_weight, bits.stored_bits_per_weight, report.total.relative_mse, found, marked))
    return tuple(out)


def main() -> None:
    """Train, compress in each format, and print a line for each."""
    torch.set_num_threads(1)  # matrices this small gain nothing from more
    data = digits()
    network = train(data)
    with tempfile.TemporaryDirectory() as folder:
        source = to_trace(network, Path(folder))
    print(f"{sum(item.numel() for item in network.parameters()):,} parameters, {len(data.test_images)} test images")
    print(f"{'format':34}{'bits/weight':>12}{'stored':>8}{'relative MSE':>14}{'accuracy':>10}")
    for item in measure(network, data, source):
        bits = f"{item.paper_bits_per_weight:12.3f}{item.stored_bits_per_weight:8.3f}"
        print(f"{item.format:34}{bits}{item.relative_mse:14.5f}{100 * item.accuracy:9.2f} %")


if __name__ == "__main__":
    main()
