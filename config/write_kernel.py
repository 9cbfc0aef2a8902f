"""Make the paper's conda environment a Jupyter kernel; runs once, while the image is built.

The kernel starts through activate.sh, because packages of a conda environment count on the variables
that activating it sets.
"""

import json
import os
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
