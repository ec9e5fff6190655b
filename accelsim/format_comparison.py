"""Several traces of one network, one per format, on one chip: simulated, costed and compared.

Disputable assumption: each format gets the chip with the codebook it asks for (`fit`) and the decoder parts that the chip's own area does
not count, so no format pays for another's. A trace's other formats (8 bits at both ends of a network) add no parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.accelerator import Accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compression.recipe import REST
from accelsim.cost.area import area_of
from accelsim.cost.decoder_parts import decoder_area, decoder_energy, decoder_parts, parts_energy
from accelsim.cost.energy import energy_of
from accelsim.cost.span import total
from accelsim.cost.technology import Technology
from accelsim.errors import ConfigError
from accelsim.formats.catalog import describe_format, parse_format
from accelsim.progress import Progress
from accelsim.report.format_points import FormatPoint
from accelsim.report.tables.trace import format_rows
from accelsim.simulation import simulate
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace
from accelsim.what_if import with_overrides


def compare_formats(
    accelerator: Accelerator,
    traces: Sequence[Trace],
    technology: Technology,
    *,
    fit: bool = True,
    decode_after: int | None = None,
    progress: Progress | None = None,
) -> tuple[FormatPoint, ...]:
    """Each trace on the chip, in order; the first is the baseline.

    Parameters
    ----------
    fit
        Give the chip the codebook that each trace asks for; False takes it as it is.
    decode_after
        Of language models: compare one decode step after so many tokens in the cache, in place of the inference that the traces hold.
    progress
        Called as ("formats", traces done, traces in all).

    Raises
    ------
    CompileError, ConfigError, TraceError
        A trace does not fit the chip, a technology does not cover it, the traces are not of one network, or a decode step is asked of
        a trace that is no causal language model.
    """
    for trace in traces:
        if trace.macs != traces[0].macs:
            raise ConfigError(
                f"trace {trace.name!r} has {trace.macs} MACs, but {traces[0].name!r} has {traces[0].macs}; allowed: traces of one network"
            )
    points = []
    for place, trace in enumerate(traces):
        if progress is not None:
            progress("formats", place, len(traces))
        points.append(_point(accelerator, trace, technology, fit, decode_after))
    return tuple(points)


def _point(accelerator: Accelerator, trace: Trace, technology: Technology, fit: bool, decode_after: int | None) -> FormatPoint:
    ran = trace if decode_after is None else at_tokens(trace, 1, decode_after)
    overrides = codebook_overrides(accelerator, trace) if fit else ()
    chip = with_overrides(accelerator, overrides)
    result = simulate(chip, ran)
    energy = energy_of(result, chip, technology)
    area = area_of(chip, technology)
    rest = describe_format(parse_format(REST))
    rows = sorted(format_rows(trace), key=lambda item: (item["format"] == rest, -int(item["weights"])))  # layers at 8 bit last
    path = parse_format(rows[0]["format"]).decode_path()
    parts = decoder_parts(path, chip, technology)
    own = {layer.name for layer in trace.weighted_layers() if describe_format(layer.weight.format) == rows[0]["format"]}
    groups = sum(layer.bounds.get("decode", 0) for core in result.of_cores for layer in core.layers if layer.name in own)
    switched = parts_energy(parts, groups, technology)
    return FormatPoint(
        trace=trace.name,
        values=_values(trace),
        formats=tuple(str(item["format"]) for item in rows),
        weights_share=rows[0]["weights"] / sum(item["weights"] for item in rows),
        paper_bits_per_weight=float(rows[0]["paper_bits_per_weight"]),
        stored_bits_per_weight=float(rows[0]["stored_bits_per_weight"]),
        relative_mse=trace.manifest.metrics.get("relative_mse"),
        overrides=overrides,
        result=result,
        energy_pj=total((energy.energy_pj(), switched)),
        decoder_pj=total((decoder_energy(energy), switched)),
        area_um2=total((area.placed_um2, *(area.placed(part) for part in parts))),
        decoder_um2=decoder_area(path, area, parts),
        codebook_um2=area.placed_by_group["codebook"],
        codebook_store=chip.codebook.store if path.decode else None,
        scales_left_out=bool(path.scale_levels) and chip.array.scale_at == "group" and chip.array.scale_taps is None,
    )


def _values(trace: Trace) -> str:
    """See `FormatPoint.values`."""
    if trace.has_payload:
        return "stored"
    return "seeded" if all(layer.weight.streams for layer in trace.weighted_layers()) else "shapes"
