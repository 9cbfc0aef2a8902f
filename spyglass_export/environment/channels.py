"""Where conda's packages come from: channels by their addresses, as conda of this machine would find them."""

import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from spyglass_export.environment.credentials import without_user

# https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/settings.html
CHANNEL_ALIAS = "https://conda.anaconda.org"
DEFAULT_CHANNELS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
# The base image's conda looks here too, whatever channels the file names.
HUB_CHANNEL = "conda-forge"
ANSWER_SECONDS = 5.0
AT_ONCE = 24


def _condarc() -> dict[str, Any]:
    """What conda's files say; later ones win."""
    values: dict[str, Any] = {}
    for place in ("~/.conda/.condarc", "~/.condarc", "$CONDA_PREFIX/.condarc", "$CONDARC"):
        with suppress(yaml.YAMLError, OSError, UnicodeDecodeError):
            read = yaml.safe_load(Path(os.path.expandvars(place)).expanduser().read_text(encoding="utf-8"))
            values |= read if isinstance(read, dict) else {}
    return values


def without_platform(channel: str) -> str:
    """A channel as it is called where a line names one platform of it, such as `conda-forge/linux-64`."""
    return re.sub(r"/(linux-64|noarch)/?$", "", channel).rstrip("/")


def channels_of(content: Mapping[str, Any]) -> list[str]:
    """The addresses that an environment's packages come from, by priority: its own channels, then the hub's."""
    condarc = _condarc()
    alias = os.environ.get("CONDA_CHANNEL_ALIAS") or condarc.get("channel_alias") or CHANNEL_ALIAS
    custom = condarc.get("custom_channels") or {}

    def addresses(channel: str) -> Iterator[str]:
        if channel == "defaults":
            for one in condarc.get("default_channels") or DEFAULT_CHANNELS:
                yield from addresses(one)
        elif channel != "nodefaults":
            channel = without_platform(channel)
            place = str(custom.get(channel.partition("/")[0], alias)).rstrip("/")
            yield channel if "://" in channel else f"{place}/{channel}"

    named = [channel for channel in content.get("channels") or () if isinstance(channel, str)]
    if "nodefaults" not in named:
        named += re.findall(r"[^,&\s]+", os.environ.get("CONDA_CHANNELS", "")) or [HUB_CHANNEL]
    lines = [line for line in content.get("dependencies") or () if isinstance(line, str)]
    named += [channel for line in lines if (channel := line.rpartition("::")[0])]
    return list(dict.fromkeys(address for channel in named for address in addresses(channel)))


@cache
def _certificates(ca_bundle: Path | str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_bundle if ca_bundle and Path(ca_bundle).is_file() else None)


def _answers(addresses: Sequence[str], ca_bundle: Path | str | None) -> dict[str, int | str]:
    """Ask for each address, all at once: the status that its server answers with, or why none does."""
    addresses = [one for one in addresses if urlsplit(one).scheme in ("http", "https")]
    if not addresses:
        return {}
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=_certificates(ca_bundle)))

    def answer(address: str) -> int | str:
        # Whose credentials are asked for here, answers all the same.
        request = urllib.request.Request(without_user(address), method="HEAD")  # noqa: S310
        try:
            with opener.open(request, timeout=ANSWER_SECONDS) as answered:
                return int(answered.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, ValueError) as error:
            return str(getattr(error, "reason", error)) or "no answer"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(addresses, pool.map(answer, addresses), strict=True))


def unreachable(addresses: Sequence[str], ca_bundle: Path | str | None) -> dict[str, str]:
    """Give those of the addresses whose server does not answer, with the reason; "not found" is an answer."""
    return {
        address: f"it answers {answer}" if isinstance(answer, int) else answer
        for address, answer in _answers(addresses, ca_bundle).items()
        if isinstance(answer, str) or answer >= 500 or answer == 407
    }


def answering(channels: Sequence[str], ca_bundle: Path | None) -> tuple[list[str], dict[str, str]]:
    """Give those of the channels whose server answers, and the others, without a user, with the reason."""
    silent = unreachable([f"{channel}/noarch/repodata.json" for channel in channels], ca_bundle)
    reasons = {channel: silent.get(f"{channel}/noarch/repodata.json") for channel in channels}
    return (
        [channel for channel, why in reasons.items() if why is None],
        {without_user(channel): why for channel, why in reasons.items() if why is not None},
    )


def gone(addresses: Sequence[str], ca_bundle: Path | str | None) -> list[str]:
    """Give those of the addresses where a server says that nothing is there any more."""
    return [address for address, answer in _answers(addresses, ca_bundle).items() if answer in (404, 410)]
