"""From a float ViT to SSVQ and VQ traces to accuracy, latency and area, on scikit-learn's digits: `make finetune-demo`.

One seed and 400 test images: a percent is four of them. Accuracies are those of PyTorch, with float activations, and those of the chip,
whose integers compute the whole network.

    python -m notebooks.examples finetune_demo [FOLDER]
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import accelsim
from accelsim import finetune
from accelsim.compiler.codebook_fit import codebook_overrides
from notebooks.examples.digits_vit import Digits, accuracy, digits, train
from notebooks.examples.trace_accuracy import write_sweep

CHIP = "edge-64x64"
CALIBRATION = 128  # training images on which the scales of activations are measured
SETTINGS = finetune.Settings(freezing=finetune.Freezing(every=20))  # of 176 steps; the default's 500 would freeze no sign
FORMATS = ("uniform:bits=8", "vq:k=64,d=4", "ssvq:k=16,d=8")  # the last two: 1.5 bits per weight in the blocks


def tuned(network: Any, data: Digits, text: str, folder: Path) -> tuple[float, Any, accelsim.Trace]:
    """The accuracy before fine-tuning in a format, the model after it, and its trace, also left in `folder`."""
    name = "digits_vit_" + "_".join(text.replace(":", ",").replace("=", "").split(","))
    model = finetune.prepare(copy.deepcopy(network), text, example=data.train_images[:1]).eval()
    before = accuracy(model, data)
    finetune.finetune(model, data.train_images, data.train_digits, settings=SETTINGS, checkpoint=folder / f"{name}.pt", progress=True)
    metrics = {"top1_accuracy": accuracy(model, data)}
    images = data.train_images[:CALIBRATION]
    return before, model, finetune.export(model, images[:1], out=folder / name, metrics=metrics, calibration=images)


def chip_classes(chip: Any, trace: accelsim.Trace, images: torch.Tensor) -> npt.NDArray[np.int64]:
    """The classes that the chip's integers name for images [count, ...]."""
    (logits,) = accelsim.execute(chip, trace, images.numpy()).integers.values()
    return logits.reshape(len(images), -1).argmax(axis=1)


def model_classes(model: Any, images: torch.Tensor) -> npt.NDArray[np.int64]:
    """The classes that the PyTorch model names."""
    with torch.no_grad():
        return model(images).logits.argmax(dim=1).numpy()


def main(folder: Path) -> None:
    """Train, fine-tune in each format, simulate, and print a line for each."""
    torch.set_num_threads(1)  # matrices this small gain nothing from more
    folder.mkdir(parents=True, exist_ok=True)
    data = digits()
    network = train(data)
    print(f"float32: {100 * accuracy(network, data):.2f} %")
    print(f"{'format':18}{'compressed':>12}{'fine-tuned':>12}{'on chip':>10}{'same class':>12}{'us':>10}{'area, mm2':>12}")
    chip = accelsim.load_accelerator(CHIP)
    traces = []
    for text in FORMATS:
        before, model, trace = tuned(network, data, text, folder)
        traces.append(trace.name)
        fitted = accelsim.load_accelerator(CHIP, set=codebook_overrides(chip, trace.record))
        result = accelsim.simulate(fitted, trace)
        on_chip, in_pytorch = chip_classes(fitted, trace, data.test_images), model_classes(model, data.test_images)
        right, same = (on_chip == data.test_digits.numpy()).mean(), (on_chip == in_pytorch).mean()
        accuracies = f"{100 * before:10.2f} %{100 * accuracy(model, data):10.2f} %{100 * right:8.2f} %{100 * same:10.2f} %"
        print(f"{text:18}{accuracies}{1e3 * result.milliseconds:10.2f}{result.cost().area_mm2.nominal:12.2f}")
    print(f"on other chips: accelsim sweep {write_sweep(folder, traces)} --accuracy notebooks/examples/trace_accuracy.py:accuracy")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/finetune_demo"))
