"""Training follows a slow twin, step by step: weights, gradients, AdamW, cosine, penalty, freezing, construction from their definitions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from accelsim.finetune import Freezing, Settings, finetune, prepare, prepared_layers  # noqa: E402 (it imports torch)
from tests.finetune.tiny_models import tiny_data, tiny_network  # noqa: E402

SAMPLES = 48


def straight(value: Any, hard: Any) -> Any:
    """`hard` forwards, the gradient of `value` backwards."""
    return hard + value - value.detach()


@dataclass
class TwinLayer:
    """A layer's tensors that learn and what is fixed, copied from a prepared model before its first step."""

    name: str
    kind: str
    spec: Any
    shape: tuple[int, ...]
    parts: list[Any]
    fixed: dict[str, Any]
    signs: Any = None
    votes: Any = None
    average: Any = None
    flips: Any = None
    frozen: Any = None
    chosen: dict[tuple[int, ...], int] = field(default_factory=dict)

    @classmethod
    def of(cls, layer: Any) -> TwinLayer:
        parts = [part.detach().clone().requires_grad_() for part in layer.parts]
        fixed = {name: item.detach().clone() for name, item in layer.quantizer.named_buffers()}
        found = cls(layer.name, layer.quantizer.spec.kind, layer.quantizer.spec, tuple(layer.module.weight.shape), parts, fixed)
        if found.kind == "ssvq":
            found.signs = torch.where(parts[1].detach() < 0, -1.0, 1.0)
            found.votes, found.average, found.flips = (torch.zeros_like(found.signs) for _ in range(3))
            found.frozen = torch.zeros(found.signs.shape, dtype=torch.bool)
        return found

    def weight(self) -> Any:
        """The module's weight, whose first dimension is the outputs."""
        return getattr(self, f"_{self.kind}")().T.reshape(self.shape)

    def _uniform(self) -> Any:
        (weights,) = self.parts
        top = 2 ** (self.spec.bits - 1) - 1
        step = weights.detach().abs().amax(dim=0) / top
        return straight(weights, (weights.detach() / step).round() * step)

    def _book(self, codewords: Any) -> Any:
        """The looked-up codewords, in int8 levels of one step."""
        indices, unit = self.fixed["codebook.indices"], self.fixed["codebook.unit"]
        step = codewords.detach().abs().max() / 127
        rounded = straight(codewords, (codewords.detach() / step).round() * step)
        return rounded[indices].reshape(indices.shape[0], -1) * unit

    def _vq(self) -> Any:
        return self._book(self.parts[0])

    def _masked_vq(self) -> Any:
        return self._book(self.parts[0]) * self.fixed["kept"]

    def _ssvq(self) -> Any:
        codewords, latents = self.parts
        learning = torch.where(self.frozen, latents.detach(), latents)
        return self._book(codewords.clamp(min=0)) * straight(learning, self.signs)

    def ratios(self) -> Any:
        shares = self.parts[0].exp() / self.parts[0].exp().sum(-1, keepdim=True)
        fixed = shares.clone()
        for place, choice in self.chosen.items():
            fixed[place] = torch.eye(shares.shape[-1])[choice]
        return fixed

    def _universal_vq(self) -> Any:
        candidates = self.fixed["codebook"].float()[self.fixed["candidates"]]
        mixed = (self.ratios()[..., None] * candidates).sum(-2)
        return mixed.reshape(mixed.shape[0], -1) * self.fixed["scale"]

    def penalty(self) -> Any:
        shares = self.ratios()
        return shares.shape[-1] * (shares - shares**2).mean()

    def is_latent(self, place: int) -> bool:
        return (self.kind, place) in {("ssvq", 1), ("universal_vq", 0)}

    def follow(self, step: int, steps: int, settings: Any) -> int:
        """Freezing and construction after a step; the number of signs that it flipped."""
        if self.kind == "universal_vq" and settings.alpha is not None:
            shares = self.ratios().detach()
            for place in np.ndindex(tuple(shares.shape[:-1])):
                if place not in self.chosen and float(shares[place].max()) > settings.alpha:
                    self.chosen[place] = int(shares[place].argmax())
        if self.kind != "ssvq":
            return 0
        now = torch.where(self.frozen, self.signs, torch.where(self.parts[1].detach() < 0, -1.0, 1.0))
        flipped = now != self.signs
        plan = settings.freezing
        if plan is not None:
            self.flips = plan.momentum * self.flips + (1 - plan.momentum) * flipped.float()
            self.average = plan.momentum * self.average + (1 - plan.momentum) * now
            self.votes = self.votes + now
            threshold = plan.last + (plan.first - plan.last) * (1 + math.cos(math.pi * step / steps)) / 2
            if step % plan.every == 0:
                due = (self.flips > threshold) & ~self.frozen
                balance = self.votes if plan.sign == "vote" else self.average
                now = torch.where(due & (balance != 0), balance.sign(), now)
                self.frozen = self.frozen | due
        self.signs = now
        return int(flipped.sum())


