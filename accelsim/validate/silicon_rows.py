"""Measured figures of boards: a row of a file, its time, and the work that its columns describe.

Columns: `board`, `chip` (a preset of `silicon/`, or of the accelerators; empty: the board's name), `network_id`, `recipe`, `context`,
`metric`, `value`, `unit`, `role`. Other columns are provenance. Tokens per second of a prefill count the tokens of the prompt; `ttft` is
the time to the first token, which a prefill of the prompt gives.

`fit` rows may set parameters, `predict` rows are judged, `context` rows are shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from accelsim.validate.reference_csv import ReferenceRow, read_reference

COLUMNS = ("board", "chip", "network_id", "recipe", "context", "metric", "value", "unit", "role")
ROLES = ("fit", "predict", "context")
MILLISECONDS = {"ms": 1.0, "s": 1e3, "us": 1e-3}
TOKEN_RATE, INFERENCE_RATE = "tok/s", "inf/s"
RATES = (TOKEN_RATE, INFERENCE_RATE)
METRICS = {
    "latency": tuple(MILLISECONDS), "ttft": tuple(MILLISECONDS), "decode_rate": (TOKEN_RATE,), "prefill_rate": (TOKEN_RATE,),
    "throughput": RATES,
}  # fmt: skip
_STEPS = {"ttft": "prefill", "decode_rate": "decode", "prefill_rate": "prefill"}  # of metrics that name one
CONTEXTS = "decode; decode, N in, M out; prefill N; prefill, N in, M out"  # of a language model
CHAIN_CONTEXT = "a layer, slope of A and B layers (A below B)"
_SPELLINGS = {"tokens/s": TOKEN_RATE, "token/s": TOKEN_RATE, "fps": INFERENCE_RATE, "inferences/s": INFERENCE_RATE}  # of units, lower case
_STORED = re.compile(r",?(stored_bytes=[0-9]{1,15})")
_FORMS = ("board", "card", "dev", "kit", "m.2")  # words of a board's name that are no part of its chip's
_DEFAULT_CONTEXT = 128  # tokens in the cache of a decode whose row does not say


@dataclass(frozen=True)
class MeasuredRow:
    """One row.

    Attributes
    ----------
    line : of the file
    chip : its preset's name as the file has it, or made of the board's
    network, recipe : as the file has them, but for a number of stored bytes, which belongs to the recipe
    milliseconds : of one inference or step
    """

    line: int
    board: str
    chip: str
    network: str
    recipe: str
    context: str
    metric: str
    value: float
    unit: str
    role: str

    @property
    def work(self) -> Work:
        """The steps that the row times."""
        return work_of(self.context, self.metric)

    @property
    def milliseconds(self) -> float:
        """The measured time."""
        return 1e3 * self._per_step / self.value if self.unit in RATES else self.value * MILLISECONDS[self.unit]

    def shown(self, milliseconds: float) -> float:
        """A time in the row's unit."""
        return 1e3 * self._per_step / milliseconds if self.unit in RATES else milliseconds / MILLISECONDS[self.unit]

    @property
    def _per_step(self) -> int:
        """Tokens or inferences of one step, which a rate counts."""
        return max(1, self.work.tokens) if self.unit == TOKEN_RATE else 1


@dataclass(frozen=True)
class Work:
    """The steps that a row times: tokens after tokens in the cache (of a language model), or layers of a chain."""

    tokens: int = 0
    context: int = 0
    chain: tuple[int, int] | None = None  # a layer's time is the difference of two chains


def read_rows(path: Path) -> list[MeasuredRow]:
    """The rows of a file.

    Raises
    ------
    ReferenceDataError
        The line, column and value that cannot be read, and what is allowed.
    """
    return [_row(row) for row in read_reference(path, COLUMNS)]


def work_of(context: str, metric: str = "latency") -> Work:
    """The work of a row's `context` column, where `N in, M out` alone means the step that the metric names.

    Words that say nothing of the work are left alone. The first token is what a prefill gives, also where the row's step is a decode.
    """
    step = _STEPS.get(metric)
    if step is not None and re.match(r"[0-9]{1,6} in\b", context):
        context = f"{step}, {context}"
    if metric == "ttft":
        context = re.sub(r"^decode\b", step or "", context)
    if match := re.match(r"decode(?:, ([0-9]{1,6}) in, ([0-9]{1,6}) out)?$", context):
        before = int(match[1]) + int(match[2]) // 2 if match[1] else _DEFAULT_CONTEXT
        return Work(tokens=1, context=before)
    if match := re.match(r"prefill(?: ([0-9]{1,6})(?: tokens)?|, ([0-9]{1,6}) in(?:, [0-9]{1,6} out)?)$", context):
        return Work(tokens=int(match[1] or match[2]))
    if match := re.match(r"a layer, slope of ([0-9]{1,4}) and ([0-9]{1,4}) layers$", context):
        few, many = int(match[1]), int(match[2])
        return Work(chain=(few, many)) if 0 < few < many else Work()
    return Work()


def _row(row: ReferenceRow) -> MeasuredRow:
    cells = row.cells
    if cells["role"] not in ROLES:
        raise row.error("role", ", ".join(ROLES))
    unit = _SPELLINGS.get(cells["unit"].lower(), cells["unit"])
    if unit not in (*MILLISECONDS, *RATES):
        raise row.error("unit", ", ".join((*MILLISECONDS, *RATES)))
    network, recipe = _stored_bytes_apart(cells)
    chip = cells["chip"].lower() or _chip_of(cells["board"])
    metric = cells["metric"].lower()

    def read(value: float) -> MeasuredRow:
        return MeasuredRow(row.line, cells["board"], chip, network, recipe, cells["context"], metric, value, unit, cells["role"])

    return read(row.measured("value", lambda value: read(value).milliseconds))


def _chip_of(board: str) -> str:
    """The name that the preset of a board has: lower case, hyphens, without remarks in brackets and the board's form."""
    words = re.findall(r"[a-z0-9.]+", re.sub(r"\(.*\)", "", board).lower())
    while words and words[-1] in _FORMS:
        words.pop()
    return "-".join(words)


def _stored_bytes_apart(cells: Mapping[str, str]) -> tuple[str, str]:
    """(network, recipe) where the network's id may hold `stored_bytes=N`."""
    network, recipe = cells["network_id"], cells["recipe"]
    if not recipe and (match := _STORED.search(network)):
        return network.replace(match[0], "").removesuffix(":"), match[1]
    return network, recipe
