"""Codebooks that several networks share: one for each format whose codebook is no layer's own.

Assumes that all networks are at hand at once, as when a chip's ROM is made; a network that comes later takes the codebook as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from accelsim.compression.encoder import Codebook, Matrix, make_codebook
from accelsim.errors import FormatError
from accelsim.formats.catalog import describe_format
from accelsim.formats.weight_format import CODEBOOK, WeightFormat

Codebooks = Mapping[WeightFormat, Codebook]
NetworkMatrices = Sequence[tuple[WeightFormat, Matrix]]


def shared_codebooks(networks: Sequence[NetworkMatrices], seed: int) -> Codebooks:
    """The codebook of each shared format among the networks' layers; empty without such a format.

    Parameters
    ----------
    networks
        The layers of each network with their formats, in an order that does not depend on which network is compressed.

    Raises
    ------
    FormatError
        A format does not fit a layer, a codebook has more codewords than all networks have subvectors, or a network has no layer in a
        format that it should share.
    """
    found = dict.fromkeys(spec for network in networks for spec, matrix in network if _is_drawn(spec, matrix))
    codebooks: dict[WeightFormat, Codebook] = {}
    for spec in found:
        name = describe_format(spec)
        chosen = [[matrix for candidate, matrix in network if candidate == spec] for network in networks]
        if not all(chosen):
            raise FormatError(f"a network has no layer in {name!r}, whose codebook it should share; allowed: networks that use it")
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))
        try:
            codebooks[spec] = make_codebook(spec, chosen, rng)
        except FormatError as error:
            raise FormatError(f"the codebook of {name!r} for all layers and networks: {error}") from None
    return codebooks


def _is_drawn(spec: WeightFormat, matrix: Matrix) -> bool:
    """Whether networks share a codebook of their weights; a grid that is fixed by its definition is no stream of a trace."""
    return spec.codebook_scope == "shared" and CODEBOOK in spec.streams(matrix.k, matrix.n)
