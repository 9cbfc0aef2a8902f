#!/opt/conda/bin/python
"""Start JupyterLab, as start-notebook.py of the public base image does."""

import os
import sys

os.execvp("jupyter", ["jupyter", "lab", *sys.argv[1:]])  # noqa: S606
