"""Write the page of a comparison: saved and new side by side, and the difference between them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2


def render(name: str, counts: Mapping[str, Mapping[str, int]], cells: Sequence[Mapping[str, Any]], ran: str) -> str:
    """Write the page of one notebook, which needs no other file and no network."""
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(name=name, counts=counts, cells=cells, ran=ran)
