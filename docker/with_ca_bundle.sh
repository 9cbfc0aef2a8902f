#!/bin/bash
# Runs a command of a build that downloads, trusting the CA bundle that the build was given as a secret.
# As a secret it reaches the programs that need it, and no layer of the image.
set -euo pipefail

bundle=/run/secrets/ca_bundle
if [ -s "$bundle" ]; then
  for variable in PIP_CERT SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO CONDA_SSL_VERIFY \
    MAMBA_SSL_VERIFY; do
    export "$variable=$bundle"
  done
fi
exec "$@"