@dataclass
class Twin:
    layers: list[TwinLayer]
    others: dict[str, Any]
    loss: float = math.nan
    flips: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, model: Any) -> Twin:
        others = {name: item.detach().clone().requires_grad_() for name, item in model.named_parameters() if "parametrizations" not in name}
        return cls([TwinLayer.of(layer) for layer in prepared_layers(model)], others)

    def train(self, settings: Any, until: int) -> None:
        images, classes = tiny_data(SAMPLES)
        bare, per_epoch = tiny_network(), math.ceil(SAMPLES / settings.batch)
        steps = per_epoch * settings.epochs
        learning = [(item, False) for item in self.others.values()]
        learning += [(part, layer.is_latent(place)) for layer in self.layers for place, part in enumerate(layer.parts)]
        moments = [(torch.zeros_like(item), torch.zeros_like(item)) for item, _ in learning]
        for step in range(until):
            epoch, place = divmod(step, per_epoch)
            order = np.random.default_rng([settings.seed, epoch]).permutation(SAMPLES)
            some = torch.tensor(order[place * settings.batch : (place + 1) * settings.batch])
            weights = {f"{layer.name}.weight": layer.weight() for layer in self.layers}
            logits = torch.func.functional_call(bare, {**weights, **self.others}, images[some])
            value = (logits.exp().sum(1).log() - logits[torch.arange(len(some)), classes[some]]).mean()
            penalties = [layer.penalty() for layer in self.layers if layer.kind == "universal_vq"]
            if penalties:
                value = value + settings.ratio_weight * sum(penalties) / len(penalties)
            self.loss = float(value.detach())
            gradients = torch.autograd.grad(value, [item for item, _ in learning])
            cosine = (1 + math.cos(math.pi * step / steps)) / 2
            with torch.no_grad():
                for (item, latent), (first, second), gradient in zip(learning, moments, gradients, strict=True):
                    rate = cosine * (settings.latent_rate if latent else settings.learning_rate)
                    first.mul_(0.9).add_(0.1 * gradient)
                    second.mul_(0.999).add_(0.001 * gradient**2)
                    if not latent:
                        item.mul_(1 - rate * settings.weight_decay)
                    corrected = (second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
                    item.sub_(rate * (first / (1 - 0.9 ** (step + 1))) / corrected)
            self.flips.append(sum(layer.follow(step + 1, steps, settings) for layer in self.layers))


FREEZING = Freezing(every=4, first=0.06, last=0.01, momentum=0.8)
CASES = {
    "vq": ("vq:k=8,d=4", {}),
    "masked_vq": ("masked_vq:k=8,d=4,keep=2,of=4", {}),
    "uniform": ("uniform:bits=3", {}),
    "ssvq": ("ssvq:k=4,d=4", {"freezing": FREEZING}),
    "ssvq to the average": ("ssvq:k=4,d=4", {"freezing": Freezing(every=4, first=0.06, last=0.01, momentum=0.8, sign="average")}),
    "ssvq without freezing": ("ssvq:k=4,d=4", {"freezing": None}),
    "ssvq with fixed signs": ("ssvq:k=4,d=4", {"latent_rate": 0.0}),
    "universal_vq": ("universal_vq:k=16,d=2", {"alpha": 0.6, "ratio_weight": 0.7, "latent_rate": 0.2}),
    "universal_vq without construction": ("universal_vq:k=16,d=2", {"alpha": None, "ratio_weight": 0.0}),
}


def apart(found: Any, meant: Any, start: Any) -> float:
    """How far two tensors lie apart, over the way of the twin's: Adam's step of an element without a slope is that of its rounding."""
    way = float((meant - start).detach().norm())
    difference = float((found - meant).detach().norm())
    return difference / way if way else difference


def run_of(case: str) -> tuple[str, Any]:
    text, options = CASES[case]
    usual = {"epochs": 4, "batch": 10, "learning_rate": 2e-2, "latent_rate": 5e-2, "weight_decay": 0.3, "seed": 2}
    return text, Settings(**{**usual, **options})


@pytest.mark.parametrize("case", CASES)
def test_training_follows_the_slow_twin(case: str) -> None:
    text, settings = run_of(case)
    model = prepare(tiny_network(), text)
    twin = Twin.of(model)
    start = {name: item.detach().clone() for name, item in twin.others.items()}
    begun = {layer.name: [part.detach().clone() for part in layer.parts] for layer in twin.layers}
    done = finetune(model, *tiny_data(SAMPLES), settings=settings, check_export=False, stop_after=12)
    twin.train(settings, 12)
    assert done.loss == pytest.approx(twin.loss, rel=1e-4)
    assert list(done.flips) == twin.flips
    for name, item in twin.others.items():
        assert apart(model.get_parameter(name), item, start[name]) < 1e-3
    for layer, meant in zip(prepared_layers(model), twin.layers, strict=True):
        for part, own, first in zip(layer.parts, meant.parts, begun[meant.name], strict=True):
            assert apart(part, own, first) < 1e-3
        if meant.kind == "ssvq":
            assert torch.equal(layer.quantizer.frozen, meant.frozen)
            assert np.array_equal(layer.arrays()["signs"], (meant.signs < 0).numpy())
        if meant.kind == "universal_vq":
            assert {tuple(place) for place in layer.quantizer.frozen.nonzero().tolist()} == set(meant.chosen)
            assert all(int(layer.quantizer.chosen[place]) == choice for place, choice in meant.chosen.items())


def test_the_twin_meets_what_it_is_to_decide() -> None:
    """Some signs freeze and others flip, some subvectors are constructed and others are not, or the comparison above would say less."""
    for case in ("ssvq", "universal_vq"):
        text, settings = run_of(case)
        twin = Twin.of(prepare(tiny_network(), text))
        twin.train(settings, 12)
        for layer in twin.layers:
            if layer.kind == "ssvq":
                assert 0 < int(layer.frozen.sum()) < layer.frozen.numel()
            if layer.kind == "universal_vq":
                assert 0 < len(layer.chosen) < math.prod(layer.fixed["candidates"].shape[:-1])
        assert case != "ssvq" or sum(twin.flips) > 0
