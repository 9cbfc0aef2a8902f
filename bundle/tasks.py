"""The commands of a reader: `invoke --list` shows them."""

from spyglass_export.cli.commands import down as down
from spyglass_export.cli.commands import enter as enter
from spyglass_export.cli.commands import logs as logs
from spyglass_export.cli.commands import merge as merge
from spyglass_export.cli.commands import run as run
from spyglass_export.cli.commands import status as status
from spyglass_export.cli.commands import stop as stop
from spyglass_export.cli.commands import test_notebooks as test_notebooks
from spyglass_export.cli.commands import unmerge as unmerge
from spyglass_export.cli.commands import url as url
from spyglass_export.cli.commands import verify as verify
