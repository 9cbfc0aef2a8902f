"""The files for readers without Docker: what is filled in, and what Kubernetes makes of it."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from spyglass_export.containers.docker import full_name
from spyglass_export.containers.image import Image
from spyglass_export.publishing import bundle
from spyglass_export.settings import load

ROOT = Path(__file__).resolve().parents[3]
DIGEST = "sha256:" + "a" * 64


def required(module: str) -> Any:
    """Import what `pip install '.[test]'` installs; where CI promises to have it, fail without."""
    return __import__(module) if os.environ.get("CI") == "true" else pytest.importorskip(module)


@pytest.fixture
def filled(tmp_path: Path) -> dict[str, str]:
    """The files of a paper whose ID and title are as awkward as they may be."""
    (tmp_path / ".env").write_text("PAPER_ID=3_Gu-2026\nDANDISET_VERSION=0.220913.1400\n")
    (tmp_path / "CITATION.cff").write_text(
        "cff-version: 1.2.0\ntitle: 'Ripples: \"what\" {they} are # and a \\ too'\nauthors: [{name: The Lab}]\n"
    )
    (tmp_path / "elsewhere").symlink_to(ROOT / "elsewhere")
    images = {
        service: Image(f"lab/{service}", DIGEST, {"spyglass-export.volume": f"{service}0123"}, "linux/amd64")
        for service in ("db", "hub")
    }
    references = {"db": f"lab/db@{DIGEST}", "hub": f"registry.example.org:5000/lab/hub@{DIGEST}"}
    return bundle.fill_elsewhere(load(tmp_path, {}), images, references)


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


@pytest.mark.parametrize("name", ["kubernetes/pod.yaml", "kubernetes/network-policy.yaml"])
def test_kubernetes_takes_it(filled: dict[str, str], name: str) -> None:
    validator = required("kubernetes_validate")

    for version in ("1.27", validator.latest_version()):
        validator.validate(yaml.safe_load(filled[name]), version, strict=True)


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


# A cluster that is never asked, without which KubeSpawner does not begin.
KUBECONFIG = """\
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: none, user: {}}]
"""


def test_what_kubespawner_makes_of_the_values_is_a_pod(
    filled: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    validator, kubespawner = required("kubernetes_validate"), required("kubespawner")
    kubernetes = required("kubernetes_asyncio")
    (profile,) = yaml.safe_load(filled["jupyterhub/values.yaml"])["singleuser"]["profileList"]

    class User:
        name = escaped_name = "ada"
        id, url, server, settings = 1, "/user/ada/", None, {}  # type: ignore[var-annotated]

    async def make() -> dict[str, Any]:
        spawner = kubespawner.KubeSpawner(_mock=True, user=User(), profile_list=[profile], namespace="default")
        await spawner.load_user_options()
        manifest = await spawner.get_pod_manifest()
        made: dict[str, Any] = kubernetes.client.ApiClient().sanitize_for_serialization(manifest)
        return made

    pod = asyncio.run(make())

    validator.validate(pod, validator.latest_version(), strict=True)
    assert profile["display_name"] == 'Ripples: "what" {they} are # and a \\ too'
    db = next(one for one in pod["spec"]["containers"] if one["name"] == "db")
    hub = next(one for one in pod["spec"]["containers"] if one["name"] != "db")
    assert hub["args"] == ["jupyterhub-singleuser"]
    assert {"name": "DJ_HOST", "value": "127.0.0.1"} in hub["env"]
    assert db["args"] == ["--bind-address=127.0.0.1"]
    assert {volume["persistentVolumeClaim"]["claimName"] for volume in pod["spec"]["volumes"]} == {"claim-ada"}
    mounts = [*hub["volumeMounts"], *db["volumeMounts"]]
    assert len({mount["subPath"] for mount in mounts}) == len(mounts) == 4


def test_shell_scripts_are_bash_of_old_clusters(filled: dict[str, str]) -> None:
    for text in (text for name, text in filled.items() if name.startswith("apptainer/")):
        assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True).stderr == ""
