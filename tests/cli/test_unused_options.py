"""Options that would have no effect beside the others are refused by name, also with the value of their default."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from accelsim.cli import app

TOKENS = ["run", "edge-32x32", "llama_1b_float@*=uniform:bits=4", "--prefill", "4"]
RUN = ["run", "edge-32x32", "tiny_vit_ssvq"]
SWEEP = ["sweep", "codebook", "--dry-run"]
EXPLAIN = ["import", "model.onnx", "--explain"]


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ([*RUN, "--cache-bits", "8"], "--cache-bits: allowed with --prefill, --decode or --context"),
        ([*RUN, "--cache-bits", "4"], "--cache-bits: allowed with --prefill, --decode or --context"),
        ([*RUN, "--style", "paper"], "--style: allowed with -o DIR, where pictures are written"),
        ([*RUN, "--full", "-q"], "--full: allowed without --json and --quiet"),
        ([*RUN, "--layers", "--json"], "--layers: allowed without --json and --quiet"),
        ([*RUN, "--input", "x.npy"], "--input: allowed with --functional network"),
        ([*RUN, "--outputs", "out"], "--outputs: allowed with --functional network"),
        *(
            ([*TOKENS, *given], f"{given[0]}: allowed without --prefill, --decode and --context")
            for given in (
                ["--then", "tiny_vit_int8"], ["--functional"], ["--input", "x.npy"], ["--outputs", "out"], ["--frames", "1"],
                ["--timeline", "t.json"], ["--full"], ["--layers"],
            )
        ),
        ([*TOKENS, "--style", "paper"], "--style: allowed with -o DIR, where pictures are written"),
        (["compare", "edge-32x32:tiny_vit_ssvq", "edge-64x64", "--style", "page"], "--style: allowed with -o DIR"),
        (["area", "edge-32x32", "--style", "page"], "--style: allowed with -o DIR"),
        (["timeline", "run", "--vcd", "run.vcd", "--style", "page"], "--style: allowed with --plot DIR"),
        *(
            ([*SWEEP, *given], f"{given[0]}: allowed without --dry-run, which runs no point")
            for given in (
                ["--workers", "2"], ["--scheduler", "tcp://127.0.0.1:1"], ["--cluster", "local"], ["--tls-ca-file", "a"],
                ["--tls-cert", "a"], ["--tls-key", "a"], ["--retry-failed"], ["--time-limit", "9"], ["--export", "runs.csv"],
                ["--pareto", "area_mm2"], ["--under", "area_mm2 < 4"], ["--best", "3"], ["--accuracy", "a.csv"], ["--tolerance", "0.1"],
                ["--plot"], ["--interactive"], ["--out", "o"], ["--style", "paper"],
            )
        ),
        (["sweep", "codebook", "--style", "paper"], "--style: allowed with -o, --plot or --interactive"),
        *(
            ([*EXPLAIN, *given], f"{given[0]}: allowed without --explain")
            for given in (["--out", "o"], ["--seed", "1"], ["--weights", "w.safetensors"], ["--quiet"])
        ),
        (["compress", "tiny_vit_float", "-o", "o", "--format", "uniform", "--per-layer", "--json"], "--per-layer: allowed without --json"),
        (["inspect", "tiny_vit_ssvq", "--layers", "-q"], "--layers: allowed without --json and --quiet"),
    ],
)  # fmt: skip
def test_an_option_without_effect_is_refused_by_its_name(words: list[str], refused: str) -> None:
    outcome = CliRunner().invoke(app, words)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"accelsim: {refused}")
    assert outcome.stderr.count("\n") == 1
