"""Start of the hub's container: configure DataJoint, then run the command (JupyterLab).

Runs on the base image's Python, as the user whose notebooks are mounted. With GRANT_SUDO=yes the
container starts as root, and the base image's start.sh comes back here as the user.
"""

import json
import os
import pwd
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

HOME = Path("/home/jovyan")
DATA = HOME / "data"
NOTEBOOKS = HOME / "notebooks"
SCRATCH = HOME / "scratch"
# The folders of a base directory, and the variables by which Spyglass looks for each elsewhere:
# https://github.com/LorenFrankLab/spyglass/blob/master/src/spyglass/directory_schema.json and settings.py beside it.
DATA_FOLDERS = {
    "SPYGLASS_RAW_DIR": "raw",
    "SPYGLASS_ANALYSIS_DIR": "analysis",
    "SPYGLASS_RECORDING_DIR": "recording",
    "SPYGLASS_SORTING_DIR": "spikesorting",
    "SPYGLASS_WAVEFORMS_DIR": "waveforms",
    "SPYGLASS_TEMP_DIR": "tmp",
    "SPYGLASS_VIDEO_DIR": "video",
    "SPYGLASS_EXPORT_DIR": "export",
    "KACHERY_CLOUD_DIR": ".kachery-cloud",
    "KACHERY_STORAGE_DIR": "kachery_storage",
    "KACHERY_TEMP_DIR": "tmp",
    "DLC_BASE_DIR": "deeplabcut",
    "MOSEQ_BASE_DIR": "moseq",
}
INSIDE = {"deeplabcut": ("projects", "video", "output"), "moseq": ("projects", "video")}


def name_the_user() -> None:
    """Give the user id a name where it has none, because git, ssh and others refuse to run without."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        try:
            with Path("/etc/passwd").open("a", encoding="utf-8") as passwd:
                passwd.write(f"author:x:{os.getuid()}:{os.getgid()}::{HOME}:/bin/bash\n")
        except OSError:  # the group 0 may; others have it by these two, which Python heeds
            os.environ.setdefault("LOGNAME", "author")
            os.environ.setdefault("USER", "author")


def activate_in_terminals() -> None:
    """Have terminals start with the paper's environment, also where a home is mounted over the image's.

    The home may serve other images too.
    """
    file, line = HOME / ".bashrc", "[ ! -f /opt/paper/activate.sh ] || . /opt/paper/activate.sh\n"
    try:
        text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        if "/opt/paper/activate.sh" not in text:
            with file.open("a", encoding="utf-8") as bashrc:
                bashrc.write(line if text.endswith("\n") or not text else f"\n{line}")
    except OSError as error:
        print(f"terminals start without the paper's environment: {error}", flush=True)


def configure_datajoint() -> None:
    """Write ~/.datajoint_config.json: the template, with the connection that the environment names."""
    config = json.loads(Path("/opt/paper/.datajoint_config.json").read_text(encoding="utf-8"))
    config["database.host"] = os.environ["DJ_HOST"]
    config["database.port"] = int(os.environ["DJ_PORT"])
    config["database.user"] = os.environ["DJ_USER"]
    config["database.password"] = os.environ["DJ_PASS"]
    file = HOME / ".datajoint_config.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config, indent=2), encoding="utf-8")


def configure_mysql() -> None:
    """Write ~/.my.cnf, so that the `mysql` client, which comes with sudo, needs no argument."""
    quoted = os.environ["DJ_PASS"].replace("\\", "\\\\").replace('"', '\\"')
    file = HOME / ".my.cnf"
    file.touch(mode=0o600)
    file.write_text(
        f'[client]\nhost={os.environ["DJ_HOST"]}\nuser={os.environ["DJ_USER"]}\npassword="{quoted}"\n', encoding="utf-8"
    )


def make_data_folders() -> None:
    """Make the folders that Spyglass expects; beside the data where these may not be written, for activate.sh.

    Spyglass makes what it lacks when it is imported, and a folder that it cannot make is an error there.
    """
    elsewhere = []
    for variable, name in DATA_FOLDERS.items():
        try:
            for inside in INSIDE.get(name, ("",)):
                (DATA / name / inside).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            (SCRATCH / name).mkdir(parents=True, exist_ok=True)
            elsewhere.append(f"export {variable}={SCRATCH / name}\n")
            print(f"data: {name} cannot be made ({error.strerror}): Spyglass uses {SCRATCH / name}", flush=True)
    (HOME / ".data_folders.sh").write_text("".join(elsewhere), encoding="utf-8")


def put_back_notebooks() -> None:
    """Put back a notebook that was being saved when JupyterLab was killed.

    JupyterLab copies a notebook to a hidden `.~NAME` before it writes it anew:
    https://github.com/jupyter-server/jupyter_server/blob/main/jupyter_server/services/contents/fileio.py
    """
    for parent, folders, files in os.walk(NOTEBOOKS):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in (name for name in files if name.startswith(".~") and name.endswith(".ipynb")):
            file = Path(parent) / name.removeprefix(".~")
            try:
                json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                with suppress(OSError):
                    (Path(parent) / name).replace(file)
                    place = file.relative_to(NOTEBOOKS)
                    print(f"notebooks: {place} was cut off while it was saved; its version before is back", flush=True)


def bring_notebooks() -> None:
    """Bring the image's notebooks to a reader; the author's are mounted, and are left as they are."""
    if os.environ.get("READER") == "yes":
        subprocess.run([sys.executable, "/opt/paper/sync_notebooks.py", "/opt/paper/notebooks", NOTEBOOKS], check=True)


def tell_of_emulation() -> None:
    """Say that it will be slow where x86-64 is emulated: there the processor's own name shows through."""
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    if "VirtualApple" in processor or "vendor_id" not in processor:
        print("this machine's processor is no x86-64: it is emulated, which is slow", flush=True)


