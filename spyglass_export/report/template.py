"""The templates beside this file, filled in: all values are escaped."""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from rich import filesize

from spyglass_export.report.schema import class_name


@cache
def _environment() -> Environment:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters |= {"size": filesize.decimal, "class_name": class_name}
    return environment


def text_of(name: str) -> str:
    """Give a file of this folder as it is."""
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def fill(name: str, **values: Any) -> Markup:
    """Fill in a template; what comes of it is not escaped again."""
    return Markup(_environment().from_string(text_of(name)).render(values))  # noqa: S704
