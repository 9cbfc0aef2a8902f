#!/bin/bash
# Give MySQL the paper's data directory and become mysqld; runs as user mysql and needs no capability.
#
# environment: MYSQL_ROOT_PASSWORD; MYSQL_ROOT_HOST (%); MYSQL_USER (root), which has the same password
# arguments: options for mysqld, or another command to run instead
# shellcheck disable=SC2016 # hints quote commands in backticks
set -euo pipefail
# First of all: process 1 does not even get a signal that it has not asked for. `exec` gives them back to mysqld.
trap 'exit 143' TERM INT
shopt -s nullglob inherit_errexit

readonly seed=/opt/seed volume=/var/lib/mysql
readonly data=$volume/data
# Megabytes for the redo log, the doublewrite buffer and temporary tables; without them InnoDB aborts.
readonly working_space=128

fail() { # WHAT HINT
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# A directory that is being copied to or removed is renamed first, which is atomic: of two containers that
# start on one empty volume, one wins, and the other's half is never taken for a database.
discard() { # DIRECTORY...
  local directory
  for directory; do
    mv -T "$directory" "$directory.discarded" 2>/dev/null || true
    rm -rf "$directory.discarded"
  done
}

check_space() { # MEGABYTES
  local available
  available=$(df --output=avail -B 1M "$volume" | tail -n 1)
  ((available >= $1)) ||
    fail "the disk is too full for the database: it needs $1 MB, ${available// /} MB are free" \
      'free some space (`docker system df` tells what Docker holds) and start again; nothing is lost'
}

copy_seed() {
  local incoming needed
  needed=$(du -s -B 1M "$seed/data" | cut -f 1)
  check_space $((needed + working_space))
  incoming=$(mktemp -d "$volume/incoming.XXXXXXXXXX")
  # In the background, since bash heeds signals only between commands; what is half copied goes at next start.
  { cp -R "$seed/data/." "$seed/seed_id" "$incoming/" && sync -f "$incoming"; } &
  wait "$!" || {
    discard "$incoming"
    fail 'the database could not be copied into its volume' \
      'see the message above; the disk may be full, or a second container may have started on this volume'
  }
  if mv -T "$incoming" "$data" 2>/dev/null; then
    sync -f "$volume"
  else
    discard "$incoming"
    [[ -d $data ]] || fail 'the copy of the database was removed while it was made' \
      'a second container was started on the same volume: stop one of them'
  fi
}

check_volume() {
  local entry
  [[ -w $volume ]] || fail "$volume cannot be written by the user mysql ($(id -u))" \
    'use a named volume, or give the folder to that user'
  for entry in "$volume"/*; do
    case ${entry##*/} in
      data | incoming.* | lost+found) ;;
      *) fail "the volume at $volume holds other files (${entry##*/}) and is left as it is" \
        'mount a new volume there; this one belongs to another database' ;;
    esac
  done
}

check_data() {
  local id="" problem
  [[ ! -f $data/seed_id ]] || id=$(<"$data/seed_id")
  [[ $id == "$(<"$seed/seed_id")" ]] ||
    fail "the volume holds the database of another export (${id:-unknown}) and is left as it is" \
      "start with a new volume for this one ($(<"$seed/seed_id")); \`invoke build\` does"
  # InnoDB itself waits 100 seconds for the lock that another server holds, and then says little.
  problem=$(innochecksum --page=0 "$data/ibdata1" 2>&1 >/dev/null) || true
  [[ $problem != *"Unable to lock"* ]] ||
    fail 'another container is running on this database volume' 'stop that one first; `docker ps` lists them'
}

