"""Whether export_data/ is what `copy_files` made last, of what is there now: a build then need not read the export."""

from pathlib import Path

from spyglass_export.environment.installable import OVERRIDE_FILE
from spyglass_export.errors import UserError
from spyglass_export.export.manifest import FILE, read_manifest
from spyglass_export.files import sha256_of, write_text
from spyglass_export.settings import Settings

# Hidden, as no image takes it.
_REMEMBERED = ".copied"
_PACKAGE = Path(__file__).resolve().parents[1]


def remember(settings: Settings) -> None:
    """Write down what export_data/ was made of, and what it holds."""
    write_text(settings.export_data / _REMEMBERED, _state(settings))


def is_as_remembered(settings: Settings) -> bool:
    """Whether nothing has changed since: the export, the settings that count, this program, and export_data/ itself."""
    try:
        remembered = (settings.export_data / _REMEMBERED).read_text(encoding="utf-8")
        return remembered == _state(settings) and read_manifest(settings.export_data) is not None
    except (OSError, UserError):
        return False  # whoever reads the export says what is wrong


def _state(settings: Settings) -> str:
    made = settings.export_data
    copied = [*settings.spyglass_paper_dir.rglob("*"), *(made / "sql").rglob("*")]
    files = [
        *filter(Path.is_file, copied),
        *(file for file in made.iterdir() if file.name in (FILE, "environment.yml", OVERRIDE_FILE)),
        *_PACKAGE.rglob("*.py"),
        *_PACKAGE.rglob("*.json"),
    ]
    stamps = (f"{file} {status.st_size} {status.st_mtime_ns}" for file in sorted(files) for status in (file.stat(),))
    return sha256_of(settings.paper_id, settings.hub_base_image, *settings.env_exclude, *stamps)
