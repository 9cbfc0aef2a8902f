#!/opt/conda/bin/python
"""Healthy: JupyterLab answers, under JupyterHub below the prefix of its user.

JUPYTERHUB_SERVICE_URL is what JupyterHub has its servers listen on, such as http://0.0.0.0:8888/user/ada/:
https://jupyterhub.readthedocs.io/en/stable/reference/services.html
"""

import http.client
import os
import sys
from urllib.parse import urlsplit

# No urllib.request: it would ask the proxy that Docker may pass to containers.
here = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL") or f"http://:{os.environ.get('JUPYTER_PORT', '8888')}/")
connection = http.client.HTTPConnection("127.0.0.1", here.port or 8888, timeout=5)
try:
    connection.request("GET", f"{here.path.rstrip('/')}/api")
    status = connection.getresponse().status
except OSError as error:
    sys.exit(f"JupyterLab does not answer: {error}")
if status != 200:
    sys.exit(f"JupyterLab answers {status}")
