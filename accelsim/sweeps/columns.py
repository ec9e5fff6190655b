"""The columns of a stored run, with SQL type and meaning; names include the unit. This table is the only list of them."""

from __future__ import annotations

from accelsim.result import BOUND_RESOURCES, CATEGORIES, OPERANDS

# Identity of a row. The run id covers accelerator, trace, options and the sources of the model; the costing covers the inputs that turn
# counted actions into area and energy: the technology and the sources of those models.
IDENTITY: dict[str, tuple[str, str]] = {
    "run_id": ("TEXT NOT NULL", "SHA-256 of accelerator, trace, options and the model's sources"),
    "costing": ("TEXT NOT NULL", "SHA-256 of the technology and of the sources of area and energy"),
    "status": ("TEXT NOT NULL", "ok or failed"),
    "message": ("TEXT NOT NULL", "why it failed; empty if it did not"),
    "accelerator": ("TEXT NOT NULL", "name of the accelerator that the point started from"),
    "configuration": ("TEXT NOT NULL", "the accelerator in full, as YAML (JSON) that `accelsim run` takes"),
    "trace": ("TEXT NOT NULL", "name of the trace; of several networks all, with ' + ' between them"),
    "trace_sha256": ("TEXT NOT NULL", "SHA-256 of the trace; of several networks of theirs"),
    "technology": ("TEXT NOT NULL", "name of the technology"),
    "frames": ("INTEGER NOT NULL", "inferences one after the other"),
    "batch": ("INTEGER NOT NULL", "images of one inference"),
    "seed": ("INTEGER NOT NULL", "of values that the trace leaves open"),
}

# Figures of a successful run; NULL in one that failed.
METRICS: dict[str, tuple[str, str]] = {
    "clock_hz": ("INTEGER", "core clock"),
    "total_cycles": ("INTEGER", "core cycles of all frames"),
    "milliseconds": ("REAL", "time of all frames"),
    "milliseconds_per_inference": ("REAL", "time over frames x batch"),
    "macs": ("INTEGER", "useful multiply-accumulates"),
    "utilization_pct": ("REAL", "useful MACs over MAC slots of all cycles"),
    "bus_bytes": ("INTEGER", "bytes on all memory channels, whole bursts"),
    "useful_bytes": ("INTEGER", "of them, without padding and burst rounding"),
    "weight_bytes": ("REAL", "of them, weights however stored, codebooks included"),
    "limiting_resource": ("TEXT", "the resource that limits"),
    "limiting_basis": ("TEXT", "'estimated', as a sweep simulates no idealization; 'what-if' would say that it was simulated"),
    "tightest_bound": ("TEXT", "the resource that needs most cycles at least"),
    "achieved_of_tightest_pct": ("REAL", "those cycles over the cycles taken"),
    "energy_uj": ("REAL", "energy of all frames, memories included"),
    "energy_low_uj": ("REAL", "its lower end"),
    "energy_high_uj": ("REAL", "its upper end"),
    "energy_on_chip_uj": ("REAL", "energy of all frames without the memories outside the chip"),
    "area_mm2": ("REAL", "placed area of the chip"),
    "area_low_mm2": ("REAL", "its lower end"),
    "area_high_mm2": ("REAL", "its upper end"),
    "trace_metrics": ("TEXT", "JSON: metrics of the compressed model that the trace states, by name"),
    "model_error": ("REAL", "relative error of the network's output that its compression causes, where the trace states it"),
    **{f"{name}_cycles": ("INTEGER", f"cycles of category {name}") for name in CATEGORIES},
    **{f"bound_{name}_cycles": ("INTEGER", f"least cycles of resource {name}") for name in BOUND_RESOURCES},
    **{f"{name}_bits": ("INTEGER", f"bits of {name} on all memory channels") for name in OPERANDS},
    "psum_bits_needed": ("INTEGER", "accumulator bits with which no sum can overflow, whatever the values"),
    "warnings": ("TEXT", "JSON list of warnings"),
}

# Provenance: two runs of one point may differ here and nowhere else.
CIRCUMSTANCES: dict[str, tuple[str, str]] = {
    "versions": ("TEXT NOT NULL", "JSON: versions of accelsim, Python and the libraries"),
    "model_sha256": ("TEXT NOT NULL", "SHA-256 of the model's sources"),
    "run_seconds": ("REAL NOT NULL", "CPU time of the run"),
    "stored_at": ("TEXT NOT NULL", "UTC"),
}

COLUMNS: dict[str, tuple[str, str]] = {**IDENTITY, **METRICS, **CIRCUMSTANCES}
NUMERIC = tuple(name for name, (kind, _) in COLUMNS.items() if not kind.startswith("TEXT"))
ACCURACY = "accuracy"  # no column of a store: the user states it (see `accuracy`); of all figures the only one of which more is better
