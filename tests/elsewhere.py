"""The files for readers without Docker, as the bundle of a paper has them."""

from pathlib import Path

from spyglass_export.containers.image import Image
from spyglass_export.publishing import bundle
from spyglass_export.settings import load

ROOT = Path(__file__).resolve().parents[1]
DIGEST = "sha256:" + "a" * 64


def fill_in(folder: Path) -> dict[str, str]:
    """The files of a paper whose ID and title are as awkward as they may be."""
    (folder / ".env").write_text("PAPER_ID=3_Gu-2026\nDANDISET_VERSION=0.220913.1400\n")
    (folder / "CITATION.cff").write_text(
        "cff-version: 1.2.0\ntitle: 'Ripples: \"what\" {they} are # and a \\ too'\nauthors: [{name: The Lab}]\n"
    )
    (folder / "elsewhere").symlink_to(ROOT / "elsewhere")
    images = {
        service: Image(f"lab/{service}", DIGEST, {"spyglass-export.volume": f"{service}0123"}, "linux/amd64")
        for service in ("db", "hub")
    }
    references = {"db": f"lab/db@{DIGEST}", "hub": f"registry.example.org:5000/lab/hub@{DIGEST}"}
    return bundle.fill_elsewhere(load(folder, {}), images, references)
