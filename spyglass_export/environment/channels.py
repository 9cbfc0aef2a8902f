"""Where conda's packages come from: channels by their addresses, as conda of this machine would find them."""

import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

# https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/settings.html
CHANNEL_ALIAS = "https://conda.anaconda.org"
DEFAULT_CHANNELS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
# The base image's conda looks here too, whatever channels the file names.
HUB_CHANNEL = "conda-forge"
ANSWER_SECONDS = 5.0
AT_ONCE = 24


@dataclass(frozen=True)
class CondaConfiguration:
    """What conda of this machine is configured with, in .condarc or by variables such as CONDA_CHANNEL_ALIAS."""

    alias: str
    default_channels: tuple[str, ...]
    custom_channels: Mapping[str, str]
    channels: tuple[str, ...]


def conda_configuration(environment: Mapping[str, str] = os.environ) -> CondaConfiguration:
    """Read conda's configuration; later places win, variables last."""
    home, prefix = Path.home(), environment.get("CONDA_PREFIX")
    files = [home / ".conda" / ".condarc", home / ".condarc", *([Path(prefix) / ".condarc"] if prefix else [])]
    files += [Path(environment["CONDARC"])] if environment.get("CONDARC") else []
    values: dict[str, Any] = {}
    for file in files:
        try:
            read = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        except (yaml.YAMLError, OSError, UnicodeDecodeError):
            read = None
        values |= read if isinstance(read, dict) else {}
    named = [one.strip() for one in re.split(r"[,&]", environment.get("CONDA_CHANNELS", "")) if one.strip()]
    return CondaConfiguration(
        alias=str(environment.get("CONDA_CHANNEL_ALIAS") or values.get("channel_alias") or CHANNEL_ALIAS).rstrip("/"),
        default_channels=tuple(values.get("default_channels") or DEFAULT_CHANNELS),
        custom_channels=dict(values.get("custom_channels") or {}),
        channels=tuple(named) or (HUB_CHANNEL,),
    )


def without_platform(channel: str) -> str:
    """A channel as it is called where a line names one platform of it, such as `conda-forge/linux-64`."""
    return re.sub(r"/(linux-64|noarch)/?$", "", channel).rstrip("/")


def addresses_of(channel: str, conda: CondaConfiguration) -> tuple[str, ...]:
    """The addresses of a channel; none of ``nodefaults``, which is no channel."""
    if channel == "nodefaults":
        return ()
    if channel == "defaults":
        return tuple(place for one in conda.default_channels for place in addresses_of(one, conda))
    channel = without_platform(channel)
    if "://" in channel:
        return (channel,)
    return (f"{str(conda.custom_channels.get(channel.partition('/')[0], conda.alias)).rstrip('/')}/{channel}",)


def channels_of(content: Mapping[str, Any], conda: CondaConfiguration) -> list[str]:
    """The addresses that an environment's packages come from, by priority: its own channels, then the hub's."""
    named = [channel for channel in content.get("channels") or () if isinstance(channel, str)]
    named += [] if "nodefaults" in named else conda.channels
    for line in content.get("dependencies") or ():
        if isinstance(line, str) and "::" in line and not line.startswith("::"):
            named.append(line.rpartition("::")[0])
    return list(dict.fromkeys(place for channel in named for place in addresses_of(channel, conda)))


def shown(address: str) -> str:
    """An address without the user, password or token in it."""
    return re.sub(r"/t/[^/]+", "/t/***", _without_user(address))


def _without_user(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)


def _answers(addresses: Sequence[str], ca_bundle: Path | None) -> dict[str, int | str]:
    """Ask for each address, all at once: the status that its server answers with, or why none does."""
    context = ssl.create_default_context(cafile=str(ca_bundle) if ca_bundle and ca_bundle.is_file() else None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))

    def answer(address: str) -> int | str:
        if urlsplit(address).scheme not in ("http", "https"):
            return 200
        # Whose credentials are asked for here, answers all the same.
        request = urllib.request.Request(_without_user(address), method="HEAD")  # noqa: S310
        try:
            with opener.open(request, timeout=ANSWER_SECONDS) as answered:
                return int(answered.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, ValueError) as error:
            return str(getattr(error, "reason", error)) or "no answer"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(addresses, pool.map(answer, addresses), strict=True))


def unreachable(addresses: Sequence[str], ca_bundle: Path | None) -> dict[str, str]:
    """Give those of the addresses whose server does not answer, with the reason; "not found" is an answer."""
    return {
        address: f"it answers {answer}" if isinstance(answer, int) else answer
        for address, answer in _answers(addresses, ca_bundle).items()
        if isinstance(answer, str) or answer >= 500 or answer == 407
    }


def gone(addresses: Sequence[str], ca_bundle: Path | None) -> list[str]:
    """Give those of the addresses where a server says that nothing is there any more."""
    return [address for address, answer in _answers(addresses, ca_bundle).items() if answer in (404, 410)]
