"""Errors of the face: the sentences of the command line, and for a wrong type one that says what is allowed."""

from __future__ import annotations

import numpy as np
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
    (lambda: accelsim.compress("tiny_vit_float", {}), "`format` has no rule; allowed: patterns"),
    (lambda: accelsim.compress("tiny_vit_float", {1: "vecq:bits=3"}), "a pattern of `format`: 1 is of type int; allowed: a shell pattern"),
    (lambda: accelsim.compress("tiny_vit_float", {"*": 3}), r"format\['\*'\]: 3 is of type int; allowed: a format's text"),
    (lambda: accelsim.simulate(CHIP, NETWORK).cost(1), "technology: 1 is of type int"),
    (lambda: accelsim.simulate(CHIP, NETWORK).save(1), "path: 1 is of type int"),
    (lambda: accelsim.simulate(CHIP, NETWORK, what_if="yes"), "what_if: 'yes' is of type str; allowed: True or False"),
    (lambda: accelsim.simulate(CHIP, NETWORK, fit_codebook=1), "fit_codebook: 1 is of type int; allowed: True or False"),
    (lambda: accelsim.simulate(CHIP, NETWORK, progress=3), "progress: 3 is of type int; allowed: True, False, or a function"),
    (lambda: accelsim.simulate(CHIP, NETWORK).save("run.csv"), "run.csv: ends with .csv; allowed: .json, .html, or a folder"),
    (lambda: accelsim.simulate(CHIP, NETWORK).layers.save("layers"), "layers: ends with nothing; allowed: .csv, .md, .tex"),
    (lambda: accelsim.import_model(""), "model '' is not understood; allowed: vit:"),
    (lambda: accelsim.load_accelerator("/"), "accelerator '/': is a folder; allowed: a .yaml file"),
    (lambda: accelsim.load_accelerator(CHIP).with_fields(clok=3), "copy of Accelerator: field `clok`: unknown field; allowed: name, "),
    (lambda: accelsim.load_trace("@"), "unknown trace ''"),
    (lambda: accelsim.load_trace(NETWORK).weights("nothing"), "has no layer 'nothing'"),
    (lambda: accelsim.load_trace(NETWORK).weights(3), "layer: 3 is of type int; allowed: a layer's name"),
    (lambda: accelsim.simulate(CHIP, NETWORK).layers[None], "a row or column: null is of type NoneType; allowed: a row's place"),
]


@pytest.mark.parametrize(("act", "message"), WRONG, ids=[item[1][:30] for item in WRONG])
def test_a_wrong_value_is_one_sentence_that_says_what_is_allowed(act, message):
    with pytest.raises(accelsim.AccelsimError, match=message) as error:
        act()
    assert "\n" not in str(error.value)


BAD_PATHS = [(3, "3 is of type int"), ("a\0b", "cannot be a file's name"), ("", "cannot be a file's name"), ("n" * 300, "is too long")]
USES_OF_A_PATH = {
    "load_result": accelsim.load_result,
    "load_trace": accelsim.load_trace,
    "load_accelerator": accelsim.load_accelerator,
    "sweep": accelsim.sweep,
    "sweep's store": lambda path: accelsim.sweep("codebook", store=path),
    "compress": lambda path: accelsim.compress("tiny_vit_float", "uniform:bits=8", out=path),
    "import_model": lambda path: accelsim.import_model("vit:hidden_size=192", out=path, seed=1),
    "trace": lambda path: accelsim.load_trace(NETWORK).save(path),
    "run": lambda path: accelsim.simulate(CHIP, NETWORK).save(path),
    "table": lambda path: accelsim.simulate(CHIP, NETWORK).limits().save(path),
    "picture": lambda path: accelsim.simulate(CHIP, NETWORK).plot.cycles(file=path),
    "comparison": lambda path: accelsim.compare(f"{CHIP}:{NETWORK}", "tiny_vit_ssvq").save(path),
}


@pytest.mark.parametrize("use", USES_OF_A_PATH.values(), ids=USES_OF_A_PATH)
@pytest.mark.parametrize(("path", "message"), BAD_PATHS, ids=["number", "nul", "empty", "long"])
def test_a_path_that_no_file_can_have_is_one_sentence(use, path, message):
    with pytest.raises(accelsim.AccelsimError, match=message) as error:
        use(path)
    assert "\n" not in str(error.value)


def test_whole_numbers_of_numpy_are_whole_numbers():
    mine = accelsim.simulate(CHIP, NETWORK, frames=2, batch=2, seed=3, set={"codebook.ports": 2})
    one, two, three = (np.int64(value) for value in (1, 2, 3))
    theirs = accelsim.simulate(CHIP, NETWORK, frames=two, batch=one + one, seed=three, set={"codebook.ports": two})
    assert theirs.record.to_json() == mine.record.to_json()


@pytest.mark.parametrize("name", ["null", "12", "a: b", "it's {x}"])
def test_a_text_in_a_mapping_is_that_text(name):
    assert accelsim.load_accelerator(CHIP, set={"name": name}).name == name


@pytest.mark.parametrize("changes", [{"vector_unit.passes.copy_rows": 3}, ["vector_unit.passes={copy_rows: 3}"]])
def test_a_field_of_old_files_cannot_be_set_as_it_has_no_effect(changes):
    with pytest.raises(accelsim.AccelsimError, match="copy_rows` is accepted from old files, where it has no effect"):
        accelsim.load_accelerator(CHIP, set=changes)


def test_a_field_of_old_files_is_passed_over_in_a_file_with_other_fields_set():
    fields = accelsim.load_accelerator(CHIP).written()
    fields["vector_unit"]["passes"]["copy_rows"] = 1
    assert accelsim.load_accelerator(fields, set={"codebook.ports": 2}) == accelsim.load_accelerator(CHIP, set={"codebook.ports": 2})


def test_a_row_may_be_given_by_a_whole_number_of_numpy():
    layers = accelsim.simulate(CHIP, NETWORK).layers
    assert layers[np.int64(1)] == layers[1]
