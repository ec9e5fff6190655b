"""The head of a page: its names, and a policy that admits its own style and scripts and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from accelsim import __version__
from accelsim.report.html.elements import Node, element, verbatim


def head_of(title: str, style: str, scripts: Sequence[str], styles: str = "", images: str = "") -> Node:
    """The head of a page with one style sheet and some scripts, which the caller puts into the body.

    `styles` names other sources of style than this sheet (by default none: the sheet is admitted by its hash), `images` those
    of images (by default none); both are in the words of the Content Security Policy.
    """
    policy = ["default-src 'none'"]
    if images:
        policy.append(f"img-src {images}")
    policy += [
        f"style-src {styles or _hash(style)}",
        f"script-src {' '.join(_hash(script) for script in scripts)}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content="; ".join(policy)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"accelsim {__version__}"),
        element("title", title),
        verbatim("style", style),
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
