"""A format per layer of the digits ViT by simulated cost, against the best uniform choice: error, time and accuracy.

One seed and 400 test images: a percent is four of them. Errors are measured on 32 training images; accuracies are those of PyTorch, with
float activations, after compression and after fine-tuning with equal settings.

    python -m notebooks.examples.format_per_layer
"""

from __future__ import annotations

import copy
from typing import Any

import torch

import accelsim
from accelsim import finetune
from accelsim.compression.recipe import Recipe
from notebooks.examples.digits_vit import Digits, accuracy, digits, train, with_weights

CHIP = "mcu-16x16"
CANDIDATES = ("uniform:bits=4", "vecq:bits=2", "vq:k=64,d=4", "ssvq:k=16,d=8", "ssvq:k=4,d=8")
SAMPLES = 32  # training images on which errors are measured
SHARES = (0.1, 0.25, 0.5)  # of the way from the fastest uniform choice to the slowest
SETTINGS = finetune.Settings(epochs=2)


def tuned_accuracy(network: Any, data: Digits, recipe: str | Recipe) -> float:
    """Accuracy after fine-tuning a copy of the network."""
    torch.manual_seed(0)
    model = finetune.prepare(copy.deepcopy(network), recipe)
    finetune.finetune(model, data.train_images, data.train_digits, settings=SETTINGS)
    return accuracy(model, data)


def main() -> None:
    """Train, and print the mix and the best uniform choice of each budget as a table in Markdown."""
    torch.set_num_threads(1)  # matrices this small gain nothing from more
    data = digits()
    network = train(data)
    free = finetune.choose_formats(network, CHIP, CANDIDATES, data.train_images[:SAMPLES], name="digits_vit")
    source = accelsim.import_model(torch.export.export(network, (data.train_images[:1],)), name="digits_vit")
    times = sorted(row["milliseconds"] for row in free.choices())
    print(f"float32: {100 * accuracy(network, data):.2f} %")
    print("| budget, us | choice | error, sum | whole | predicted, us | simulated | area, mm2 | compressed | fine-tuned |")
    print("|---|---|---|---|---|---|---|---|---|")
    for share in SHARES:
        budget = times[0] + share * (times[-1] - times[0])
        choice = accelsim.choose_formats(CHIP, source, CANDIDATES, data.train_images[:SAMPLES].numpy(), milliseconds=budget)
        best = choice.record.best_uniform
        for item, recipe in ((choice.record.mix, choice.recipe), *([(best, best.name)] if best is not None else [])):
            name = f"`{item.name}`" if item is best else f"mix of {len(set(item.formats))} formats"
            us = 1e6 / item.chip.clock
            times_us = f"{us * item.predicted_cycles:.2f} | {us * item.cycles:.2f}"
            reached = 100 * accuracy(with_weights(network, item.trace), data), 100 * tuned_accuracy(network, data, recipe)
            errors = f"{item.error:.4f} | {item.whole_error:.4f}"
            figures = f"{errors} | {times_us} | {item.area_um2.nominal / 1e6:.2f} | {reached[0]:.2f} % | {reached[1]:.2f} %"
            print(f"| {1e3 * budget:.2f} | {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
