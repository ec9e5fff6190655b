"""Every reader answers hostile input with a result or one sentence: 2,000 mutated inputs, and each input that once did not."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from random import Random

import numba
import pytest

from tests.fuzz import mutators
from tests.fuzz.case import Case
from tests.fuzz.fork_server import FINDINGS, Outcome
from tests.fuzz.survey import draw
from tests.fuzz.tally import Tally

COUNT = 2000
CORPUS = Path(__file__).parent / "corpus"
pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a run per input is too slow as plain Python")


def survey(*words: str) -> subprocess.CompletedProcess[str]:
    """The survey in a process of its own, which forks before it has threads."""
    return subprocess.run([sys.executable, "-m", "tests.fuzz.survey", *words], capture_output=True, text=True, cwd=CORPUS.parents[2])


def test_two_thousand_mutated_inputs_end_in_a_result_or_one_sentence(tmp_path: Path) -> None:
    ended = survey("--count", str(COUNT), "--seed", "1", "--jobs", "2", "--findings", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_input_of_the_corpus_ends_in_a_result_or_one_sentence(tmp_path: Path) -> None:
    ended = survey("--corpus", "--findings", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_valid_input_of_every_reader_is_read(tmp_path: Path) -> None:
    """A seed that is refused would have each mutation of it refused for that one reason."""
    ended = survey("--seeds", "--findings", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_survey_that_was_cut_off_goes_on_to_the_counts_of_a_whole_one(tmp_path: Path) -> None:
    cases = list(draw(range(20), seed=3))
    outcomes = [Outcome(case, FINDINGS[0] if number == 7 else "refused", "", 0.25, number << 20) for number, case in enumerate(cases)]
    whole, half = (Tally({"seed": 3}) for _ in range(2))
    for outcome in outcomes:
        whole.add(outcome)
    for outcome in outcomes[:10]:
        half.add(outcome)
    half.inputs = 10
    half.save(tmp_path / "tally.json")
    other_half = Tally({"seed": 3})
    other_half.resume(tmp_path / "tally.json")
    assert other_half.inputs == 10
    for outcome in outcomes[10:]:
        other_half.add(outcome)
    assert other_half.table() == whole.table()
    assert (whole.findings, whole.total.ends.total(), whole.total.seconds, whole.total.most_bytes) == (1, 20, 5.0, 19 << 20)


def test_counts_of_another_seed_or_of_other_code_are_not_gone_on_from(tmp_path: Path) -> None:
    Tally({"seed": 3}).save(tmp_path / "tally.json")
    with pytest.raises(ValueError, match=r"tally\.json: made with another seed; begin anew, without --resume"):
        Tally({"seed": 4}).resume(tmp_path / "tally.json")


def test_a_case_of_any_bytes_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    case = Case("x", ("area", "a\x1bb"), {"a/b.yaml": b"text\n", "c": bytes(range(256))})
    case.save(tmp_path / "case.json")
    assert Case.load(tmp_path / "case.json") == case


@pytest.mark.parametrize(
    "data",
    [b'{"a": [1, {"b": "c"}]}', b"a,b\n1,2\n", (2).to_bytes(8, "little") + b"{}", b"\x0a\x03\x08\x96\x01\x12\x01x"],
)
def test_mutations_follow_from_the_seed(data: bytes) -> None:
    for mutate in (mutators.mutate_bytes, mutators.mutate_text, mutators.mutate_table, mutators.mutate_protobuf):
        once, again = ([mutate(Random(seed), data) for seed in range(50)] for _ in range(2))
        assert once == again
        assert len(set(once)) > 10


def test_an_archive_without_entries_can_be_mutated() -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    assert len({mutators.mutate_npz(Random(seed), empty.getvalue()) for seed in range(50)}) > 5


def test_any_header_of_an_array_can_be_mutated() -> None:
    for data in (b"", b"\x93NUMPY\x01\x00\x00\x00", b"\x93NUMPY\x01\x00\x02\x00{}abc"):
        assert len({mutators.mutate_npy(Random(seed), data) for seed in range(100)}) > 5


def test_any_stated_length_of_a_header_can_be_mutated() -> None:
    for length in (2, 2**64 - 1):
        assert len({mutators.mutate_safetensors(Random(seed), length.to_bytes(8, "little") + b"{}") for seed in range(50)}) > 5
