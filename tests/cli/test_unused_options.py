"""Options that would have no effect beside the others are refused by name, also with the value of their default."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from accelsim.cli import app

TOKENS = ["run", "edge-32x32", "llama_1b_float@*=uniform:bits=4", "--prefill", "4"]
RUN = ["run", "edge-32x32", "tiny_vit_ssvq"]


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ([*RUN, "--cache-bits", "8"], "--cache-bits: allowed with --prefill, --decode or --context"),
        ([*RUN, "--cache-bits", "4"], "--cache-bits: allowed with --prefill, --decode or --context"),
        ([*RUN, "--style", "paper"], "--style: allowed with -o DIR, where pictures are written"),
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
        (["sweep", "codebook", "--style", "paper"], "--style: allowed with -o, --plot or --interactive"),
    ],
)  # fmt: skip
def test_an_option_without_effect_is_refused_by_its_name(words: list[str], refused: str) -> None:
    outcome = CliRunner().invoke(app, words)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"accelsim: {refused}")
    assert outcome.stderr.count("\n") == 1
