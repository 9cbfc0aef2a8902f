"""What a test needs and this machine lacks."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test for want of something; where CI promises to have everything, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI has no excuse")
    pytest.skip(what)
