"""Types and ranges of arguments: one sentence that names the argument, its value and what is allowed."""

from __future__ import annotations

import numpy as np

from accelsim.errors import ConfigError
from accelsim.wording import shown


def wrong_type(what: str, value: object, allowed: str) -> ConfigError:
    """The error of an argument of another type than those allowed."""
    return ConfigError(f"{what}: {shown(value)} is of type {type(value).__name__}; allowed: {allowed}")


def count_of(what: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number, NumPy's too, from `least` to `most`; ConfigError for anything else."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise wrong_type(what, value, "a whole number")
    if value < least or (most is not None and value > most):
        allowed = f"{least} or more" if most is None else f"{least} to {most:,}"
        raise ConfigError(f"{what} has value {value}; allowed: {allowed}")
    return int(value)


def check_flags(**flags: object) -> None:
    """ConfigError unless each is True or False."""
    for what, value in flags.items():
        if not isinstance(value, bool):
            raise wrong_type(what, value, "True or False")


def check_text(what: str, value: object, allowed: str) -> None:
    """ConfigError unless `value` is text."""
    if not isinstance(value, str):
        raise wrong_type(what, value, allowed)


def check_texts(what: str, values: object, allowed: str) -> None:
    """ConfigError unless `values` is a list or tuple of texts."""
    if not isinstance(values, list | tuple):
        raise wrong_type(what, values, allowed)
    for value in values:
        check_text(f"an item of {what}", value, allowed)
