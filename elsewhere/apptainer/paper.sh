#!/bin/bash
# Run the paper __PAPER_ID__ with Apptainer, as yourself: no root, no Docker, nothing that others on this machine reach.
#
# usage: bash paper.sh [COMMAND]
#   convert            make the two images ready, once for all who may read them (minutes)
#   start              the database and JupyterLab, until Ctrl-C; also without a COMMAND
#   test [NOTEBOOK...] run the notebooks on a fresh database, and say which pass
#   enter              a shell in the paper's environment, beside what runs on this machine
#   status             where it runs, the password, and the ssh line to get there
#   stop               end what runs on this machine
#
# Variables that you may set:
#   PAPER_IMAGES  where the images are: this script's folder if you may write there, else below PAPER_STATE
#   PAPER_STATE   what you keep: notebooks, data, packages ($HOME/spyglass-papers/__PAPER_ID__)
#   PAPER_DB      the database's folder, on a disk of this machine (below PAPER_STATE, unless that is on the network)
#   PAPER_DATA    a folder with the paper's NWB files
#   PAPER_PORT    JupyterLab's port; one that is free
#   CA_BUNDLE     a file of CA certificates, behind a proxy that re-signs TLS
#
# Needs bash 4.2, coreutils and Apptainer 1.1, or newer; zstd to convert an archive.
# shellcheck disable=SC2016 # hints quote commands in backticks
set -euo pipefail

readonly paper=__PAPER_ID__
readonly db_image=__DB_IMAGE__ hub_image=__HUB_IMAGE__
readonly db_id=__DB_ID__ hub_id=__HUB_ID__
readonly db_hash=__DB_DATA_HASH__ conda_hash=__CONDA_HASH__
readonly archived=__ARCHIVED_IMAGES__ dandiset_version=__DANDISET_VERSION__

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
archive=$here/..
[[ ! -e $here/$archived ]] || archive=$here # some repositories know no folders
host=$(hostname)
scratch=${TMPDIR:-/tmp}
state=${PAPER_STATE:-$HOME/spyglass-papers/$paper}
images=${PAPER_IMAGES:-$here}
[[ -n ${PAPER_IMAGES-} || -w $here || -e $here/hub-${hub_id:7:12}.sif ]] || images=$state/images
# Named by their content, so that one folder serves several versions and papers. Under the database nothing is mounted
# by FUSE: a signal to all processes of a job would end that first, and take mysqld's files away.
db=$images/db-${db_id:7:12} hub=$images/hub-${hub_id:7:12}
run='' incoming='' running='' db_pid='' hub_pid=''

