"""The files for readers without Docker, filled in; tests/integration/test_kubernetes.py asks others about them."""

import subprocess
from pathlib import Path

import pytest
import yaml

from spyglass_export.containers.docker import full_name
from spyglass_export.publishing import bundle
from tests.elsewhere import DIGEST, fill_in


@pytest.fixture
def filled(tmp_path: Path) -> dict[str, str]:
    return fill_in(tmp_path)


def test_nothing_is_left_blank(filled: dict[str, str]) -> None:
    assert {"kubernetes/pod.yaml", "jupyterhub/values.yaml", "jupyterhub/jupyterhub_config.py"} <= filled.keys()
    assert not [name for name, text in filled.items() if bundle.BLANK.search(text)]


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("mysql:9.7", "docker.io/library/mysql:9.7"),
        ("lab/db@sha256:0", "docker.io/lab/db@sha256:0"),
        ("localhost:5000/db:1", "localhost:5000/db:1"),
        ("ghcr.io/lab/db:1", "ghcr.io/lab/db:1"),
        ("sha256:0123", "sha256:0123"),
    ],
)
def test_podman_and_kubernetes_are_told_the_registry(reference: str, full: str) -> None:
    assert full_name(reference) == full


def test_the_pod_is_one_that_a_strict_cluster_takes(filled: dict[str, str]) -> None:
    pod = yaml.safe_load(filled["kubernetes/pod.yaml"])

    assert pod["metadata"]["name"] == "spyglass-3-gu-2026"
    assert pod["spec"]["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    images = [container["image"] for container in pod["spec"]["containers"]]
    assert images == [f"docker.io/lab/db@{DIGEST}", f"registry.example.org:5000/lab/hub@{DIGEST}"]
    for container in pod["spec"]["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert container["readinessProbe"]["exec"]
        assert not [port for port in container.get("ports", []) if "hostPort" in port]


def test_shell_scripts_are_bash_of_old_clusters(filled: dict[str, str]) -> None:
    for text in (text for name, text in filled.items() if name.startswith("apptainer/")):
        assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True).stderr == ""