def fail(what: str, hint: str) -> NoReturn:
    """End with an error as the commands on the host have it."""
    sys.exit(f"error: {what}\nhint: {hint}")


def check_home() -> None:
    """End where nothing can be written to the home, or to the notebooks, which a volume may cover."""
    for folder in (HOME, NOTEBOOKS):
        folder.mkdir(exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            groups = ", ".join(map(str, sorted({os.getgid(), *os.getgroups()})))
            fail(
                f"{folder} cannot be written by the user {os.getuid()} (groups {groups})",
                "mount a folder or volume there that this user may write, or none; Kubernetes has `fsGroup` for that",
            )


def prepare(sudo: bool) -> None:
    """Do all that comes before JupyterLab."""
    check_home()
    name_the_user()
    activate_in_terminals()
    configure_datajoint()
    if sudo:
        configure_mysql()
    make_data_folders()
    put_back_notebooks()
    bring_notebooks()
    tell_of_emulation()


def main(command: list[str]) -> None:
    """Prepare and become the command; end with one error where a step fails."""
    sudo = os.environ.get("GRANT_SUDO") == "yes"
    try:
        # An author who is root needs no sudo to become root.
        if sudo and os.getuid() == 0 and os.environ["NB_UID"] != "0":
            os.execvp("start.sh", ["start.sh", sys.executable, __file__, *command])  # noqa: S606
        prepare(sudo)
        os.execvp(command[0], command)  # noqa: S606
    except KeyError as missing:
        fail(
            f"the variable {missing.args[0]} is not set", "start the paper by a file of its bundle, which sets them all"
        )
    except OSError as error:
        fail(f"the hub cannot start: {error}", "see that the disk is not full and that this user may write there")
    except (ValueError, subprocess.CalledProcessError) as error:
        fail(f"the hub cannot start: {error}", "the lines above say more; see whether it starts without old volumes")


if __name__ == "__main__":
    main(sys.argv[1:])
