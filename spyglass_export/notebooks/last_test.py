"""What the last test said of the notebooks as they are now, in the images as they are now."""

from spyglass_export.checksum import hash_of_files, sha256
from spyglass_export.containers.docker import Docker
from spyglass_export.containers.image import layers
from spyglass_export.notebooks.files import find, notebook_files
from spyglass_export.notebooks.results import read_results, sentence
from spyglass_export.settings import Settings

NOT_TESTED = "these notebooks were not tested in these images"


def fingerprint(settings: Settings, docker: Docker, db: str, hub: str) -> str:
    """Tell what notebooks run in and read: the layers of two images, and the files beside the notebooks; 16 hex digits.

    The notebooks themselves, the hub's last layer, do not count. An image that is gone gives an empty text.
    """
    database, software = layers(docker, db), layers(docker, hub)[:-1]
    if not database or not software:
        return ""
    beside = [file for file in notebook_files(settings.notebooks) if file.suffix != ".ipynb"]
    return hash_of_files(settings.notebooks, beside, *database, *software)


def last_test(settings: Settings, docker: Docker, db: str, hub: str) -> str:
    """Say what the last test said of the notebooks as they are now in these images, or that there was none."""
    results = read_results(settings)
    if not results:
        return NOT_TESTED
    names = find(settings)
    tested_in = fingerprint(settings, docker, db, hub)
    tested = [
        result
        for name in names
        if (result := results.get(name))
        and result.tested_in == tested_in != ""
        and result.sha256 == sha256(settings.notebooks / name)
    ]
    if not tested:
        return NOT_TESTED
    passed = sum(result.status == "passed" for result in tested)
    return (
        f"{passed} of {len(names)} notebooks passed when they were tested on {max(one.ran for one in tested)[:10]}"
        f"{f', {len(names) - len(tested)} were not run' if len(tested) < len(names) else ''}: {sentence(tested)}"
    )
