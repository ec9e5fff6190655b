"""Tables and files of a choice of formats: layers, options, and the uniform choices beside the mix."""

from __future__ import annotations

from collections.abc import Mapping
from glob import escape
from pathlib import Path
from typing import Any

from rich.console import Console

from accelsim.compression.recipe import EVERYTHING
from accelsim.format_choice.choice import Choice, Mix
from accelsim.formats.catalog import describe_format
from accelsim.reading import dump_yaml
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv, to_json
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import count, milliseconds

CHOICE_FILE = "choice.json"
RECIPE_FILE = "recipe.yaml"
OPTIONS_FILE = "errors.csv"
CHOICE_FOLDER = FolderKind(CHOICE_FILE, (CHOICE_FILE, RECIPE_FILE, OPTIONS_FILE, "layers.csv", "choices.csv"))


def layer_rows(choice: Choice) -> list[dict[str, Any]]:
    """A row per layer of the mix: its format, its error in it, cycles that it was predicted to take, stored bytes."""
    rows = []
    for number, (layer, text) in enumerate(zip(choice.layers, choice.mix.formats, strict=True)):
        place = choice.formats.index(text)
        rows.append({"layer": layer, "format": text, **_costs(choice, number, place)})
    return rows


def option_rows(choice: Choice) -> list[dict[str, Any]]:
    """A row per layer and format that it may take; `chosen` marks the mix. As a CSV file it can be given as errors again."""
    return [
        {"layer": layer, "format": text, **_costs(choice, number, place), "chosen": text == choice.mix.formats[number]}
        for number, layer in enumerate(choice.layers)
        for place, text in enumerate(choice.formats)
        if choice.options.allowed[number, place]
    ]


def choice_rows(choice: Choice) -> list[dict[str, Any]]:
    """A row for the mix and one for each uniform choice: errors, cycles predicted and simulated, area, bytes, whether within the budget."""
    return [_row(choice, item) for item in (choice.mix, *choice.uniform)]


def choice_dict(choice: Choice) -> dict[str, Any]:
    """The choice as plain JSON data."""
    return {
        "accelerator": choice.mix.chip.name,
        "codebook": choice.mix.chip.codebook.model_dump(mode="json"),
        "budget": {
            "cycles": choice.budget.cycles,
            "area_mm2": choice.budget.area_mm2,
            "stored_bytes": choice.budget.stored_bytes,
        },
        "mixes_simulated": len(choice.tried),
        "complete": choice.complete,
        "left_out": dict(choice.left_out),
        "choices": choice_rows(choice),
        "layers": layer_rows(choice),
    }


def recipe_fields(choice: Choice) -> dict[str, Any]:
    """The fields of a recipe file with the mix, a rule per layer."""
    rules = [{"layers": escape(layer), "format": text} for layer, text in zip(choice.layers, choice.mix.formats, strict=True)]
    rest = next(rule.format for rule in choice.recipe.rules if rule.pattern == EVERYTHING)
    return {"rules": rules, "rest": describe_format(rest)}


def check_choice_folder(folder: Path) -> None:
    """OutputError if `folder` cannot take a choice."""
    check_replaceable(folder, CHOICE_FOLDER)


def write_choice(folder: Path, choice: Choice) -> Path:
    """Write choice.json, recipe.yaml, and tables of layers, options (errors.csv) and choices, all or nothing."""
    texts: Mapping[str, str] = {
        CHOICE_FILE: to_json(choice_dict(choice)),
        RECIPE_FILE: dump_yaml(recipe_fields(choice)),
        OPTIONS_FILE: to_csv(option_rows(choice)),
        "layers.csv": to_csv(layer_rows(choice)),
        "choices.csv": to_csv(choice_rows(choice)),
    }
    return write_folder(folder, CHOICE_FOLDER, {name: text.encode() for name, text in texts.items()})


def in_brief(choice: Choice) -> str:
    """The mix against the best uniform choice, in a sentence."""
    best, mix = choice.best_uniform, choice.mix
    used = len(set(mix.formats))
    found = (
        f"{used} {'format' if used == 1 else 'formats'}, error {mix.error:.4g}, {milliseconds(mix.result.milliseconds)} ms, {_mm2(mix)} mm2"
    )
    if best is None:
        return f"{found}; no uniform choice keeps to the budget"
    if best.formats == mix.formats:
        return f"{found}: the uniform choice {best.name}"
    other = f"error {best.error:.4g}, {milliseconds(best.result.milliseconds)} ms, {_mm2(best)} mm2"
    return f"{found}; the best uniform choice, {best.name}: {other}"


def render_choice(console: Console, choice: Choice) -> None:
    """The choices side by side, then the format of each layer."""
    choices = table(
        ["choice", ">error,\nsum", ">\nwhole", ">cycles,\npredicted", ">\nsimulated", ">ms", ">mm2", ">weights,\nkB", "fits"], dense=True
    )
    for item in (choice.mix, *(uniform for uniform in choice.uniform if uniform.formats != choice.mix.formats)):
        row(
            choices,
            item.name,
            f"{item.error:.4g}",
            "" if item.whole_error is None else f"{item.whole_error:.4g}",
            count(item.predicted_cycles),
            count(item.cycles),
            milliseconds(item.result.milliseconds),
            _mm2(item),
            f"{item.stored_bytes / 1e3:.1f}",
            "yes" if choice.budget.allows(item) else "no",
        )
    show(console, f"Formats per layer on {choice.mix.chip.name}", choices)
    layers = table(["layer", "format", ">error", ">cycles,\npredicted"], dense=True)
    for item_of_layer in layer_rows(choice):
        row(layers, item_of_layer["layer"], item_of_layer["format"], f"{item_of_layer['error']:.4g}", count(item_of_layer["cycles"]))
    show(console, "Layers", layers)
    say(
        console,
        "The first row is the choice. error, sum: of the layers, each in its format while the others are float; whole: of the outputs "
        "with all layers in their formats at once. predicted: the sum of what each layer took in the run of its format; simulated: the "
        "whole network in the mix, which is what the budget holds for. mm2: placed, of the chip with the codebook and the decoder of all "
        "formats of the choice. "
        f"{_searched(choice)}",
    )
    for formats, why in choice.left_out.items():
        say(console, f"Not on one chip: {formats}: {why}.")
    say(console, f"{in_brief(choice)}.")


def _searched(choice: Choice) -> str:
    """Whether the mix is the best of all."""
    tried = len(choice.tried)
    simulated = f"{tried} {'mix was' if tried == 1 else 'mixes were'} simulated whole"
    return f"{simulated}: no better one is left." if choice.complete else f"{simulated}, the most of a choice: a better one may be left."


def _costs(choice: Choice, layer: int, place: int) -> dict[str, Any]:
    options = choice.options
    return {
        "error": float(options.errors[layer, place]),
        "cycles": int(options.cycles[layer, place]),
        "stored_bytes": int(options.stored_bytes[layer, place]),
    }


def _row(choice: Choice, item: Mix) -> dict[str, Any]:
    return {
        "choice": item.name,
        "formats": " + ".join(dict.fromkeys(item.formats)),
        "error": item.error,
        "whole_error": item.whole_error,
        "predicted_cycles": item.predicted_cycles,
        "cycles": item.cycles,
        "milliseconds": item.result.milliseconds,
        "area_mm2": item.area_um2.nominal / 1e6,
        "stored_bytes": item.stored_bytes,
        "within_budget": choice.budget.allows(item),
        "run_id": item.result.run_id,
    }


def _mm2(item: Mix) -> str:
    return f"{item.area_um2.nominal / 1e6:.3f}"
