"""Make this machine ready: .env, Docker Engine, and base images to build on."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dotenv import set_key

from spyglass_export import console
from spyglass_export.containers.docker import PROXY_VARIABLES, Docker, registry_of
from spyglass_export.containers.faults import DockerError, NoPlugin, NotInstalled, NotRunning
from spyglass_export.containers.image import inspect
from spyglass_export.env_values import as_written
from spyglass_export.errors import UserError
from spyglass_export.files import hash_of_files
from spyglass_export.settings import Settings

INSTALL_PAGE = "https://docs.docker.com/get-docker/"
# Debian 12's own docker.io is 20.10 and has no compose v2; these four from trixie run on bookworm's libc,
# runc and containerd. Ubuntu names its packages differently.
DEBIAN_PACKAGES = ("docker.io", "docker-cli", "docker-compose", "docker-buildx")
UBUNTU_PACKAGES = ("docker.io", "docker-compose-v2", "docker-buildx")
APT_SOURCE = Path("/etc/apt/sources.list.d/spyglass-export-trixie.list")
APT_PREFERENCES = Path("/etc/apt/preferences.d/spyglass-export-trixie")
WRITTEN = "# Written by `invoke bootstrap` of spyglass-export, for Docker; delete it before an upgrade to Debian 13.\n"
DOCKERD_LOG = Path("/var/log/dockerd.log")
START_SECONDS = 60

SYSTEM_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
REGISTRY_TIMEOUT = 5.0  # seconds for both registries together; an open one answers in a fraction of one
SOURCE_LABEL = "spyglass-export.source"


# What takes a base image's place, by the setting that names it, and the Debian release that it is made of.
STAND_INS = {
    "DB_BASE_IMAGE": ("spyglass-export/mysql:9.7", "trixie"),
    "HUB_BASE_IMAGE": ("spyglass-export/base-notebook:stand-in", "bookworm"),
}


def make_env_file(root: Path) -> None:
    """Copy env.example to .env where there is none."""
    file = root / ".env"
    if file.exists():
        return
    text = (root / "env.example").read_text(encoding="utf-8")
    if sys.platform == "linux":
        owner = (root / "notebooks").stat()
        text += "\n# Whose notebooks these are, for plain `docker compose`; `invoke` looks for itself.\n"
        text += f"HOST_UID={owner.st_uid}\nHOST_GID={owner.st_gid}\n"
    file.touch(mode=0o600)  # there will be passwords in it
    file.write_text(text, encoding="utf-8", newline="\n")
    console.say("wrote .env from env.example: it runs the example paper until you change it")


def ensure_engine(docker: Docker) -> None:
    """Have a Docker Engine with compose v2 and buildx answer, or raise a UserError that says what to install."""
    try:
        docker.check()
    except (NotInstalled, NoPlugin, NotRunning) as trouble:
        release = _debian_release()
        if not release or os.geteuid() != 0:
            if isinstance(trouble, NotRunning):
                raise
            desktop = f"install and start Docker Desktop, then run this again: {INSTALL_PAGE}"
            engine = f"install Docker Engine 23 or newer with the compose and buildx plugins ({INSTALL_PAGE})"
            engine += ", or ask the administrator; on Debian and Ubuntu `invoke bootstrap` as root does it"
            raise UserError(trouble.what, desktop if sys.platform in ("darwin", "win32") else engine) from trouble
        if not shutil.which("dockerd") or isinstance(trouble, NoPlugin):
            _install_engine(release)
        if not docker.succeeds("version"):
            _start_engine(docker)
        docker.check()


def ensure_base_images(settings: Settings, docker: Docker) -> None:
    """See that both base images are here or can be pulled; build stand-ins for those that cannot."""
    source = source_hash(settings.root / "docker")
    wanted = {"DB_BASE_IMAGE": settings.db_base_image, "HUB_BASE_IMAGE": settings.hub_base_image}
    missing = {name: image for name, image in wanted.items() if not is_here(docker, image, source)}
    others = {name: image for name, image in missing.items() if not is_stand_in(image)}
    answers = registries_answer([*others.values()])
    out_of_reach = [name for name, heard in zip(others, answers, strict=True) if not heard]
    if out_of_reach and has_own_road(docker):  # it has to try
        out_of_reach = [name for name in out_of_reach if docker.show("pull", others[name])]
    needed = [name for name in missing if name not in others or name in out_of_reach]
    if not needed:
        return
    silent = f"no answer from the registry of {' and '.join(others[name] for name in out_of_reach)}"
    if not (_debian_release() or "").startswith("debian") or os.geteuid() != 0:
        only_debian = f"the stand-ins {' and '.join(missing.values())} are built on Debian, as root, and nowhere else"
        hint = "check the network, or set HUB_BASE_IMAGE and DB_BASE_IMAGE in .env to images of a mirror that you reach"
        raise UserError(silent if out_of_reach else only_debian, hint)
    if out_of_reach:
        console.say(f"{silent}: stand-ins take the place of the base images")
    named = (Path(os.environ.get(name, "")) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"))
    bundle = settings.ca_bundle or next(filter(Path.is_file, (*named, SYSTEM_CA_BUNDLE)), None)
    for name in needed:
        if not is_here(docker, STAND_INS[name][0], source):
            _build_stand_in(docker, settings.root / "docker", name, source, bundle)
    new = {name: STAND_INS[name][0] for name in out_of_reach}
    if bundle and not settings.ca_bundle:
        new["CA_BUNDLE"] = str(bundle)
    for name, value in new.items():
        set_key(settings.root / ".env", name, as_written(name, value), quote_mode="never")
        console.say(f"set {name}={value} in .env")


def is_stand_in(image: str) -> bool:
    """Whether an image is one that `bootstrap` builds."""
    return image in {name for name, _ in STAND_INS.values()}


def _debian_release() -> str | None:
    """The name of this Debian or Ubuntu release, such as `debian bookworm`; None elsewhere."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return None
    return f"{system['ID']} {system.get('VERSION_CODENAME', '')}" if system.get("ID") in ("debian", "ubuntu") else None


