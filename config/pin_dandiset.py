"""Have Spyglass stream the version of a Dandiset that DANDISET_VERSION names, where it would take the latest.

Kernels and Python prompts of the paper's environment run this at their start, as PYTHONSTARTUP; see activate.sh.
Spyglass opens a file by ``DandiAPIClient.get_dandiset(dandiset_id)``, without a version:
https://github.com/LorenFrankLab/spyglass/blob/master/src/spyglass/common/common_dandi.py
"""


def _pin() -> None:
    import functools
    import os
    from typing import Any

    version = os.environ["DANDISET_VERSION"]
    try:
        from dandi.dandiapi import DandiAPIClient
    except ImportError:
        return
    get_dandiset = DandiAPIClient.get_dandiset

    @functools.wraps(get_dandiset)
    def get_pinned(self: Any, dandiset_id: str, version_id: str | None = None, *arguments: Any, **named: Any) -> Any:
        return get_dandiset(self, dandiset_id, version_id or version, *arguments, **named)

    DandiAPIClient.get_dandiset = get_pinned


_pin()
del _pin  # this runs in the user's own namespace
