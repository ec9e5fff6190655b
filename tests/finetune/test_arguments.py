"""A wrong argument of any public function is one sentence with its name, its value and what is allowed, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from accelsim.errors import AccelsimError, ConfigError, FormatError, ImportModelError, TraceError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from accelsim import finetune  # noqa: E402 (it imports torch)
from tests.finetune.tiny_models import TinyNetwork, tiny_data, tiny_network  # noqa: E402

IMAGES, CLASSES = tiny_data()


class Other:
    """An object of a type that nothing takes."""

    def __repr__(self) -> str:
        return "Other()"


OTHERS = (None, 3, "text", [1, 2], {"a": 1}, Other(), np.zeros(3))


def prepared() -> TinyNetwork:
    return finetune.prepare(tiny_network(), "vq:k=8,d=4")


def tuned(**options: Any) -> Any:
    settings = {"settings": finetune.Settings(epochs=1)}
    return finetune.finetune(prepared(), **{"inputs": IMAGES, "targets": CLASSES, **settings, **options})


def exported(**options: Any) -> Any:
    return finetune.export(prepared(), **{"example": IMAGES[:1], **options})


def check(call: Callable[[], Any], text: str, error: type[AccelsimError] = ConfigError) -> None:
    with pytest.raises(error, match=text) as found:
        call()
    assert "\n" not in str(found.value)
    assert "allowed" in str(found.value)


@pytest.mark.parametrize("value", OTHERS, ids=repr)
def test_something_that_is_no_model_is_refused_by_all(value: Any) -> None:
    for call in (
        lambda: finetune.prepare(value, "vq:k=8,d=4"),
        lambda: finetune.prepared_layers(value),
        lambda: finetune.finetune(value, IMAGES, CLASSES),
        lambda: finetune.export(value, IMAGES[:1]),
    ):
        check(call, r"^model: .* is of type \w+; allowed: a torch\.nn\.Module")
    check(lambda: finetune.distilled(value), r"^teacher: .*; allowed: a torch\.nn\.Module")
    check(lambda: finetune.prepare(tiny_network(), "vq:k=8,d=4", companions=[value]), r"^an item of companions: .*; allowed: a torch\.nn")


@pytest.mark.parametrize("value", [None, 3, [1, 2], {"*": "vq:k=8,d=4"}, Other()], ids=repr)
def test_something_that_is_no_recipe_is_refused(value: Any) -> None:
    check(lambda: finetune.prepare(tiny_network(), value), r"^recipe: .* is of type \w+; allowed: a text such as")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"layers": 3}, r"^layers: 3 is of type int; allowed"),
        ({"seed": "1"}, r"^seed: '?1'? is of type str; allowed: a whole number"),
        ({"seed": True}, r"^seed: true is of type bool; allowed"),
        ({"seed": -1}, r"^seed has value -1; allowed"),
        ({"companions": tiny_network()}, r"^companions: .* is of type TinyNetwork; allowed: a list or tuple"),
        ({"example": IMAGES[:1].numpy()}, r"^example: .* is of type ndarray; allowed: a torch\.Tensor \(torch\.from_numpy makes one\)"),
        ({"example": [[0.0]]}, r"^example: .* is of type list; allowed: a torch\.Tensor$"),
        ({"example": IMAGES[:2]}, r"^example has 2 samples; allowed: 1"),
        ({"example": torch.tensor(1.0)}, r"^example is a single number; allowed"),
    ],
)
def test_a_wrong_option_of_prepare_is_refused_and_the_model_left_alone(options: dict[str, Any], text: str) -> None:
    model = tiny_network()
    before = list(model.state_dict())
    check(lambda: finetune.prepare(model, "vq:k=8,d=4", **options), text)
    assert list(model.state_dict()) == before


def test_an_example_that_the_model_cannot_run_on_is_refused() -> None:
    for example in (torch.zeros(1, 7), torch.zeros(1, 1, 4, 4, dtype=torch.float64), torch.zeros(1, 1, 4, 4, dtype=torch.int64)):
        with pytest.raises(ImportModelError, match=r"torch\.export cannot export TinyNetwork on an example of torch\.\w+ \[1, "):
            finetune.prepare(tiny_network(), "vq:k=8,d=4", example=example)


def test_options_of_a_text_beside_a_recipe_are_not_dropped() -> None:
    from accelsim.compression.recipe import make_recipe

    recipe = make_recipe("vq:k=8,d=4")
    check(lambda: finetune.prepare(tiny_network(), recipe, layers="*"), "`layers` and `seed` belong to a recipe that is given as a text")
    check(lambda: finetune.prepare(tiny_network(), recipe, seed=1), "`layers` and `seed` belong to a recipe that is given as a text")


@pytest.mark.parametrize("kind", ["vq", "ssvq", "universal_vq", "masked_vq"])
def test_a_format_that_does_not_fit_names_the_layer(kind: str) -> None:
    text = f"{kind}:k=8,d=6" + (",keep=1,of=2" if kind == "masked_vq" else "")
    with pytest.raises(FormatError, match=r"^layer 'blocks\.0\.2': .*d=6 does not divide"):
        finetune.prepare(tiny_network(), text, layers="blocks.0.2")


@pytest.mark.parametrize("what", ["inputs", "targets"])
@pytest.mark.parametrize("value", [None, 3, "text", [0.0] * 48, np.zeros((48, 1, 4, 4)), Other()], ids=lambda value: type(value).__name__)
def test_data_that_are_no_tensors_are_refused(what: str, value: Any) -> None:
    check(lambda: tuned(**{what: value}), rf"^{what}: .* is of type \w+; allowed: a torch\.Tensor")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"inputs": IMAGES[0, 0, 0, 0]}, "^inputs is a single number"),
        ({"inputs": IMAGES[:0], "targets": CLASSES[:0]}, "^0 inputs and 0 targets"),
        ({"targets": CLASSES.float()}, r"^targets are torch\.float32 of shape \[48\]; allowed: classes, torch\.int64 of shape \[48\]"),
        ({"targets": CLASSES.int()}, r"^targets are torch\.int32 of shape \[48\]; allowed: classes, torch\.int64"),
        ({"targets": CLASSES[:, None]}, r"^targets are torch\.int64 of shape \[48, 1\]; allowed: classes, torch\.int64 of shape \[48\]"),
        ({"targets": CLASSES + 1}, "^targets hold class 3; allowed: 0 to 2"),
        ({"targets": CLASSES - 1}, "^targets hold class -1; allowed: 0 to 2"),
        ({"settings": {"epochs": 1}}, "^settings: .* is of type dict; allowed: a Settings"),
        ({"loss": "mse"}, r"^loss: .*mse.* is of type str; allowed: a function of \(model, inputs, targets\)"),
        ({"loss": lambda *_: 1.0}, r"^the result of `loss`: 1\.0 is of type float; allowed: a tensor of one element"),
        ({"loss": lambda model, inputs, targets: model(inputs)}, "^the result of `loss`: .* is of type Tensor; allowed: a tensor of one"),
        ({"loss": lambda *_: torch.tensor(1.0)}, "^the result of `loss` depends on nothing that learns; allowed"),
        ({"checkpoint": 3}, "^checkpoint: 3 is of type int; allowed: a path"),
        ({"checkpoint": "a\0b"}, "^checkpoint: .* cannot be a file's name; allowed"),
        ({"checkpoint_every": 0}, "^checkpoint_every has value 0; allowed: 1 or more"),
        ({"checkpoint_every": 2.5}, r"^checkpoint_every: 2\.5 is of type float; allowed: a whole number"),
        ({"stop_after": "3"}, "^stop_after: .*3.* is of type str; allowed: a whole number"),
        ({"stop_after": 0}, "^stop_after has value 0; allowed"),
        ({"progress": 3}, "^progress: 3 is of type int; allowed: True, False"),
        ({"check_export": "no"}, "^check_export: .*no.* is of type str; allowed: True or False"),
        ({"inputs": IMAGES.double(), "check_export": False}, r"^TinyNetwork does not take inputs of torch\.float64 \[1, 1, 4, 4\]: "),
    ],
)
def test_a_wrong_argument_of_finetune_is_refused(options: dict[str, Any], text: str) -> None:
    check(lambda: tuned(**options), text)


def test_shares_of_classes_and_ignored_targets_are_taken() -> None:
    shares = torch.nn.functional.one_hot(CLASSES, 3).float()
    assert tuned(targets=shares).loss == pytest.approx(tuned().loss, rel=1e-5)
    some = CLASSES.clone()
    some[::2] = -100
    assert tuned(targets=some).step == 1


NUMBERS = ("2", None, True, [1], Other(), float("nan"), float("inf"), -1)


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
@pytest.mark.parametrize("field", ["learning_rate", "latent_rate", "weight_decay", "ratio_weight", "alpha"])
def test_a_wrong_number_of_the_settings_is_refused(field: str, value: Any) -> None:
    if (field, value) != ("alpha", None):
        check(lambda: finetune.Settings(**{field: value}), rf"^settings: `{field}`(:| has value) .*; allowed: a (finite )?number")


@pytest.mark.parametrize("value", ["2", None, True, [1], Other(), float("nan"), 1.5, -1], ids=repr)
@pytest.mark.parametrize("field", ["epochs", "batch", "seed"])
def test_a_wrong_whole_number_of_the_settings_is_refused(field: str, value: Any) -> None:
    check(lambda: finetune.Settings(**{field: value}), rf"^settings: `{field}`(:| has value) .*; allowed")


def test_numpy_numbers_are_taken() -> None:
    assert finetune.Settings(epochs=np.int64(2), learning_rate=np.float32(0.5)).epochs == 2


@pytest.mark.parametrize("value", [True, "usual", 3, Other()], ids=repr)
def test_something_that_is_no_freezing_is_refused(value: Any) -> None:
    check(lambda: finetune.Settings(freezing=value), "^settings: `freezing`: .*; allowed: a Freezing, or None")


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
@pytest.mark.parametrize("field", ["first", "last", "momentum", "every"])
def test_a_wrong_number_of_the_freezing_is_refused(field: str, value: Any) -> None:
    check(lambda: finetune.Freezing(**{field: value}), rf"^freezing: `{field}`.*; allowed")


@pytest.mark.parametrize(("step", "steps"), [(0, 0), (5, 4), (-1, 4), (1.5, 4), (1, "4"), (1, None)])
def test_a_step_outside_the_run_has_no_threshold(step: Any, steps: Any) -> None:
    check(lambda: finetune.Freezing().threshold(step, steps), "^steps?(:| has value) .*; allowed")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        *(({"weight": value}, "^distillation: `weight`(:| has value) .*; allowed: a (finite )?number") for value in NUMBERS),
        ({"blocks": "blocks"}, "^blocks: .* is of type str; allowed: a list"),
        ({"blocks": [3]}, "^an item of blocks: 3 is of type int; allowed"),
        ({"loss": None}, "^loss: null is of type NoneType; allowed: a function"),
    ],
)
def test_a_wrong_argument_of_distilled_is_refused(options: dict[str, Any], text: str) -> None:
    check(lambda: finetune.distilled(tiny_network(), **options), text)


def test_a_teacher_of_other_blocks_or_shapes_is_refused_by_its_loss() -> None:
    class Wider(torch.nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList([torch.nn.Linear(4, size)])

        def forward(self, inputs: Any) -> Any:
            return self.parts[0](inputs)

    loss = finetune.distilled(Wider(3), loss=lambda model, inputs, targets: model(inputs).sum())
    with pytest.raises(ConfigError, match=r"`blocks` names 'parts\.0', which is no module of Linear"):
        loss(torch.nn.Linear(4, 3), torch.zeros(2, 4), torch.zeros(2))
    with pytest.raises(ConfigError, match=r"shapes \[\[2, 5\]\], the teacher's \[\[2, 3\]\]; allowed"):
        loss(Wider(5), torch.zeros(2, 4), torch.zeros(2))


@pytest.mark.parametrize(
    ("options", "text", "error"),
    [
        ({"example": None}, r"^example: null is of type NoneType; allowed: a torch\.Tensor", ConfigError),
        ({"example": IMAGES[:1].numpy()}, "^example: .* is of type ndarray; allowed", ConfigError),
        ({"example": IMAGES[:2]}, "^example has 2 samples; allowed: 1", ConfigError),
        ({"out": 3}, "^out: 3 is of type int; allowed: a path", ConfigError),
        ({"name": 3}, "^name: 3 is of type int; allowed: a text", ConfigError),
        ({"metrics": [0.5]}, "^metrics: .* is of type list; allowed: a mapping", ConfigError),
        ({"metrics": {"top1": "high"}}, "metrics", TraceError),
        ({"calibration": IMAGES.numpy()}, "^calibration: .* is of type ndarray; allowed", ConfigError),
        ({"calibration": IMAGES, "method": None}, "^method has value null; allowed", ConfigError),
    ],
)
def test_a_wrong_argument_of_export_is_refused(options: dict[str, Any], text: str, error: type[AccelsimError]) -> None:
    with pytest.raises(error, match=text):
        exported(**options)
