# shellcheck shell=bash
# `. /opt/conda/bin/activate PREFIX`, as conda has it.
export CONDA_PREFIX=$1
CONDA_DEFAULT_ENV=$(basename "$1")
export CONDA_DEFAULT_ENV PATH="$CONDA_PREFIX/bin:$PATH"
if [ -n "${PS1:-}" ]; then
  PS1="($CONDA_DEFAULT_ENV) $PS1"
fi
