"""Three tasks that need no download: scikit-learn's digits, shapes drawn in noise, and the next character of Python's documentation.

The network and its parting into training, validation and test data follow from the seed; test data are seen by no choice of a rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from accelsim.finetune import Settings
from notebooks.examples.small_transformers import CharacterModel, ImageClassifier

BATCH, FLOAT_RATE = 64, 2e-3
_CONTEXT = 32
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789 \n.,:;()[]{}'\"`=_-+*/<>"  # any other is one more class
_SIDE = 16
_SHAPES = 10

Samples = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Data:
    """Inputs and classes to train on, to choose rates by, and to report."""

    train: Samples
    validation: Samples
    test: Samples


@dataclass(frozen=True)
class Task:
    """A data set, a network for it, and lengths of its training.

    Attributes
    ----------
    load
        Data of a seed.
    network
        A new float network.
    float_epochs, epochs
        Of the float training and of each fine-tuning.
    seeds
        Networks, each with a parting of its own.
    """

    load: Callable[[int], Data]
    network: Callable[[], torch.nn.Module]
    float_epochs: int
    epochs: int
    seeds: int


def digits(seed: int) -> Data:
    """1,797 images of 8x8: 1,197 to train, 200 to validate, 400 to test."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    pictures = ((images[order] / 16 - 0.3) / 0.37).reshape(-1, 1, 8, 8)
    return _parted(pictures, labels[order], 200, 400)


def shapes(seed: int) -> Data:
    """3,000 images of 16x16 with one of ten shapes, of any place, size and contrast, under noise: 2,000, 400 and 600."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, _SHAPES, 3000)
    pictures = np.stack([_picture(int(label), rng) for label in labels])[:, None]
    return _parted(pictures, labels, 400, 600)


def characters(seed: int) -> Data:
    """Windows of 32 characters of Python's own documentation (`pydoc_data.topics`), from parts of it that do not overlap."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics)).lower()
    codes = np.array([_CHARACTERS.find(character) + 1 for character in text])
    rng, size = np.random.default_rng(seed), len(codes)
    parts = [codes[: size * 8 // 10], codes[size * 8 // 10 : size * 9 // 10], codes[size * 9 // 10 :]]
    return Data(*(_windows(part, count, rng) for part, count in zip(parts, (3000, 300, 600), strict=True)))


TASKS = {
    "digits": Task(digits, lambda: ImageClassifier(8, 2, 10), float_epochs=15, epochs=5, seeds=5),
    "shapes": Task(shapes, lambda: ImageClassifier(_SIDE, 4, _SHAPES), float_epochs=25, epochs=5, seeds=3),
    "characters": Task(characters, lambda: CharacterModel(_CONTEXT, len(_CHARACTERS) + 1), float_epochs=12, epochs=4, seeds=3),
}


def trained(task: Task, samples: Samples, seed: int) -> torch.nn.Module:
    """A float network: AdamW under one cycle of the learning rate."""
    torch.manual_seed(seed)
    network, (inputs, classes) = task.network(), samples
    optimizer = torch.optim.AdamW(network.parameters(), lr=FLOAT_RATE, weight_decay=0.05)
    steps = task.float_epochs * -(-len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=FLOAT_RATE, total_steps=steps)
    for _ in range(task.float_epochs):
        for chosen in torch.randperm(len(inputs)).split(BATCH):
            loss = next_class_loss(network, inputs[chosen], classes[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def train_on(network: torch.nn.Module, samples: Samples, settings: Settings) -> None:
    """Train a float network further as `finetune` trains a prepared one: AdamW under a cosine, in batches of the same order."""
    inputs, classes = samples
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * -(-len(inputs) // settings.batch))
    for epoch in range(settings.epochs):
        order = torch.from_numpy(np.random.default_rng([settings.seed, epoch]).permutation(len(inputs)))
        for chosen in order.split(settings.batch):
            loss = next_class_loss(network, inputs[chosen], classes[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def next_class_loss(network: torch.nn.Module, inputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Cross entropy of all classes of a batch, one or several per sample."""
    return torch.nn.functional.cross_entropy(network(inputs), classes.flatten())


def accuracy(network: torch.nn.Module, samples: Samples) -> float:
    """Share of the classes that a network names right."""
    inputs, classes = samples
    with torch.no_grad():
        return float((network(inputs).argmax(1) == classes.flatten()).float().mean())


def _parted(pictures: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], validation: int, test: int) -> Data:
    inputs, classes = torch.tensor(pictures, dtype=torch.float32), torch.tensor(labels, dtype=torch.long)
    first, second = test, test + validation
    return Data((inputs[second:], classes[second:]), (inputs[first:second], classes[first:second]), (inputs[:first], classes[:first]))


def _windows(codes: npt.NDArray[np.int64], count: int, rng: np.random.Generator) -> Samples:
    places = rng.integers(0, len(codes) - _CONTEXT, count)[:, None] + np.arange(_CONTEXT + 1)
    windows = torch.tensor(codes[places], dtype=torch.long)
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def _picture(label: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A shape, turned by up to 17 degrees, on a slope of brightness, under noise of a third of full contrast."""
    centre, size, angle = rng.uniform(5.5, 9.5, 2), rng.uniform(3.5, 5.5), rng.uniform(-0.3, 0.3)
    y, x = (np.mgrid[:_SIDE, :_SIDE] - centre[:, None, None]) / size
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    far, near, radius = np.maximum(abs(u), abs(v)), np.minimum(abs(u), abs(v)), np.hypot(u, v)
    inside = (
        radius < 1,
        (radius < 1) & (radius > 0.6),
        far < 0.85,
        (far < 0.85) & (far > 0.5),
        (v < 0.7) & (abs(u) < 0.55 * (v + 0.9)),
        (far < 1) & (near < 0.25),
        (far < 1) & (abs(abs(u) - abs(v)) < 0.35),
        (far < 1) & (np.sin(7 * v) > 0),
        (far < 1) & (np.sin(7 * u) > 0),
        (far < 1) & (np.sin(5 * u) * np.sin(5 * v) > 0),
    )[label]
    slope = rng.uniform(-0.03, 0.03, 2)
    return rng.uniform(0.6, 1.2) * inside - 0.4 + slope[0] * (x * size) + slope[1] * (y * size) + rng.normal(0, 0.33, inside.shape)
