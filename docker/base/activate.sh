# shellcheck shell=bash
# `. /opt/conda/bin/activate PREFIX`, as conda has it: its variables, those of the environment, and the scripts that
# packages bring.
export CONDA_PREFIX=$1
CONDA_DEFAULT_ENV=$(basename "$1")
export CONDA_DEFAULT_ENV PATH="$CONDA_PREFIX/bin:$PATH"
if [ -f "$CONDA_PREFIX/conda-meta/state" ]; then
  eval "$(/opt/conda/bin/python -c 'import json, shlex, sys
for name, value in json.load(open(sys.argv[1]))["env_vars"].items(): print(f"export {name}={shlex.quote(value)}")' \
    "$CONDA_PREFIX/conda-meta/state")"
fi
for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do
  if [ -f "$script" ]; then
    # shellcheck source=/dev/null
    . "$script"
  fi
done
if [ -n "${PS1:-}" ]; then
  PS1="($CONDA_DEFAULT_ENV) $PS1"
fi
