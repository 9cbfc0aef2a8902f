"""What Kubernetes' own schemas, and JupyterHub's spawner of pods, make of the files for readers without Docker."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.elsewhere import fill_in


@pytest.fixture
def filled(tmp_path: Path) -> dict[str, str]:
    return fill_in(tmp_path)


def required(module: str) -> Any:
    """Import what `pip install '.[test]'` installs; where CI promises to have it, fail without."""
    return __import__(module) if os.environ.get("CI") == "true" else pytest.importorskip(module)


@pytest.mark.parametrize("name", ["kubernetes/pod.yaml", "kubernetes/network-policy.yaml"])
def test_kubernetes_takes_it(filled: dict[str, str], name: str) -> None:
    validator = required("kubernetes_validate")

    for version in ("1.27", validator.latest_version()):
        validator.validate(yaml.safe_load(filled[name]), version, strict=True)


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
