"""What an image says of itself, by the names of its labels; docker-compose.yml writes them."""

PREFIX = "spyglass-export."
PAPER = f"{PREFIX}paper"
SERVICE = f"{PREFIX}service"
SPYGLASS_VERSION = f"{PREFIX}spyglass-version"
EXPORT_HASH = f"{PREFIX}export-hash"
# A hash of what the image is built by.
RECIPE = f"{PREFIX}recipe"
# Which volume is the image's own.
VOLUME = f"{PREFIX}volume"
# What the last test of the notebooks said; added when the image is published or archived.
TESTED = f"{PREFIX}tested"
# https://specs.opencontainers.org/image-spec/annotations/
CREATED = "org.opencontainers.image.created"
BASE = "org.opencontainers.image.base.name"
REVISION = "org.opencontainers.image.revision"
LICENCES = "org.opencontainers.image.licenses"
DESCRIPTION = "org.opencontainers.image.description"
