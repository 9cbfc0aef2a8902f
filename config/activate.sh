# shellcheck shell=bash
# Activates the paper's conda environment: kernels, terminals and `invoke enter` start with it.
# `pip install` goes to the volume `conda`, which is kept over `down` and `up`; the environment itself
# stays in the image.
# shellcheck source=/dev/null
. /opt/conda/bin/activate "/opt/conda/envs/$PAPER_ID"
export PIP_CONFIG_FILE=/opt/paper/pip.conf PYTHONUSERBASE=/opt/paper/packages
case ":$PATH:" in
  *":$PYTHONUSERBASE/bin:"*) ;;
  *) export PATH="$PATH:$PYTHONUSERBASE/bin" ;;
esac
# Where folders that Spyglass needs could not be made beside the data.
if [ -f /home/jovyan/.data_folders.sh ]; then
  # shellcheck source=/dev/null
  . /home/jovyan/.data_folders.sh
fi
# Notebooks stream the version of the Dandiset that the paper names.
if [ -n "${DANDISET_VERSION:-}" ]; then
  export PYTHONSTARTUP=/opt/paper/pin_dandiset.py
fi
# Behind a proxy that re-signs TLS, `pip` and `git` need its certificates here too.
if [ -s /run/secrets/ca_bundle ]; then
  export PIP_CERT=/run/secrets/ca_bundle SSL_CERT_FILE=/run/secrets/ca_bundle
  export REQUESTS_CA_BUNDLE=/run/secrets/ca_bundle GIT_SSL_CAINFO=/run/secrets/ca_bundle
fi
