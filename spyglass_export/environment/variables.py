"""`variables:` of environment.yml: what of them is the paper's, and what the lab machine's."""

import re
from typing import Any

# Where an environment is, on one machine; a folder that every Linux has may stay.
_PATH = re.compile(
    r"(^|[:;=,\s'\"])(~|/(?!(tmp|dev|usr|etc|bin|proc)\b)\w|[A-Za-z]:[\\/]|\\\\|file:)|\$\{?HOME|%USERPROFILE%"
)
_SECRET = re.compile(r"key|token|secret|passw|passphrase|pwd|pass$|credential|auth(?!or)|cookie|dsn|session_?id", re.I)
# Long mixtures of letters and digits, and the beginnings that services give their keys.
_SECRET_VALUE = re.compile(r"^(sk-|gh[pousr]_|hf_|xox[abp]-|AKIA|AIza|eyJ|glpat-)|://[^/\s]*@|[?&](token|sig|key)=")
_RANDOM_VALUE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_-]{24,}")
_GPU = re.compile(r"^(CUDA|CUDNN|NVIDIA|NCCL|ROCM|HIP|ROCR|GPU)_|VISIBLE_DEVICES$|^TF_FORCE_GPU|^JAX_CUDA", re.I)
_PLATFORM = re.compile(r"cuda|gpu|rocm|metal|tpu", re.I)
# What the hub is given when it starts, and how one machine reaches the network.
_HUB = re.compile(r"^(SPYGLASS|DJ|DANDI)_|^(PATH|HOME|USER|LOGNAME|HOSTNAME|SHELL|PWD|DISPLAY)$|_proxy$", re.I)


def left_out(variables: Any) -> dict[str, str]:
    """The names of the variables that do not belong to the paper, each with the reason; values are never told."""
    reasons = {}
    for name, value in variables.items() if isinstance(variables, dict) else ():
        if reason := _reason(str(name), str(value)):
            reasons[str(name)] = reason
    return reasons


def _reason(name: str, value: str) -> str:
    if _SECRET.search(name) or _SECRET_VALUE.search(value) or _RANDOM_VALUE.fullmatch(value):
        return "it may be a key or a password"
    if _HUB.search(name):
        return "the hub is given its own value when it starts"
    if _PATH.search(value):
        return "it names a path of the lab's machine"
    if _GPU.search(name) or (name.upper() in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME") and _PLATFORM.search(value)):
        return "it is for a GPU, and the containers have none"
    return ""
