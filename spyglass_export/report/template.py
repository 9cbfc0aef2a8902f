"""The templates beside this file, filled in: all values are escaped."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich import filesize

from spyglass_export.report.schema import class_name


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {"size": filesize.decimal, "class_name": class_name}
    return environment


def fill(name: str, **values: Any) -> Markup:
    """Fill in a template; what comes of it is not escaped again."""
    return Markup(_environment().get_template(name).render(values))  # noqa: S704
