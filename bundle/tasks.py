"""The commands of a reader: `invoke --list` shows them."""

from spyglass_export.commands import down as down
from spyglass_export.commands import enter as enter
from spyglass_export.commands import logs as logs
from spyglass_export.commands import run as run
from spyglass_export.commands import status as status
from spyglass_export.commands import stop as stop
from spyglass_export.commands import url as url
