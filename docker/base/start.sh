#!/bin/bash
# What start.sh of the public base image does for GRANT_SUDO=yes: started as root, it gives jovyan the
# ids NB_UID and NB_GID and sudo, then goes on as jovyan. Otherwise it runs the command as it is.
set -euo pipefail

if [ "$(id -u)" != 0 ] || [ "${GRANT_SUDO:-}" != yes ]; then
  exec "$@"
fi
if [ "$NB_UID:$NB_GID" != "$(id -u jovyan):$(id -g jovyan)" ]; then
  groupadd --force --non-unique --gid "$NB_GID" author
  usermod --non-unique --uid "$NB_UID" --gid "$NB_GID" --append --groups users jovyan
fi
echo "jovyan ALL=(ALL) NOPASSWD:ALL" > /etc/sudoers.d/added-by-start-script
exec sudo --preserve-env --set-home --user jovyan PATH="$PATH" "$@"
