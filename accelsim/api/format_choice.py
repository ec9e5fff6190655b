"""A format per layer by simulated cost: the choice as users get it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.accelerator import Accelerator
from accelsim.api.arrays import ArrayLike, arrays_of
from accelsim.api.checks import check_flags, check_text, check_texts, count_of, wrong_type
from accelsim.api.display import html_table, rendered, short_text, watched
from accelsim.api.inputs import DEFAULT_TECHNOLOGY, AcceleratorLike, Overrides, accelerator_of, technology_of
from accelsim.api.paths import path_of
from accelsim.api.result import Result
from accelsim.api.table import Table
from accelsim.api.trace import Trace, TraceLike, float_trace_of
from accelsim.compression.recipe import Recipe
from accelsim.errors import ConfigError
from accelsim.execution.inputs import checked_inputs
from accelsim.format_choice.choice import Budget, Choice
from accelsim.format_choice.choose import choose_formats as choose
from accelsim.format_choice.given_errors import Errors, read_errors
from accelsim.format_choice.tables import choice_dict, choice_rows, in_brief, layer_rows, option_rows, render_choice, write_choice
from accelsim.progress import Progress
from accelsim.trace.trace import with_calibration
from accelsim.wording import shown

if TYPE_CHECKING:
    from accelsim.api.inputs import TechnologyLike

MAX_CYCLES = 2**62  # of a budget
_ROUNDING = 1e-12  # of a time in ms: that of a run, given back, is that run's cycles


@dataclass(frozen=True, repr=False)
class FormatChoice:
    """A format for each layer of a network, the least error within a budget, beside the uniform choice of each format.

    Attributes
    ----------
    record : the choice as it was made
    """

    record: Choice

    @property
    def formats(self) -> dict[str, str]:
        """Layer -> its format, for `compress` (as its format) and for `accelsim.finetune.prepare`."""
        return dict(zip(self.record.layers, self.record.mix.formats, strict=True))

    @property
    def recipe(self) -> Recipe:
        """The same as a recipe, a rule per layer."""
        return self.record.recipe

    @property
    def accelerator(self) -> Accelerator:
        """The chip with the codebook that the chosen formats need together."""
        return self.record.mix.chip

    @property
    def trace(self) -> Trace:
        """The network in the chosen formats, packed."""
        return Trace(self.record.mix.trace)

    @property
    def result(self) -> Result:
        """The run of that network on that chip."""
        return Result(self.record.mix.result, traces=(self.record.mix.trace,))

    def layers(self) -> Table:
        """One row per layer: format, error in it, predicted cycles, stored bytes."""
        return Table("Format per layer", layer_rows(self.record))

    def options(self) -> Table:
        """One row per layer and format that it may take; saved as CSV, it can be given as `errors`."""
        return Table("Options", option_rows(self.record))

    def choices(self) -> Table:
        """The mix and each uniform choice: errors, predicted and simulated cycles, area, stored bytes, whether within the budget."""
        return Table("Choices", choice_rows(self.record))

    def summary(self) -> str:
        """The tables of `accelsim choose` as text."""
        return rendered(lambda console: render_choice(console, self.record))

    def save(self, folder: str | Path) -> Path:
        """Write recipe.yaml (for `accelsim compress --recipe`), choice.json and CSV tables; AccelsimError if something else is there."""
        return write_choice(path_of("folder", folder), self.record)

    def to_dict(self) -> dict[str, Any]:
        """Budget, choices and layers as plain data: the content of `accelsim choose --json`."""
        return choice_dict(self.record)

    def to_frame(self) -> Any:
        """One row per layer as a `pandas.DataFrame`; AccelsimError without pandas."""
        return self.layers().to_frame()

    def __repr__(self) -> str:
        return short_text([f"<FormatChoice of {len(self.record.layers)} layers: {in_brief(self.record)}>"])

    def _repr_html_(self) -> str:
        rows = [
            (str(item["choice"]), f"{item['error']:.4g}", f"{item['milliseconds']:.4g}", f"{item['area_mm2']:.4g}")
            for item in choice_rows(self.record)
        ]
        return html_table("Formats per layer", rows, ("choice", "error", "ms", "mm2"))


def choose_formats(
    accelerator: AcceleratorLike,
    trace: TraceLike,
    formats: Sequence[str],
    input: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    errors: Errors | str | Path | None = None,
    milliseconds: float | None = None,
    area_mm2: float | None = None,
    stored_bytes: int | None = None,
    layers: str | None = None,
    set: Overrides | None = None,
    fit_codebook: bool = True,
    technology: TechnologyLike = DEFAULT_TECHNOLOGY,
    seed: int = 0,
    progress: bool | Progress = False,
) -> FormatChoice:
    """Choose each layer's format: the least error of the outputs within a budget that the simulated whole network keeps.

    Parameters
    ----------
    accelerator : a preset's name, a YAML file, a mapping of fields, or an `Accelerator`
    trace : a float trace, its name or its directory
    formats : 1 to 10 candidates, such as 'ssvq:k=16,d=8'; a layer takes any that fits it, or the 8 bits that `compress` would leave it
    input : samples on which errors are measured, as `execute` takes them: the squared error of the outputs over their square, with one
        layer in one format and all others float
    errors : in place of `input`, {layer: {format: error}} in any unit that adds up, or a CSV file with layer, format and error
    milliseconds, area_mm2, stored_bytes : the most time of an inference, placed area of the chip, and bytes of the weights' streams
    layers : pattern of the layers whose format is chosen, the others keep 8 bits; None: all
    set : fields of the chip to override
    fit_codebook : give the chip the codebook that each set of formats needs; False takes it as it is
    technology : of the area
    seed : of the encoders
    progress : True for a bar in a terminal, or a function that is called with (phase, done, total)

    Returns
    -------
    The choice; with a budget of none, the formats of least error.

    Raises
    ------
    AccelsimError
        Not a float trace, a format that is unknown or fits no layer, samples or errors that do not fit the network, SciPy is not
        installed, or no choice keeps to the budget: says the least that was reached.
    """
    check_flags(fit_codebook=fit_codebook)
    check_texts("formats", formats, "a list of formats' texts such as ['uniform:bits=4', 'ssvq:k=16,d=8']")
    if layers is not None:
        check_text("layers", layers, "a shell pattern over layers' names")
    machine = accelerator_of(accelerator, set)
    source = float_trace_of(trace)
    budget = Budget(
        cycles=None if milliseconds is None else _cycles(_positive("milliseconds", milliseconds), machine),
        area_mm2=None if area_mm2 is None else _positive("area_mm2", area_mm2),
        stored_bytes=None if stored_bytes is None else count_of("stored_bytes", stored_bytes, 1),
    )
    if errors is not None and not isinstance(errors, str | Path | Mapping):
        raise wrong_type("errors", errors, "a mapping of layers to mappings of formats to numbers, or the path of a CSV file")
    known = read_errors(path_of("errors", errors)) if isinstance(errors, str | Path) else errors
    bare = with_calibration(source, None)  # samples are floats
    arrays = None if input is None else checked_inputs(bare, arrays_of(bare, input), 0)
    with watched(progress) as update:
        return FormatChoice(
            choose(
                machine,
                source,
                tuple(formats),
                budget,
                technology_of(technology),
                inputs=arrays,
                errors=known,
                layers=layers,
                fit=fit_codebook,
                seed=count_of("seed", seed, 0),
                progress=update,
            )
        )


def _cycles(milliseconds: float, machine: Accelerator) -> int:
    """Whole cycles in a time; ConfigError if it is too long to be counted."""
    cycles = milliseconds * machine.clock / 1e3 * (1 + _ROUNDING)
    if cycles > MAX_CYCLES:
        raise ConfigError(
            f"milliseconds has value {shown(milliseconds)}; allowed: a time of at most {MAX_CYCLES:,} cycles, or none for any time"
        )
    return math.floor(cycles)


def _positive(what: str, value: object) -> float:
    """A finite number above 0; ConfigError for anything else."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        raise wrong_type(what, value, "a number")
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{what} has value {shown(value)}; allowed: a finite number above 0")
    return float(value)
