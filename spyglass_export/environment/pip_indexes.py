"""Where pip of this machine looks for packages, as its files and variables say."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PipConfiguration:
    """Indexes, folders and pages of files that pip looks in, hosts that it trusts, and the CA certificates.

    ``index`` is empty where none is configured: then it is that of pip and uv themselves.
    """

    index: str = ""
    extra_indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    ca_bundle: str | None = None


def pip_configuration(ca_bundle: Path | None = None) -> PipConfiguration:
    """Ask pip how it is configured on this machine, in its files and its environment variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout
    values: dict[str, str] = {}
    # Later sections win, as they do in pip.
    for section in ("global.", "install.", ":env:."):
        for name, value in re.findall(rf"^{re.escape(section)}([\w-]+)='(.*)'$", listed, re.MULTILINE):
            values[name] = value.replace("\\n", " ")
    return PipConfiguration(
        index=values.get("index-url") or os.environ.get("PIP_INDEX_URL") or "",
        extra_indexes=tuple(values.get("extra-index-url", "").split()),
        find_links=tuple(values.get("find-links", "").split()),
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        ca_bundle=values.get("cert") or (str(ca_bundle) if ca_bundle else None),
    )
