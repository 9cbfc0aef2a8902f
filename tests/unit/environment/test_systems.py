"""The exporting system, told by all of a file and not by one name."""

import pytest

from spyglass_export.environment.package_lists import exported_on

LIBGCC_MUTEX = ("-libgcc-mutex", "main")


@pytest.mark.parametrize(
    ("packages", "prefix", "system"),
    [
        (
            [LIBGCC_MUTEX, ("pip", "py38hecd8cb5_0"), ("libffi", "hb1e8313_2")],
            "/opt/homebrew/anaconda3/envs/lab",
            "macOS",
        ),
        ([LIBGCC_MUTEX, ("libcxx", "h27087fc_0"), ("ld-impl-linux-64", "h41732ed_0")], "/home/ada/envs/lab", ""),
        ([("pip", "py39haa95532_0")], "", "Windows"),
        ([("pip", ""), ("vc", "")], "C:\\Users\\ada\\envs\\lab", "Windows"),
        ([("pip", "py310hca03da5_0"), ("zlib", "h5a0b063_0")], "", "macOS"),
        ([("pip", "pyhd8ed1ab_0"), ("python", "")], "", ""),
        ([("gcc-impl-linux-aarch64", "")], "", "Linux on ARM"),
    ],
)
def test_all_evidence_counts(packages: list[tuple[str, str]], prefix: str, system: str) -> None:
    assert exported_on(packages, prefix) == system


def test_what_channels_have_elsewhere_counts_too() -> None:
    assert exported_on([("numpy", "py39h1_0"), LIBGCC_MUTEX], "", ["Windows", "Windows"]) == "Windows"