quoted() { # TEXT -> SQL string
  local text=${1//\\/\\\\}
  printf "'%s'" "${text//\'/\\\'}"
}

accounts() { # SQL that makes root and MYSQL_USER what the environment says, and drops what it said before
  local password root user host
  password=$(quoted "$MYSQL_ROOT_PASSWORD")
  root=$(quoted "${MYSQL_ROOT_HOST:-%}")
  user=$(quoted "${MYSQL_USER:-root}")
  echo "ALTER USER root@localhost IDENTIFIED BY $password;"
  for host in "'127.0.0.1'" "$root"; do
    echo "CREATE USER IF NOT EXISTS root@$host IDENTIFIED BY $password;"
    echo "ALTER USER root@$host IDENTIFIED BY $password;"
    echo "GRANT ALL ON *.* TO root@$host WITH GRANT OPTION;"
  done
  # Spyglass declares on import what the export left out, in any schema.
  if [[ $user != "'root'" ]]; then
    echo "CREATE USER IF NOT EXISTS $user@'%' IDENTIFIED BY $password;"
    echo "ALTER USER $user@'%' IDENTIFIED BY $password COMMENT 'MYSQL_USER';"
    echo "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES,
      LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER, PROCESS
      ON *.* TO $user@'%';"
  fi
  echo "SET @old = (SELECT GROUP_CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user
    WHERE user = 'root' AND host NOT IN ('localhost', '127.0.0.1', $root)
    OR user <> $user AND user_attributes ->> '\$.metadata.comment' = 'MYSQL_USER');"
  echo "SET @drop = COALESCE(CONCAT('DROP USER ', @old), 'DO 0');"
  echo 'PREPARE drop_old FROM @drop;'
  echo 'EXECUTE drop_old;'
}

buffer_pool() { # bytes: all data twice, up to a quarter of the memory that the container may use
  local name file memory limit data_bytes
  while read -r name memory _; do [[ $name != MemTotal: ]] || break; done </proc/meminfo
  memory=$((memory * 1024))
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    [[ -r $file ]] || continue
    limit=$(<"$file")
    [[ $limit == max ]] || ((limit > memory)) || memory=$limit
  done
  data_bytes=$(du -s -B 1 "$data" | cut -f 1)
  memory=$((memory / 4))
  ((memory < 2 * data_bytes)) || memory=$((2 * data_bytes))
  # MySQL rounds up to whole chunks of 128 MiB.
  echo $((memory < 1 << 27 ? 1 << 27 : memory >> 27 << 27))
}

case ${1-} in
  "" | -*) ;;
  mysqld) shift ;;
  *) exec "$@" ;;
esac

[[ -n ${MYSQL_ROOT_PASSWORD-} ]] || fail 'MYSQL_ROOT_PASSWORD is empty' 'set a password in .env'
case ${BIND_ADDRESS:-127.0.0.1} in
  127.* | "[::1]" | ::1) ;;
  *)
    paper=${PAPER_ID-}
    [[ ${MYSQL_ROOT_PASSWORD,,} != "${paper,,}" ]] ||
      fail "BIND_ADDRESS $BIND_ADDRESS opens MySQL to others, and its password is the paper's ID" \
        'set MYSQL_ROOT_PASSWORD in .env to one of your own, or BIND_ADDRESS=127.0.0.1'
    ;;
esac
[[ $MYSQL_ROOT_PASSWORD${MYSQL_ROOT_HOST-}${MYSQL_USER-} != *[[:cntrl:]]* ]] ||
  fail 'MYSQL_ROOT_PASSWORD, MYSQL_ROOT_HOST or MYSQL_USER has a line break or another control character' \
    'take it out in .env'

check_volume
discard "$volume"/incoming.*
[[ -d $data ]] || copy_seed
check_data
check_space "$working_space"
# Another identity and keys at each start: none is ever half written, and none outlives its use.
rm -f "$data/auto.cnf" "$data"/*.pem
pool=$(buffer_pool)
sql=$(accounts)
unset MYSQL_ROOT_PASSWORD
# The here-string is a pipe that only this process reads; no file keeps the password. A blocked signal waits until
# mysqld, which takes signals late in its start, asks for it; process 1 would never see it otherwise.
exec env --block-signal=TERM mysqld --innodb-buffer-pool-size="$pool" --init-file=/dev/fd/3 "$@" 3<<<"$sql"
