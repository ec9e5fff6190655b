"""Training lowers the loss in every format, and an interrupted run ends at the bits of one that was not interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accelsim.errors import ConfigError, FormatError, OutputError
from tests.zip_bombs import bombed_copy

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

RECIPES = (
    *("uniform:bits=3", "int_group:bits=3,group=8", "vecq:bits=3"),
    *("vq:k=8,d=4", "ssvq:k=4,d=4", "masked_vq:k=8,d=4,keep=2,of=4", "universal_vq:k=16,d=2"),
)


def network(recipe: str, **options: Any) -> Any:
    from accelsim.finetune import prepare
    from tests.finetune.tiny_models import tiny_network

    return prepare(tiny_network(**options), recipe)


def settings(**fields: Any) -> Any:
    from accelsim.finetune import Freezing, Settings

    usual = {"epochs": 4, "batch": 10, "learning_rate": 1e-2, "freezing": Freezing(every=4, first=0.02, last=0.001, momentum=0.8)}
    return Settings(**{**usual, **fields})


def train(model: Any, **options: Any) -> Any:
    from accelsim.finetune import finetune
    from tests.finetune.tiny_models import tiny_data

    return finetune(model, *tiny_data(), **{"settings": settings(), "check_export": False, **options})


def total_loss(model: Any) -> float:
    from tests.finetune.tiny_models import tiny_data

    images, classes = tiny_data()
    with torch.no_grad():
        return float(torch.nn.functional.cross_entropy(model(images), classes))


@pytest.mark.parametrize("recipe", RECIPES)
def test_training_lowers_the_loss(recipe: str) -> None:
    model = network(recipe)
    before = total_loss(model)
    done = train(model, settings=settings(epochs=12))
    assert done.step == done.steps == 12 * 5  # 48 samples in batches of 10: 5 steps an epoch
    assert total_loss(model) < 0.9 * before
    assert not model.training


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("stop", [1, 7, 10])
def test_an_interrupted_run_ends_at_the_same_bits(recipe: str, stop: int, tmp_path: Path) -> None:
    whole, file = network(recipe, dropout=0.3), tmp_path / "run.pt"
    end = train(whole)
    stopped = train(network(recipe, dropout=0.3), checkpoint=file, stop_after=stop)
    assert (stopped.step, stopped.steps) == (stop, 20)
    torch.rand(3)  # other random numbers are drawn in between
    resumed = network(recipe, dropout=0.3)
    assert train(resumed, checkpoint=file) == end
    found, meant = resumed.state_dict(), whole.state_dict()
    assert list(found) == list(meant)
    for name, tensor in meant.items():
        assert torch.equal(found[name], tensor), name


def test_signs_are_frozen_in_the_run_that_is_resumed() -> None:
    """The equality above covers freezing only if some signs are frozen and others are not."""
    model = network("ssvq:k=4,d=4", dropout=0.3)
    train(model)
    frozen = model.blocks[0][0].parametrizations.weight[0].frozen
    assert frozen.any()
    assert not frozen.all()


def test_a_kill_between_checkpoints_repeats_the_steps_since_the_last(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(_: str, done: int, total: int) -> None:
        if done == 9:
            raise Killed

    whole, file = network("ssvq:k=4,d=4"), tmp_path / "run.pt"
    train(whole)
    with pytest.raises(Killed):
        train(network("ssvq:k=4,d=4"), checkpoint=file, checkpoint_every=4, progress=kill)
    steps: list[int] = []
    resumed = network("ssvq:k=4,d=4")
    train(resumed, checkpoint=file, progress=lambda phase, done, total: steps.append(done))
    assert steps == list(range(8, 20))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("stop", [3, 9])  # before the first checkpoint, and between two
def test_the_model_of_a_run_that_ctrl_c_ended_continues_it(recipe: str, stop: int, tmp_path: Path) -> None:
    """As in a notebook, whose cell is run again on the same model."""

    def interrupt(_: str, done: int, total: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    whole, model, file = network(recipe, dropout=0.3), network(recipe, dropout=0.3), tmp_path / "run.pt"
    end = train(whole)
    with pytest.raises(KeyboardInterrupt):
        train(model, checkpoint=file, checkpoint_every=4, progress=interrupt)
    assert not model.training
    assert train(model, checkpoint=file) == end
    for name, tensor in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_checkpoint_that_cannot_be_written_leaves_the_trained_weights(tmp_path: Path) -> None:
    trained, model = network("vq:k=8,d=4"), network("vq:k=8,d=4")
    train(trained, stop_after=4)
    with pytest.raises(OutputError):
        train(model, checkpoint=tmp_path / "absent" / "run.pt", checkpoint_every=4)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = train(network("vq:k=8,d=4"), checkpoint=tmp_path / "run.pt")
    assert train(network("vq:k=8,d=4"), checkpoint=tmp_path / "run.pt") == first


def test_training_leaves_the_callers_random_numbers_alone() -> None:
    model = network("vq:k=8,d=4", dropout=0.3)
    torch.manual_seed(11)
    meant = torch.rand(4)
    torch.manual_seed(11)
    train(model)
    assert torch.equal(torch.rand(4), meant)


def test_another_loss_takes_the_place_of_cross_entropy() -> None:
    seen = []

    def loss(model: Any, inputs: Any, targets: Any) -> Any:
        seen.append(len(inputs))
        return model(inputs).square().mean()

    train(network("vq:k=8,d=4"), loss=loss, stop_after=5)
    assert seen == [10, 10, 10, 10, 8]


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": "ssvq:k=5,d=4"},
        {"recipe": "ssvq:k=4,d=4", "settings": {"learning_rate": 2e-2}},
        {"recipe": "ssvq:k=4,d=4", "settings": {"seed": 1}},
    ],
)
def test_a_checkpoint_of_another_run_is_refused(other: dict[str, Any], tmp_path: Path) -> None:
    train(network("ssvq:k=4,d=4"), checkpoint=tmp_path / "run.pt", stop_after=2)
    with pytest.raises(ConfigError, match=r"run\.pt: is a checkpoint of another run; allowed"):
        train(network(other["recipe"]), settings=settings(**other.get("settings", {})), checkpoint=tmp_path / "run.pt")


def test_a_checkpoint_of_another_format_of_the_same_weights_or_of_other_data_is_refused(tmp_path: Path) -> None:
    """The tensors that learn are the float weights in both formats."""
    from accelsim.finetune import finetune
    from tests.finetune.tiny_models import tiny_data

    train(network("uniform:bits=3"), checkpoint=tmp_path / "run.pt", stop_after=2)
    with pytest.raises(ConfigError, match=r"run\.pt: is a checkpoint of another run"):
        train(network("uniform:bits=4"), checkpoint=tmp_path / "run.pt")
    images, classes = tiny_data()
    for data in ((images + 1, classes), (images, classes.flip(0))):
        with pytest.raises(ConfigError, match=r"run\.pt: is a checkpoint of another run"):
            finetune(network("uniform:bits=3"), *data, settings=settings(), check_export=False, checkpoint=tmp_path / "run.pt")


def test_a_checkpoint_of_the_same_shapes_with_other_weights_is_refused(tmp_path: Path) -> None:
    train(network("ssvq:k=4,d=4"), checkpoint=tmp_path / "run.pt", stop_after=2)
    other = network("ssvq:k=4,d=4")
    with torch.no_grad():
        next(other.parameters()).mul_(1.5)
    before = {name: item.clone() for name, item in other.state_dict().items()}
    with pytest.raises(ConfigError, match=r"run\.pt: is a checkpoint of another run; allowed: the same model, weights"):
        train(other, checkpoint=tmp_path / "run.pt")
    assert all(torch.equal(item, before[name]) for name, item in other.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.pt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"run\.pt: is no checkpoint"):
        train(network("vq:k=8,d=4"), checkpoint=tmp_path / "run.pt")


def test_a_checkpoint_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, tmp_path / "whole.pt")
    with pytest.raises(ConfigError, match=r"run\.pt: its \d+ entries unpack to 314,\d{3},\d{3} bytes; allowed"):
        train(network("vq:k=8,d=4"), checkpoint=bombed_copy(tmp_path / "whole.pt", tmp_path / "run.pt"))


def test_a_checkpoint_with_other_content_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, tmp_path / "run.pt")
    with pytest.raises(ConfigError, match=r"run\.pt: is no checkpoint"):
        train(network("vq:k=8,d=4"), checkpoint=tmp_path / "run.pt")


def test_a_write_that_fails_leaves_the_checkpoint_before_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "run.pt"
    train(network("vq:k=8,d=4"), checkpoint=file, stop_after=2)
    before = file.read_bytes()

    def cut_off(state: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(OutputError, match="no space left"):
        train(network("vq:k=8,d=4"), checkpoint=file)
    assert file.read_bytes() == before


def test_a_checkpoint_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        train(network("vq:k=8,d=4"), checkpoint=tmp_path / "absent" / "run.pt", stop_after=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": 0.0},
        {"latent_rate": -1.0},
        {"alpha": 1.0},
        {"ratio_weight": -1.0},
        {"learning_rate": float("nan")},
        {"epochs": 0},
        {"batch": 0},
        {"seed": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(fields))}` has value .*; allowed"):
        settings(**fields)


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    with pytest.raises(ConfigError, match="the loss of step 1 is nan"):
        train(network("vq:k=8,d=4"), loss=lambda model, inputs, targets: model(inputs).mean() * float("nan"))


def test_data_of_unequal_length_are_refused() -> None:
    from accelsim.finetune import finetune
    from tests.finetune.tiny_models import tiny_data

    images, classes = tiny_data()
    with pytest.raises(ConfigError, match="48 inputs and 40 targets"):
        finetune(network("vq:k=8,d=4"), images, classes[:40])


def test_a_model_that_is_not_prepared_is_refused() -> None:
    from tests.finetune.tiny_models import tiny_network

    with pytest.raises(ConfigError, match="TinyNetwork is not prepared"):
        train(tiny_network())


@pytest.mark.parametrize(
    ("model", "recipe", "error", "text"),
    [
        (torch.nn.ReLU(), "vq:k=2,d=2", ConfigError, "has no layer to encode inside; allowed"),
        (torch.nn.Sequential(torch.nn.Linear(4, 4)), "aqlm:books=1,bits=2,d=4", FormatError, "unknown format to fine-tune 'aqlm'"),
        (torch.nn.Sequential(torch.nn.Linear(4, 6)), "vq:k=2,d=4", FormatError, "layer '0': vq: d=4 does not divide N=6"),
        (torch.nn.Sequential(torch.nn.Linear(4, 4)), "vq:k=64,d=4", FormatError, "layer '0': k=64 codewords for 4 subvectors"),
        (torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, groups=4)), "vq:k=2,d=2", FormatError, "cross its 4 groups of 1"),
        (torch.nn.Sequential(torch.nn.Linear(4, 4).double()), "uniform:bits=4", ConfigError, "has weights of torch.float64"),
    ],
)
def test_a_model_that_cannot_be_prepared_is_told_so_and_left_alone(model: Any, recipe: str, error: type[Exception], text: str) -> None:
    from accelsim.finetune import prepare

    before = list(model.state_dict())
    with pytest.raises(error, match=text):
        prepare(model, recipe, layers="*")
    assert list(model.state_dict()) == before


def test_weights_that_are_not_finite_are_refused() -> None:
    from accelsim.finetune import prepare

    model = torch.nn.Sequential(torch.nn.Linear(4, 4))
    with torch.no_grad():
        model[0].weight[1, 2] = float("inf")
    with pytest.raises(ConfigError, match="layer '0' has weights that are NaN or infinite"):
        prepare(model, "uniform:bits=4")


def test_a_prepared_model_is_not_prepared_again() -> None:
    from accelsim.finetune import prepare

    with pytest.raises(ConfigError, match="has a parametrization already"):
        prepare(network("vq:k=8,d=4"), "vq:k=8,d=4")
