"""Errors of the face: the sentences of the command line, and for a wrong type one that says what is allowed."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import accelsim
from accelsim.cli import app

CHIP, NETWORK = "edge-32x32", "tiny_vit_int8"

SAME = [
    (lambda: accelsim.simulate("edge-31x32", NETWORK), ["run", "edge-31x32", NETWORK]),
    (lambda: accelsim.simulate(CHIP, "tiny_vit"), ["run", CHIP, "tiny_vit"]),
    (lambda: accelsim.simulate(CHIP, NETWORK, set={"codebook.port": 2}), ["run", CHIP, NETWORK, "--set", "codebook.port=2"]),
    (lambda: accelsim.simulate(CHIP, NETWORK, set=["codebook.ports=x"]), ["run", CHIP, NETWORK, "--set", "codebook.ports=x"]),
    (lambda: accelsim.simulate(CHIP, f"{NETWORK}@ssvq:k=16,d=8"), ["run", CHIP, f"{NETWORK}@ssvq:k=16,d=8"]),
    (lambda: accelsim.simulate(CHIP, NETWORK).cost("nangate46"), ["run", CHIP, NETWORK, "--technology", "nangate46"]),
    (lambda: accelsim.compare(f"{CHIP}:{NETWORK}"), ["compare", f"{CHIP}:{NETWORK}"]),
    (lambda: accelsim.compare(CHIP, NETWORK), ["compare", CHIP, NETWORK]),
    (lambda: accelsim.sweep("nothing"), ["sweep", "nothing"]),
    (lambda: accelsim.load_result("nowhere"), ["report", "nowhere"]),
    (lambda: accelsim.import_model("net.xyz", out="unused"), ["import", "net.xyz", "-o", "unused"]),
    (
        lambda: accelsim.compress("tiny_vit_float", "svq:k=16", out="unused"),
        ["compress", "tiny_vit_float", "--format", "svq:k=16", "-o", "unused"],
    ),
]


@pytest.mark.parametrize(("act", "words"), SAME, ids=lambda item: "" if callable(item) else " ".join(item))
def test_a_mistake_is_answered_with_the_sentence_of_the_command_line(act, words):
    outcome = CliRunner().invoke(app, words, prog_name="accelsim")
    assert outcome.exit_code == 2
    with pytest.raises(accelsim.AccelsimError) as error:
        act()
    assert outcome.stderr == f"accelsim: {error.value}\n"


WRONG = [
    (lambda: accelsim.simulate(3, "x"), "accelerator: 3 is of type int; allowed: a preset's name"),
    (lambda: accelsim.simulate(CHIP, None), "trace: null is of type NoneType; allowed: a trace's name"),
    (lambda: accelsim.simulate(CHIP, NETWORK, frames=0), "frames has value 0; allowed: 1 to 1,024"),
    (lambda: accelsim.simulate(CHIP, NETWORK, batch=1.5), "batch: 1.5 is of type float; allowed: a whole number"),
    (lambda: accelsim.simulate(CHIP, NETWORK, batch=True), "batch: true is of type bool; allowed: a whole number"),
    (lambda: accelsim.simulate(CHIP, NETWORK, seed=-1), "seed has value -1; allowed: 0 or more"),
    (lambda: accelsim.simulate(CHIP, NETWORK, then=NETWORK), "then: .* allowed: a list of traces"),
    (lambda: accelsim.simulate(CHIP, NETWORK, set="codebook.ports=2"), "set: .* allowed: a mapping such as"),
    (lambda: accelsim.simulate(CHIP, NETWORK, set=[2]), "an item of set: 2 is of type int"),
    (lambda: accelsim.simulate(CHIP, NETWORK, set={"codebook.ports": {1}}), "set: 'codebook.ports': .* of type set"),
    (lambda: accelsim.compare(), "compare needs a baseline"),
    (lambda: accelsim.compare(1, 2), "a run: 1 is of type int; allowed: a Result, or a text"),
    (lambda: accelsim.sweep(1), "sweep: 1 is of type int"),
    (lambda: accelsim.sweep("codebook", workers=0), "workers has value 0; allowed: 1 to"),
    (lambda: accelsim.load_result(1), "path: 1 is of type int"),
    (lambda: accelsim.import_model(1), "model: 1 is of type int; allowed: the path"),
    (lambda: accelsim.compress(1, "ssvq:k=16,d=8"), "trace: 1 is of type int"),
    (lambda: accelsim.compress("tiny_vit_float", 1), "format: 1 is of type int"),
    (lambda: accelsim.compress("tiny_vit_float", {"*": "vecq:bits=3"}, layers="*"), "`layers` belongs to a single format"),
    (lambda: accelsim.simulate(CHIP, NETWORK).cost(1), "technology: 1 is of type int"),
    (lambda: accelsim.simulate(CHIP, NETWORK).save(1), "path: 1 is of type int"),
    (lambda: accelsim.load_trace(NETWORK).weights("nothing"), "has no layer 'nothing'"),
]


@pytest.mark.parametrize(("act", "message"), WRONG, ids=[item[1][:30] for item in WRONG])
def test_a_wrong_value_is_one_sentence_that_says_what_is_allowed(act, message):
    with pytest.raises(accelsim.AccelsimError, match=message) as error:
        act()
    assert "\n" not in str(error.value)
