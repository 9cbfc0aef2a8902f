"""A build reads the export only where something has changed since it was read last."""

import os
from pathlib import Path

import pytest

from spyglass_export.export.unchanged import is_as_remembered, remember
from spyglass_export.settings import Settings, load


@pytest.fixture
def copied(tmp_path: Path) -> Settings:
    for name, text in {
        ".env": "PAPER_ID=Gu2026\nSPYGLASS_PAPER_DIR=export\n",
        "export/_Populate_Gu2026.sql": "SELECT 1;\n",
        "export_data/environment.yml": "name: Gu2026\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return load(tmp_path, {})


@pytest.mark.parametrize(
    "name", ["export/_Populate_Gu2026.sql", "export/environment.yml", "export_data/environment.override.yml"]
)
def test_what_changes_is_seen(copied: Settings, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spyglass_export.export.unchanged.read_manifest", lambda folder: folder)
    assert not is_as_remembered(copied)

    remember(copied)
    assert is_as_remembered(copied)

    (copied.root / name).write_text("changed")
    assert not is_as_remembered(copied)
    remember(copied)
    os.utime(copied.root / name, (1, 1))
    assert not is_as_remembered(copied)


def test_another_setting_or_a_lost_manifest_is_seen(copied: Settings) -> None:
    remember(copied)

    assert not is_as_remembered(copied)  # there is no manifest
