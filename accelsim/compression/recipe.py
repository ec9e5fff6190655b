"""Which layer takes which format: rules in order, from a command line's one format or from a recipe file.

Assumes that layers named by no rule may keep 8 bits, as the papers keep the first and the last layer; a rule that names no layer is
taken for a mistake. One format without a pattern goes to the usual layers of whichever network it meets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import Field, StringConstraints

from accelsim.compression.subvectors import check_codewords
from accelsim.errors import FormatError
from accelsim.formats.catalog import describe_format, parse_format
from accelsim.formats.weight_format import WeightFormat
from accelsim.reading import read_yaml
from accelsim.records import Record, build
from accelsim.registry import suggest
from accelsim.trace.layers import WeightedLayer

BLOCK_PATTERN = "*.[0-9]*.*"  # layers inside a numbered block: 'vit.layers.0.mlp.fc1', not 'classifier'
EVERYTHING = "*"
_ANY_NAME = "?*"  # as `EVERYTHING`, but a rule about layers, not about the rest
REST = "uniform:bits=8"
MAX_SEED = (1 << 63) - 1  # a manifest's
_SHOWN_NAMES = 6
Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class MatrixShape(NamedTuple):
    """The weights Wt[K,N] of a layer, whose N outputs are those of `groups` groups: what decides which formats fit."""

    layer: str
    k: int
    n: int
    groups: int = 1

    @classmethod
    def of(cls, layer: WeightedLayer) -> Self:
        """Of a trace's layer."""
        return cls(layer.name, layer.weight.k, layer.weight.n, layer.bounds.G)


@dataclass(frozen=True)
class Rule:
    """Layers whose name matches a shell pattern take a format."""

    pattern: str
    format: WeightFormat


@dataclass(frozen=True)
class Recipe:
    """Rules in order: the first that matches a layer's name holds; a layer that none matches is an error.

    A `usual` recipe is the default for one format: what it means for a network is decided by `settled`.
    """

    rules: tuple[Rule, ...]
    seed: int = 0
    usual: bool = False
    notes: tuple[str, ...] = ()  # for a reader of the trace: what the recipe could not do

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise FormatError(f"the recipe's seed has value {self.seed}; allowed: 0 to {MAX_SEED:,}")

    @property
    def rest(self) -> WeightFormat | None:
        """The format of layers matched by no other rule; None if the last rule does not take everything."""
        return self.rules[-1].format if self.rules and self.rules[-1].pattern == EVERYTHING else None

    @property
    def main(self) -> WeightFormat:
        """The format that the recipe is about: the first that is not the rest's."""
        return next((rule.format for rule in self.rules if rule.format != self.rest), self.rules[0].format)

    def settled(self, networks: Sequence[Sequence[MatrixShape]]) -> Recipe:
        """The recipe as it holds for these networks' matrices, in the order in which they run.

        A usual recipe becomes one with rules for the layers that keep 8 bits: those outside numbered blocks, or the first and the last
        of a network without such blocks; and those that its format does not fit. Where it fits none but layers outside, these take it.
        Any other recipe stays as it is.

        Raises
        ------
        FormatError
            As of `check_patterns`; or the usual recipe's format fits no layer.
        """
        if self.usual:
            return _settled(self, networks)
        self.check_patterns(list(dict.fromkeys(matrix.layer for matrices in networks for matrix in matrices)))
        return self

    def format_of(self, layer: str) -> WeightFormat:
        """The format of a layer; FormatError if no rule matches."""
        return self.rules[self._place(layer)].format

    def check_patterns(self, layers: Sequence[str]) -> None:
        """Every rule but a last one for everything else decides about a layer.

        Raises
        ------
        FormatError
            A rule's pattern matches no layer, or only layers that earlier rules take; or no rule matches a layer.
        """
        used = {self._place(layer) for layer in layers}
        for place, rule in enumerate(self.rules):
            if place in used or (rule.pattern == EVERYTHING and place == len(self.rules) - 1):
                continue
            if any(fnmatchcase(layer, rule.pattern) for layer in layers):
                raise FormatError(f"the pattern {rule.pattern!r} decides about no layer: earlier rules take all that it matches")
            shown = ", ".join(repr(layer) for layer in layers[:_SHOWN_NAMES]) + (", ..." if len(layers) > _SHOWN_NAMES else "")
            raise FormatError(f"the pattern {rule.pattern!r} matches no layer with weights{suggest(rule.pattern, layers)}; layers: {shown}")

    def _place(self, layer: str) -> int:
        for place, rule in enumerate(self.rules):
            if fnmatchcase(layer, rule.pattern):
                return place
        raise FormatError(f"no rule of the recipe matches layer {layer!r}; rules: {[rule.pattern for rule in self.rules]}")


