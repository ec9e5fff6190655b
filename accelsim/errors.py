"""The errors that accelsim raises on purpose: each carries one message for a person, and the CLI turns it into exit status 2."""

from __future__ import annotations


class AccelsimError(Exception):
    """Base of every error caused by user input."""


class ConfigError(AccelsimError):
    """An accelerator, device, technology or sweep description is wrong."""


class TraceError(AccelsimError):
    """A trace directory (manifest or payload) is wrong."""


class FormatError(TraceError):
    """A format's parameters do not match its streams, or the format cannot take these weights."""


class ImportModelError(AccelsimError):
    """A model cannot be turned into a trace."""


class CompileError(AccelsimError):
    """A trace cannot be placed on an accelerator."""


class PinnedWeightsTooLarge(CompileError):
    """Weights that are to stay on the chip exceed their buffer."""


class DeadlockError(AccelsimError):
    """Every unit waits: the message lists each unit and the event it waits for."""


class ConservationError(AccelsimError):
    """Something that must add up does not: cycles, bytes or MACs."""


class ReferenceDataError(AccelsimError):
    """A file of reference figures, or a request trace, is wrong."""


class OutputError(AccelsimError):
    """A result cannot be written where the user wants it."""