fail() { # WHAT HINT
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

check_apptainer() {
  command -v apptainer >/dev/null ||
    fail 'there is no program `apptainer` here' 'try `module load apptainer`; on some clusters only compute nodes have it'
}

# --- converting

digest_of() { # FOLDER ID: the manifest in an OCI layout of the image that Docker calls ID
  local digest
  while read -r digest; do
    if [[ $digest == "$2" ]] || grep -q "$2" "$1/blobs/sha256/${digest#sha256:}"; then
      echo "$digest"
      return
    fi
  done < <(grep -o 'sha256:[0-9a-f]\{64\}' "$1/index.json")
  fail "$archived holds other images than this script is for" 'take the script of the same archive, or copy the archive again'
}

unpack() { # FOLDER
  if [[ -e $archive/SHA256SUMS ]]; then
    echo "checking $archived"
    (cd "$archive" && grep " $archived\$" SHA256SUMS | sha256sum --check --status) ||
      fail "$archived is damaged: its SHA-256 is not that of SHA256SUMS" 'copy it again'
  fi
  command -v zstd >/dev/null ||
    fail 'there is no program `zstd` here, which unpacks the images' \
      "try \`module load zstd\`, or \`conda install zstd\`, or convert on another machine and set PAPER_IMAGES"
  echo "unpacking $archived"
  zstd --decompress --stdout --quiet "$archive/$archived" | tar --extract --directory "$1" ||
    fail "$archived cannot be unpacked in $1" 'free some space there, or set TMPDIR to a folder with twice its size'
}

build() { # TARGET SOURCE OPTION...: whole or not at all
  local target=$1 source=$2
  shift 2
  incoming=$target.$host.$$
  echo "converting to $target"
  if ! apptainer --silent build "$@" "$incoming" "$source" >"$run/build.log" 2>&1; then
    cat "$run/build.log" >&2
    fail "the image cannot be converted: $(tail -n 1 "$run/build.log")" \
      'the lines above say more; it needs some gigabytes in PAPER_IMAGES and in TMPDIR'
  fi
  chmod -R a+rX "$incoming"
  # Unless somebody else has made it meanwhile.
  mv -T "$incoming" "$target" 2>/dev/null || rm -rf "$incoming"
}

convert() {
  local from_db=docker://$db_image from_hub=docker://$hub_image fast=()
  if [[ -d $db && (-e $hub.sif || -d $hub) ]]; then
    echo "the images are ready in $images"
    return
  fi
  check_apptainer
  umask 022
  mkdir -p "$images"
  make_run
  export APPTAINER_TMPDIR=$run APPTAINER_CACHEDIR=$run/cache
  if [[ -e $archive/$archived ]]; then
    mkdir "$run/layout"
    unpack "$run/layout"
    from_db=oci:$run/layout@$(digest_of "$run/layout" "$db_id")
    from_hub=oci:$run/layout@$(digest_of "$run/layout" "$hub_id")
  fi
  [[ -d $db ]] || build "$db" "$from_db" --sandbox
  # Some per cent larger, in a third of the time.
  [[ $(apptainer build --help) != *mksquashfs-args* ]] || fast=(--mksquashfs-args '-comp gzip -Xcompression-level 1')
  [[ -e $hub.sif ]] || build "$hub.sif" "$from_hub" ${fast[@]+"${fast[@]}"}
  echo "the images are ready in $images"
}

# --- running

make_run() { # a folder for what is gone at the end; nobody else may look in
  [[ -z $run ]] || return 0
  run=$(mktemp -d "$scratch/paper-$paper.XXXXXX")
  trap finish EXIT
  # Slurm signals all processes of a job, this one twice. A second signal may come before `finish` ignores it: it then
  # goes through `finish` itself, since `exit` alone would leave the one that was begun.
  trap 'finish; exit 143' TERM HUP
  trap 'finish; exit 130' INT
}

finish() { # the hub first, then the database, which shuts down cleanly
  local pid
  trap '' TERM INT HUP
  for pid in $hub_pid $db_pid; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  hub_pid='' db_pid=''
  rm -rf "$run" "$incoming" "$running"
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

random() { # BYTES
  od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

find_hub() { # where there is no FUSE, the image has to be a folder
  [[ ! -d $hub ]] || return 0
  if apptainer --silent exec --containall --no-home "$hub.sif" true </dev/null >/dev/null 2>"$run/trial.log"; then
    hub=$hub.sif
    return
  fi
  grep -qi fuse "$run/trial.log" || fail "Apptainer cannot run the image: $(tail -n 1 "$run/trial.log")" \
    'ask who looks after the cluster: it needs unprivileged user namespaces, or Apptainer with its setuid part'
  local sif=$hub.sif
  [[ -w $images ]] || hub=$state/images/${hub##*/}
  mkdir -p "${hub%/*}"
  [[ -d $hub ]] || APPTAINER_TMPDIR=$run build "$hub" "$sif" --sandbox
}

database_folder() { # beside all else that is kept, unless that is on the network
  case $(stat --file-system --format %T "$state") in
    ext2/ext3 | xfs | btrfs | zfs | overlayfs | tmpfs | f2fs) echo "$state/db-$db_hash" ;;
    *) echo "${SLURM_TMPDIR:-$scratch}/$(id -un)-$paper-db-$db_hash" ;;
  esac
}

prepare() {
  check_apptainer
  convert
  umask 077
  mkdir -p "$state/running"
  make_run
  find_hub
  hub_port=${PAPER_PORT:-$(free_port)} db_port=$(free_port) token=$(random 6) password=$(random 12)
  # What runs in the background gets process groups of its own: Ctrl-C is for this script alone, which ends one after
  # the other.
  set -m
}

explain() { # WHAT LOG: end with the error that it printed, else with its last lines
  grep '^error: ' -A 1 "$2" >&2 && exit 1
  tail -n 20 "$2" >&2
  fail "$1 does not start" "the lines above are the last of $2"
}

start_database() { # FOLDER; its log is beside it
  mkdir -p "$1" "$run/mysqld" "$run/db-tmp"
  # By the environment: the list of processes is everybody's to read.
  APPTAINERENV_MYSQL_ROOT_PASSWORD=$password APPTAINERENV_MYSQL_ROOT_HOST=127.0.0.1 \
    apptainer --silent exec --containall --no-home --workdir "$run/db-tmp" \
    --bind "$1:/var/lib/mysql" --bind "$run/mysqld:/run/mysqld" \
    "$db" entrypoint_db.sh --bind-address=127.0.0.1 --port="$db_port" </dev/null >"$1.log" 2>&1 &
  db_pid=$!
  until grep -q 'ready for connections' "$1.log"; do
    kill -0 "$db_pid" 2>/dev/null || explain 'the database' "$1.log"
    sleep 0.2
  done
}

in_hub() { # HOME PACKAGES COMMAND...
  local home=$1 packages=$2 options=()
  shift 2
  mkdir -p "$home/notebooks" "$home/data" "$packages"
  options=(--workdir "$(mktemp -d "$run/hub.XXXXXX")")
  [[ -z ${PAPER_DATA-} ]] || options+=(--bind "$PAPER_DATA:/home/jovyan/data")
  [[ -z ${CA_BUNDLE-} ]] || options+=(--bind "$CA_BUNDLE:/run/secrets/ca_bundle")
  export APPTAINERENV_PAPER_ID=$paper APPTAINERENV_READER=yes APPTAINERENV_JUPYTER_SERVER_APP_PASSWORD=$token \
    APPTAINERENV_JUPYTER_PORT=$hub_port APPTAINERENV_DISPLAY_URL="http://localhost:$hub_port/lab" \
    APPTAINERENV_DJ_HOST=127.0.0.1 APPTAINERENV_DJ_PORT=$db_port APPTAINERENV_DJ_USER=root \
    APPTAINERENV_DJ_PASS=$password APPTAINERENV_DJ_SUPPORT_FILEPATH_MANAGEMENT=TRUE \
    APPTAINERENV_SPYGLASS_BASE_DIR=/home/jovyan/data APPTAINERENV_HDF5_USE_FILE_LOCKING=FALSE \
    APPTAINERENV_DANDISET_VERSION=$dandiset_version
  # Not `apptainer run`, which sends the arguments through a shell.
  exec apptainer --silent exec --containall "${options[@]}" --home "$home:/home/jovyan" --pwd /home/jovyan \
    --bind "$packages:/opt/paper/packages" "$hub" \
    tini -s -g -- /opt/conda/bin/python /usr/local/bin/entrypoint.py "$@"
}

ssh_line() {
  local jump=''
  [[ -z ${SLURM_SUBMIT_HOST-} || $SLURM_SUBMIT_HOST == "$host" ]] || jump="-J $(id -un)@$SLURM_SUBMIT_HOST "
  echo "ssh $jump-L $hub_port:localhost:$hub_port $(id -un)@$host"
}

read_running() { # what runs on this machine
  [[ -e $state/running/$host ]] || return 1
  { read -r pid && read -r hub_port && read -r token && read -r line && read -r job && read -r db_port &&
    read -r password; } <"$state/running/$host" || return 1
  kill -0 "$pid" 2>/dev/null
}

start() {
  local pid folder
  ! read_running || fail "the paper runs already on this machine (process $pid)" \
    '`paper.sh status` says where; for a second one set PAPER_STATE to another folder'
  prepare
  folder=${PAPER_DB:-$(database_folder)}
  [[ $folder == "$state"/* ]] ||
    echo "the database is in $folder, on this machine alone: rows that you write are not there on another"
  start_database "$folder"
  in_hub "$state/home" "$state/packages-$conda_hash" \
    start-notebook.py --ServerApp.ip=127.0.0.1 --ServerApp.port_retries=0 </dev/null >"$state/jupyterlab.log" 2>&1 &
  hub_pid=$!
  until (exec 3<>"/dev/tcp/127.0.0.1/$hub_port") 2>/dev/null; do
    kill -0 "$hub_pid" 2>/dev/null || explain JupyterLab "$state/jupyterlab.log"
    sleep 0.2
  done
  # Which of your notebooks were left alone, for one.
  grep -E '^(notebooks|data): ' "$state/jupyterlab.log" || true
  running=$state/running/$host
  printf '%s\n' "$$" "$hub_port" "$token" "$(ssh_line)" "${SLURM_JOB_ID-}" "$db_port" "$password" >"$running"
  echo "JupyterLab: http://localhost:$hub_port/lab   from another machine first: $(ssh_line)"
  # A job's output is a file that others may read.
  if [[ -t 1 ]]; then
    echo "password: $token   Ctrl-C ends it"
  else
    echo "password: \`bash $here/paper.sh status\` shows it"
  fi
  wait "$hub_pid" || true
  echo 'JupyterLab has ended; the database shuts down'
}

status() {
  local file pid line job here_too=''
  if read_running; then here_too=yes; else rm -f "$state/running/$host"; fi
  for file in "$state"/running/*; do
    [[ -e $file ]] || {
      echo 'it does not run'
      return
    }
    { read -r pid && read -r hub_port && read -r token && read -r line && read -r job; } <"$file" || continue
    echo "${file##*/}${job:+ (job $job)}: http://localhost:$hub_port/lab   password: $token   $line"
  done
  [[ -n $here_too ]] || echo "none of it runs on this machine; \`scancel JOB\` ends a job"
}

stop() {
  local pid line job
  read_running || fail 'it does not run on this machine' '`paper.sh status` says where it does; `scancel JOB` ends a job'
  kill -TERM "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
  echo 'stopped; notebooks, data and the database are kept'
}

enter() {
  local pid line job
  read_running || fail 'it does not run on this machine' 'run `paper.sh start` first, in another terminal or as a job'
  check_apptainer
  make_run
  find_hub
  # In a shell of its own, so that what is to go at the end goes.
  (in_hub "$state/home" "$state/packages-$conda_hash" bash -c '. /opt/paper/activate.sh && exec bash')
}

# In the hub. The runner takes the end of its standard input for an order to stop.
readonly run_notebooks='
import json, subprocess, sys
from pathlib import Path

folder, hidden, bad = Path("notebooks"), ("executed",), 0
found = [file.relative_to(folder) for file in sorted(folder.rglob("*.ipynb"))]
found = [name.as_posix() for name in found if not any(part[0] == "." or part in hidden for part in name.parts)]
for name in sys.argv[2:] or found:
    command = [sys.executable, "/opt/paper/run_notebook.py", name, sys.argv[1]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        result = json.loads(running.stdout.read().splitlines()[-1])
    where = "cell {cell}: {error}".format(**result) if result["status"] != "passed" else ""
    print("{}  {}  {} s  {}".format(name, result["status"], result["seconds"], where).rstrip(), flush=True)
    bad += result["status"] != "passed"
print("{} of {} notebooks pass".format(len(sys.argv[2:] or found) - bad, len(sys.argv[2:] or found)))
sys.exit(bool(bad))
'

test_notebooks() { # NOTEBOOK...; nothing of yours is read or written
  prepare
  start_database "$run/db"
  in_hub "$run/home" "$run/packages" /opt/conda/bin/python -c "$run_notebooks" "${PAPER_SECONDS:-600}" "$@" </dev/null &
  hub_pid=$!
  wait "$hub_pid" || fail 'not all notebooks pass' 'the lines above say which cell, and why'
}

case ${1-start} in
  convert | start | enter | status | stop) "${1-start}" ;;
  test)
    shift
    test_notebooks "$@"
    ;;
  *)
    sed -n '4,20s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