def _run(command: Sequence[str], failure: str) -> str:
    """Run a program of the system quietly, give what it prints; raise UserError with its last line where it fails."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last = [command[0], *(done.stderr + done.stdout).strip().splitlines()][-1]
        raise UserError(f"{failure}: {last}", f"see what `{' '.join(command)}` says")
    return done.stdout


def _apt_install(packages: Sequence[str], failure: str) -> None:
    _run(["apt-get", "update"], "the package lists cannot be fetched")
    _run(["apt-get", "install", "--yes", "--no-install-recommends", *packages], failure)


def _install_engine(release: str) -> None:
    distribution, codename = release.split(" ", 1)
    if shutil.which("dockerd") and not Path("/usr/share/doc/docker.io").exists():
        # Docker's own packages would be removed by Debian's.
        hint = "install the packages docker-compose-plugin and docker-buildx-plugin"
        raise UserError("Docker Engine lacks compose v2 or buildx", hint)
    console.say(f"installing Docker Engine from {distribution.capitalize()}'s packages")
    if codename == "bookworm":  # apt takes Docker's four packages, and nothing else, from Debian 13
        keyring, pin = "/usr/share/keyrings/debian-archive-keyring.gpg", "Pin: release n=trixie\nPin-Priority:"
        APT_SOURCE.write_text(f"{WRITTEN}deb [signed-by={keyring}] {_mirror()} trixie main\n", encoding="utf-8")
        preferences = f"Package: *\n{pin} -10\n\nPackage: {' '.join(DEBIAN_PACKAGES)}\n{pin} 990\n"
        APT_PREFERENCES.write_text(WRITTEN + preferences, encoding="utf-8")
    engine = UBUNTU_PACKAGES if distribution == "ubuntu" else DEBIAN_PACKAGES
    _apt_install([*engine, "ca-certificates", "iptables"], "Docker Engine cannot be installed")


def _mirror() -> str:
    """The Debian mirror that this machine's apt uses for its own release."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    which = ("Created-By: Packages", f"Codename: {codename}")
    sites = _run(["apt-get", "indextargets", "--format", "$(SITE)", *which], "apt does not say its source").split()
    if not sites:
        raise UserError("apt has no package source", "add your Debian mirror to /etc/apt/sources.list")
    return sites[0]


