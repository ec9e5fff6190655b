"""A weight format that lives in a folder of its own: discovery finds it beside the formats of the package.

In a checkout the two files would lie in `accelsim/formats` and `accelsim/compression`. A page should not write there, so the packages get
a second folder to look in.
"""

from __future__ import annotations

from pathlib import Path

import accelsim.compression
import accelsim.formats


def add_format(folder: Path, name: str, format_source: str, encoder_source: str) -> None:
    """Write a format and its encoder below `folder`, and let the packages find them."""
    for package, source in ((accelsim.formats, format_source), (accelsim.compression, encoder_source)):
        place = folder / package.__name__.rpartition(".")[2]
        place.mkdir()
        (place / f"{name}.py").write_text(source)
        package.__path__.append(str(place))
