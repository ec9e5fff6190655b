"""Constraints: what they mean, and where a wrong one says that it is wrong."""

from __future__ import annotations

import pytest

from accelsim.errors import ConfigError
from accelsim.sweeps.expression import MAX_LENGTH, parse_expression

VALUES = {
    "array.rows": 32,
    "array.cols": 16,
    "weight_buffer.capacity": 64 * 1024,
    "dram.device": "ideal",
    "codebook.banks": None,
    "clock": 10**9,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("array.rows == array.cols", False),
        ("array.rows == 2 * array.cols", True),
        ("array.rows - array.cols - 16 == 0", True),  # minus goes from left to right: 32 - 16 - 16
        ("2 + 3 * 4 == 14 and (2 + 3) * 4 == 20", True),
        ("-array.rows < 0", True),
        ("weight_buffer.capacity <= 64 KiB", True),
        ("weight_buffer.capacity < 64KiB", False),
        ("weight_buffer.capacity >= 65.536 kB", True),
        ("clock == 1 GHz and clock == 1000 MHz", True),
        ("2 GB/s / 2 == 1 GB/s", True),
        ("1 / 3 * 3 == 1", True),  # fractions, not floats
        ("array.rows % 3 == 2", True),
        ("array.cols in [8, 16]", True),
        ("dram.device in ['ideal', \"flash\"]", True),
        ("dram.device != 'ideal'", False),
        ("not array.rows == 32 or array.cols == 16", True),
        ("true or false and false", True),  # `and` binds closer
        ("codebook.banks == null or codebook.banks > 2", True),  # stops at the first true
        ("not (array.rows > 8 and array.cols > 8)", False),
    ],
)
def test_a_constraint_means_what_it_says(text, expected):
    assert parse_expression(text).holds(VALUES.__getitem__) is expected


def test_a_constraint_names_what_it_reads():
    assert parse_expression("array.rows == array.cols and array.rows > 2").paths == ("array.rows", "array.cols")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "position 1: a field, number or text is missing: it ends there"),
        ("array.rows ==", "position 14: a field, number or text is missing: it ends there"),
        ("array.rows = 4", "position 12: cannot read '= 4'"),
        ("(array.rows > 4", "position 16: ')' is missing"),
        ("array.rows array.cols", "position 12: an operator"),
        ("array.rows in [1, 2", "']' or ',' is missing"),
        ("1 < array.rows < 4", "position 16: an operator"),
        ("__import__('os').system('true')", "position 17: cannot read"),
        ("array.rows.__class__ > 1; 2", "cannot read '; 2'"),
        ("lambda: 1", "cannot read ': 1'"),
        ("array.rows ** 2 > 1", "position 13: a field, number or text is missing: got '*'"),
        ("(" * 900 + "1" + ")" * 900, "nested too deeply"),
        ("1 " * MAX_LENGTH, "characters; allowed: at most"),
    ],
)
def test_a_constraint_that_cannot_be_read_says_where(text, message):
    with pytest.raises(ConfigError) as error:
        parse_expression(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("codebook.banks < 4", "null < 4 has no meaning"),
        ("dram.device > 4", "'ideal' > 4 has no meaning"),
        ("dram.device + 1 == 2", "'ideal' + 1 has no meaning"),
        ("true + 1 == 2", "true + 1 has no meaning"),
        ("array.rows in 4", "32 in 4 has no meaning"),
        ("array.rows / (array.cols - 16) > 1", "32 / 0 has no value"),
        ("array.rows % 0 == 1", "32 % 0 has no value"),
        ("array.rows + 1", "is 33, not true or false"),
        ("array.rows and true", "32 stands where true or false is needed"),
    ],
)
def test_a_constraint_without_meaning_says_so(text, message):
    with pytest.raises(ConfigError) as error:
        parse_expression(text).holds(VALUES.__getitem__)
    assert message in str(error.value)