def _start_engine(docker: Docker) -> None:
    console.say("starting Docker Engine")
    log_hint = f"its log says why: {DOCKERD_LOG}"
    if Path("/run/systemd/system").is_dir():
        log_hint = "`journalctl --unit docker` says why"
        _run(["systemctl", "enable", "--now", "docker"], "Docker Engine cannot be started")
    else:
        with DOCKERD_LOG.open("ab") as log:
            subprocess.Popen(["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + START_SECONDS
    while not docker.succeeds("version"):
        if time.monotonic() > deadline:
            raise UserError("Docker Engine does not start", log_hint)
        time.sleep(0.5)


def is_here(docker: Docker, image: str, source: str) -> bool:
    """Whether the image is on this machine; a stand-in counts only when it is made of today's files."""
    if not is_stand_in(image):
        return docker.succeeds("image", "inspect", image)
    here = inspect(docker, image)
    return here is not None and here.labels.get(SOURCE_LABEL) == source


def source_hash(folder: Path) -> str:
    """A hash of the files that stand-ins are built from."""
    return hash_of_files(folder, [*folder.joinpath("base").iterdir(), folder / "with_ca_bundle.sh"])


def registry(image: str) -> str:
    """The host that answers for an image's registry."""
    return registry_of(image) or "registry-1.docker.io"


def registries_answer(images: Sequence[str]) -> list[bool]:
    """Ask the registry of each image whether it answers; all at once, 5 seconds at most."""

    def answers(image: str) -> bool:
        try:
            urllib.request.urlopen(f"https://{registry(image)}/v2/", timeout=REGISTRY_TIMEOUT)
        except urllib.error.HTTPError as error:
            return error.code < 500 and error.code != 403
        except OSError:
            return False
        return True

    with ThreadPoolExecutor() as pool:
        return list(pool.map(answers, images))


def has_own_road(docker: Docker) -> bool:
    """Whether Docker Engine reaches registries in a way that this program does not: by a mirror or a proxy."""
    return bool(docker.ask("info", "--format", '{{join .RegistryConfig.Mirrors " "}}{{.HTTPSProxy}}').strip())


def _build_stand_in(docker: Docker, folder: Path, setting: str, source: str, bundle: Path | None) -> None:
    image, release = STAND_INS[setting]
    debian = f"spyglass-export/debian:{release}"
    if not docker.succeeds("image", "inspect", debian):
        _import_debian(docker, release, debian)
    console.say(f"building {image} (a minute or two)")
    secret = [f"--secret=id=ca_bundle,src={bundle}"] if bundle else []
    # Without a value these are the environment's, where it has them.
    given = [f"--build-arg={name}" for name in (f"DEBIAN_IMAGE={debian}", *PROXY_VARIABLES)]
    file = folder / "base" / f"{setting.partition('_')[0].lower()}.Dockerfile"
    named = (f"--label={SOURCE_LABEL}={source}", f"--tag={image}", f"--file={file}")
    try:
        docker.ask("build", "--quiet", *secret, *given, *named, str(folder))
    except DockerError as error:
        hint = "check that this machine reaches its Debian mirror and PyPI; behind a proxy set CA_BUNDLE in .env"
        raise UserError(f"the stand-in {image} cannot be built: {error.said}", hint) from error


def _import_debian(docker: Docker, release: str, image: str) -> None:
    """Make a minimal Debian image with no registry, from this machine's mirror."""
    if not shutil.which("debootstrap"):
        _apt_install(["debootstrap"], "debootstrap is missing")
    console.say(f"making a minimal Debian {release} (half a minute)")
    with tempfile.TemporaryDirectory(prefix="spyglass-export-") as scratch:
        system, archive = Path(scratch) / release, Path(scratch) / f"{release}.tar"
        _run(["debootstrap", "--variant=minbase", release, str(system), _mirror()], f"debootstrap of {release} failed")
        _run(["tar", "--directory", str(system), "--create", "--file", str(archive), "."], "tar failed")
        docker.ask("import", str(archive), image)
