"""For who runs `invoke` beside the files of an archive: the commands are in the zip."""

import sys
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task


@task(default=True)
def run(context: Context, from_: str = "") -> None:
    """Say where the commands are: in the zip, to be unpacked into an empty folder of its own."""
    here = Path(__file__).resolve().parent
    bundle = next((file.name for file in here.glob("*.zip")), "the zip of the paper")
    print("error: this is the archive; the commands are in its zip, which was not unpacked", file=sys.stderr)
    print(f'hint: unpack {bundle} into an empty folder, and run there: invoke run --from "{here}"', file=sys.stderr)
    raise Exit(code=1)
