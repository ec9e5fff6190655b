"""Every reader answers hostile input with a result or one sentence: 2,000 mutated inputs, and each input that once did not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import numba
import pytest

from tests.fuzz import mutators
from tests.fuzz.case import Case

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


def test_a_case_of_any_bytes_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    case = Case("x", ("area", "a\x1bb"), {"a/b.yaml": b"text\n", "c": bytes(range(256))})
    case.save(tmp_path / "case.json")
    assert Case.load(tmp_path / "case.json") == case


@pytest.mark.parametrize(
    "data", [b'{"a": [1, {"b": "c"}]}', b"a,b\n1,2\n", (2).to_bytes(8, "little") + b"{}", b"\x0a\x03\x08\x96\x01\x12\x01x"]
)
def test_mutations_follow_from_the_seed(data: bytes) -> None:
    for mutate in (mutators.mutate_bytes, mutators.mutate_text, mutators.mutate_table, mutators.mutate_protobuf):
        once, again = ([mutate(Random(seed), data) for seed in range(50)] for _ in range(2))
        assert once == again
        assert len(set(once)) > 10
