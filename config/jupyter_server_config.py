"""JupyterLab of one paper: its password, and its environment as the kernel of every notebook."""

import logging
import os
import re
import sys
from ipaddress import ip_address
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_server.auth import passwd
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from traitlets.config import get_config

PAPER_ID = os.environ["PAPER_ID"]
PAPER_KERNEL = PAPER_ID.lower()
# Where compose publishes the port. JupyterHub, which sets the other, lets in nobody whom it does not know.
BIND_ADDRESS = (os.environ.get("BIND_ADDRESS") or "127.0.0.1").strip("[]")
IS_OPEN = not ip_address(BIND_ADDRESS).is_loopback


class PaperKernels(KernelSpecManager):  # type: ignore[misc]
    """Answers with the paper's kernel where a notebook names one that is not here."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the kernel of that name, or the paper's."""
        return super().get_kernel_spec(kernel_name if kernel_name in self.find_kernel_specs() else PAPER_KERNEL)


class PaperNotebooks(AsyncLargeFileManager):  # type: ignore[misc]
    """Opens a notebook that was saved with another machine's kernel on the paper's.

    JupyterLab would stop and ask for a kernel. The file is as it was until its reader saves it.
    """

    async def get(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return the model of a file or folder; see jupyter_server's ContentsManager."""
        model: dict[str, Any] = await super().get(*arguments, **options)
        if model["type"] == "notebook" and model["content"] is not None:
            kernel = model["content"]["metadata"].get("kernelspec", {}).get("name")
            if kernel not in self.parent.kernel_spec_manager.find_kernel_specs():
                model["content"]["metadata"]["kernelspec"] = {
                    "name": PAPER_KERNEL,
                    "display_name": PAPER_ID,
                    "language": "python",
                }
        return model


def is_own_host(handler: JupyterHandler) -> bool:
    """Whether a request names this machine: a page of another name that its owner points here is let in nowhere.

    That is DNS rebinding, against which an address of digits is safe. Where the port is open to others, who has to
    know a password of the author's choice, any name will do.
    """
    host = re.sub(r":\d+$", "", handler.request.host).strip("[]").rstrip(".").lower()
    try:
        ip_address(host)
    except ValueError:
        local = ("localhost", *handler.settings.get("local_hostnames", ()))
        return IS_OPEN or "JUPYTERHUB_SERVICE_PREFIX" in os.environ or host in local or host.endswith(".localhost")
    return True


JupyterHandler.check_host = is_own_host
if IS_OPEN and os.environ["JUPYTER_SERVER_APP_PASSWORD"].lower() == PAPER_ID.lower():
    sys.exit(
        f"error: BIND_ADDRESS {BIND_ADDRESS} opens JupyterLab to others, and its password is the paper's ID\n"
        "hint: set JUPYTER_SERVER_APP_PASSWORD in .env to one of your own, or BIND_ADDRESS=127.0.0.1"
    )
c = get_config()
c.ServerApp.ip = "0.0.0.0"  # noqa: S104 - in the container; compose chooses the host's address
c.ServerApp.port = int(os.environ.get("JUPYTER_PORT", "8888"))
c.ServerApp.open_browser = False
# What the log calls its address: the one outside of the container.
c.ServerApp.custom_display_url = os.environ.get("DISPLAY_URL", "")
logging.getLogger("ServerApp").addFilter(lambda record: f"127.0.0.1:{c.ServerApp.port}" not in record.getMessage())
# The log would name all language servers that are not here.
c.LanguageServerManager.autodetect = False
c.ServerApp.root_dir = "/home/jovyan"
c.ContentsManager.preferred_dir = "notebooks"
# The author may be root on the host; the container has no privileges to lose.
c.ServerApp.allow_root = True
c.PasswordIdentityProvider.hashed_password = passwd(os.environ["JUPYTER_SERVER_APP_PASSWORD"])
c.PasswordIdentityProvider.password_required = True
# Front ends of the paper's packages, and of those that a user adds with pip.
c.LabServerApp.extra_labextensions_path = [
    "/opt/paper/lab/labextensions",
    "/opt/paper/packages/share/jupyter/labextensions",
]
c.ServerApp.kernel_spec_manager_class = PaperKernels
c.KernelSpecManager.ensure_native_kernel = False
c.KernelSpecManager.allowed_kernelspecs = {PAPER_KERNEL}
c.MultiKernelManager.default_kernel_name = PAPER_KERNEL
c.ServerApp.contents_manager_class = PaperNotebooks
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}