def check_fit(matrix: MatrixShape, spec: WeightFormat) -> None:
    """A layer's weights can be in a format.

    Raises
    ------
    FormatError
        The shape does not fit, a codebook of the layer's own has more codewords than the layer has
        subvectors, or codewords along the outputs would cross the groups of a grouped or depthwise convolution.
    """
    table, path, own = spec.streams(matrix.k, matrix.n), spec.decode_path(), matrix.n // matrix.groups
    if spec.codebook_scope == "layer":
        check_codewords(path.codewords, table["indices"].count * path.codewords // path.entries)
    if path.decode and path.axis == 0 and own % path.d:
        raise FormatError(
            f"{spec.kind}: codewords of d={path.d} outputs cross its {matrix.groups} groups of {own}; "
            f"allowed: a divisor of {own}, or a recipe that leaves this layer at 8 bit"
        )


def recipe_of_layers(format_text: str, layers: Sequence[str], seed: int = 0) -> Recipe:
    """One format for the layers of these names, int8 for the others; FormatError as of `parse_format`."""
    spec = parse_format(format_text)
    return Recipe((*(Rule(escape(name), spec) for name in layers), Rule(EVERYTHING, parse_format(REST))), seed)


def make_recipe(format_text: str, pattern: str | None = None, seed: int = 0) -> Recipe:
    """One format for the layers that match `pattern`, int8 for the others.

    Without a pattern the recipe is `usual`: a uniform format goes to all layers, and any other to those inside numbered blocks, since
    patch embedding and classifier keep 8 bits in the SSVQ paper (`Recipe.settled` has the rule for networks without such blocks).

    Raises
    ------
    FormatError
        The text describes no format.
    """
    spec = parse_format(format_text)
    usual = EVERYTHING if spec.suits_all_layers else BLOCK_PATTERN
    chosen = usual if pattern is None else pattern
    return Recipe((Rule(chosen, spec), Rule(EVERYTHING, parse_format(REST))), seed, usual=pattern is None)


def _settled(recipe: Recipe, networks: Sequence[Sequence[MatrixShape]]) -> Recipe:
    """A usual recipe's rules for these networks."""
    (pattern, spec), rest = (recipe.rules[0].pattern, recipe.rules[0].format), recipe.rules[1:]
    weighted = [matrices for matrices in networks if matrices]
    numbered = all(any(fnmatchcase(matrix.layer, pattern) for matrix in matrices) for matrices in weighted)
    outside = [] if numbered else [matrix.layer for matrices in weighted if len(matrices) > 2 for matrix in (matrices[0], matrices[-1])]
    matrices_of = {matrix.layer: matrix for matrices in weighted for matrix in matrices}
    inner = [name for name in matrices_of if (fnmatchcase(name, pattern) if numbered else name not in outside)]
    misfits = _misfits(matrices_of, inner, spec)
    notes: tuple[str, ...] = ()
    if inner and len(misfits) == len(inner):
        everywhere = _misfits(matrices_of, list(matrices_of), spec)
        taking = [name for name in matrices_of if name not in everywhere]
        if not taking:
            name, first = next(iter(misfits.items()))
            raise FormatError(f"layer {name!r}: {first}; no layer fits")
        notes = (f"{describe_format(spec)} fits only layers that usually keep 8 bits, and is used there: {_listed(taking)}",)
        numbered, outside, inner, misfits = False, [], list(matrices_of), everywhere
    kept = tuple(Rule(escape(name), parse_format(REST)) for name in dict.fromkeys((*outside, *misfits)))
    if misfits:
        kept_text = (
            f"{len(misfits)} of {len(inner)} layers keep 8 bits, since {describe_format(spec)} does not fit them: {_listed(list(misfits))}"
        )
        notes = (kept_text, *notes)
    return Recipe((*kept, Rule(pattern if numbered else _ANY_NAME, spec), *rest), recipe.seed, notes=notes)


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:_SHOWN_NAMES], *(["..."] if len(names) > _SHOWN_NAMES else [])])


def _misfits(matrices: Mapping[str, MatrixShape], names: Sequence[str], spec: WeightFormat) -> dict[str, FormatError]:
    """Why a format does not fit, by layer."""
    found: dict[str, FormatError] = {}
    for name in names:
        try:
            check_fit(matrices[name], spec)
        except FormatError as error:
            found[name] = error
    return found


class RecipeRule(Record):
    """An item of a recipe file: a shell pattern over layers' names, and the format of those that it matches."""

    layers: Text = Field(description="shell pattern over the names of layers: '*.mlp.*'")
    format: Text = Field(description="format of the layers that match: 'ssvq:k=16,d=8'")


class RecipeFile(Record):
    """A recipe file: `rules` in order, and the format of the `rest`."""

    rules: tuple[RecipeRule, ...] = Field(min_length=1, max_length=1000, description="in order: the first that matches a layer holds")
    rest: Text = Field(default=REST, description="format of the layers that no rule matches")


def load_recipe(path: Path | str, seed: int = 0) -> Recipe:
    """A recipe from a YAML file.

    Raises
    ------
    ConfigError, FormatError
        The file cannot be read or has other fields than `rules` (items of `layers` and `format`) and `rest`; a text describes no format.
    """
    path = Path(path)
    found = build(RecipeFile, read_yaml(path), str(path), FormatError)
    texts = [
        *((f"rules.{place}.format", item.layers, item.format) for place, item in enumerate(found.rules)),
        ("rest", EVERYTHING, found.rest),
    ]
    rules = []
    for field, pattern, text in texts:
        try:
            rules.append(Rule(pattern, parse_format(text)))
        except FormatError as error:
            raise FormatError(f"{path}: field `{field}`: {error}") from None
    return Recipe(tuple(rules), seed)
