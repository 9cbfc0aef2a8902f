"""Make the paper's conda environment a Jupyter kernel; runs once, while the image is built.

The kernel starts through activate.sh, because packages of a conda environment count on the variables
that activating it sets. Its Python imports paper_settings.py at each start.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

paper_id = os.environ["PAPER_ID"]
start = '. /opt/paper/activate.sh && exec python -m ipykernel_launcher -f "$1"'
specification = {
    "argv": ["/bin/bash", "-c", start, "kernel", "{connection_file}"],
    "display_name": paper_id,
    "language": "python",
    "metadata": {"debugger": True},
}
# Jupyter looks kernels up in lower case.
folder = Path("/opt/conda/share/jupyter/kernels") / paper_id.lower()
folder.mkdir(parents=True)
(folder / "kernel.json").write_text(json.dumps(specification, indent=1), encoding="utf-8")

python = Path("/opt/conda/envs") / paper_id / "bin/python"
question = "import sysconfig; print(sysconfig.get_path('purelib'))"
packages = Path(subprocess.run([python, "-c", question], check=True, capture_output=True, text=True).stdout.strip())
shutil.copy("/opt/paper/paper_settings.py", packages)
(packages / "paper_settings.pth").write_text("import paper_settings\n", encoding="utf-8")
