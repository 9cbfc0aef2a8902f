#!/bin/bash
# Load an export into a new MySQL data directory and check it; runs while the database image is built.
#
# usage: load_export.sh EXPORT EMPTY SEED [CLIENTS]
#   EXPORT   folder with manifest.json, sql/schema.sql, sql/rows/*.sql and perhaps sql/after.sql
#   EMPTY    data directory as `mysqld --initialize-insecure` leaves it
#   SEED     folder to make: data/, seed_id, manifest.json, tables.tsv, proof.tsv, orphans.tsv, health.sql
#   CLIENTS  how many files of rows load at once; the number of processors unless told
#
# digest_tables.sh and digests.sql are beside it. Needs bash, coreutils, findutils and MySQL's programs. Whatever goes wrong ends in one `error:` line and
# one `hint:` line on standard error, and exit status 1.
# shellcheck disable=SC2016 # hints quote commands in backticks
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C

# Data of another kind than intended is the one thing that must not pass. In rows every warning is taken for
# that, except that something will change in MySQL; in definitions those that say cut, changed or left out.
readonly harmless_in_rows='deprecated|in a future release'
readonly harmful_elsewhere='\(Code (1048|1062|1071|1246|1263|1264|1265|1266|1292|1300|1364|1366|1406|1411|1452|1526)\)'

fail() { # WHAT HINT; of several clients that fail at once, the first has the word
  (set -o noclobber && printf 'error: %s\nhint: %s\n' "$1" "$2" >"$scratch/failure") 2>/dev/null || true
  exit 255 # on which xargs starts no further client
}

client() {
  mysql --no-defaults --socket="$scratch/mysqld.sock" --user=root --default-character-set=utf8mb4 \
    --max-allowed-packet=1G --batch --skip-column-names "$@"
}

digest_tables() { # DIGESTS; the first `split` of them, where it is -
  bash "$here/digest_tables.sh" "$1" --no-defaults --socket="$scratch/mysqld.sock" --user=root
}

statements() { # FILE; the server counts the rows that a session writes
  cat -- "$1"
  [[ $1 != */sql/rows/* ]] || printf "\nSHOW SESSION STATUS LIKE 'Handler_write';\n"
}

one_line() {
  head -c 300 | tr '\0-\37' ' '
}

statement_at() { # FILE LINE
  { tail -n "+$2" -- "$1" || true; } 2>/dev/null | one_line
}

load_file() { # FILE
  local file=$1 name=${1#"$export_dir/"} log=$scratch/log.$BASHPID line="" error="" warning="" number=1 hint
  if statements "$file" |
    client --binary-mode --show-warnings --init-command='SET SESSION foreign_key_checks = 0' >"$log" 2>&1; then
    while IFS= read -r line; do
      [[ $line != Handler_write$'\t'* ]] || printf '%s\t%s\n' "${line#*$'\t'}" "$name" >>"$scratch/inserted"
      [[ $line =~ ^(Warning|Error)\ \(Code ]] || continue
      if [[ $name == sql/rows/* ]]; then
        [[ $line =~ $harmless_in_rows ]] || warning=$line
      else
        [[ $line =~ $harmful_elsewhere ]] && warning=$line
      fi
      [[ -z $warning ]] || break
    done <"$log"
    [[ -z $warning ]] || fail "$name: MySQL would change what it loads: $warning" \
      'the rows do not fit the columns of their table; export the paper again, or see docs/database.md'
    return
  fi
  while IFS= read -r line; do
    [[ $line == ERROR* ]] && error=$line
  done <"$log"
  [[ $error =~ \ at\ line\ ([0-9]+) ]] && number=${BASH_REMATCH[1]}
  case $error in
    "ERROR 1114 "* | "ERROR 1021 "* | "ERROR 1030 "* | "ERROR 2013 "*)
      hint='the server ran out of disk or memory: free some (`docker system df` tells what Docker holds) and build again' ;;
    "ERROR 1062 "*) hint='two rows have the same key: was it cut? The manifest lists what was changed' ;;
    *) hint='run `invoke copy_files` again; if this comes back, the export itself is damaged' ;;
  esac
  fail "$name: ${error:-$(one_line <"$log")} | statement: $(statement_at "$file" "$number")" "$hint"
}

if [[ ${1-} == --load-file ]]; then
  load_file "$2"
  exit
fi
if [[ ${1-} == --digest ]]; then
  # shellcheck disable=SC2153 # split gives it
  digest_tables - >"$scratch/digests.$FILE"
  exit
fi

export_dir=$1 empty=$2 seed=$3 clients=${4:-$(nproc)}
server="" scratch=$(mktemp -d) here=$(cd "${BASH_SOURCE[0]%/*}/" && pwd)
touch "$scratch/mysqld.log" "$scratch/inserted"
export export_dir scratch here

finish() {
  local status=$?
  [[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true
  if ((status)); then
    server_errors >&2
    cat "$scratch/failure" >&2 2>/dev/null ||
      printf 'error: %s\nhint: %s\n' 'loading the export failed' 'the lines above say why' >&2
  fi
  rm -rf "$scratch"
  ((status == 0)) || exit 1
}
trap finish EXIT

server_errors() {
  local line
  while IFS= read -r line; do
    [[ $line != *"[ERROR]"* ]] || printf '%s\n' "$line"
  done <"$scratch/mysqld.log"
}

start_server() {
  local memory_kib pool
  read -r _ memory_kib _ < <(while read -r line; do [[ $line != MemAvailable:* ]] || echo "$line"; done </proc/meminfo)
  # Data that stays in memory is written once. No more than the export can need, and half of what is free.
  pool=$((memory_kib * 512))
  ((pool < 2 * export_bytes)) || pool=$((2 * export_bytes))
  ((pool > 134217728)) || pool=134217728
  # Nothing here has to survive a crash: a build that fails is thrown away.
  mysqld --no-defaults --user=mysql --datadir="$seed/data" --lower-case-table-names=0 \
    --socket="$scratch/mysqld.sock" --pid-file="$scratch/mysqld.pid" --tmpdir="$scratch" --skip-networking \
    --loose-mysqlx=OFF --skip-log-bin --performance-schema=OFF --event-scheduler=DISABLED --secure-file-priv="$seed" \
    --auto-generate-certs=OFF --caching-sha2-password-auto-generate-rsa-keys=OFF \
    --loose-innodb-numa-interleave=OFF --loose-restrict-fk-on-non-standard-key=OFF \
    --character-set-server=utf8mb4 --max-allowed-packet=1G --group-concat-max-len=1048576 \
    --sql-mode=STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION \
    --innodb-buffer-pool-size="$pool" --innodb-buffer-pool-dump-at-shutdown=OFF \
    --innodb-redo-log-capacity=8M --innodb-doublewrite=OFF --innodb-flush-method=nosync \
    --innodb-flush-log-at-trx-commit=0 --innodb-io-capacity=10000 --innodb-io-capacity-max=20000 \
    --innodb-adaptive-hash-index=OFF --loose-innodb-change-buffering=none \
    2>>"$scratch/mysqld.log" >&2 &
  server=$!
  until client --execute='DO 0' 2>/dev/null; do
    kill -0 "$server" 2>/dev/null || fail 'MySQL does not start on the new data directory' 'its messages are above'
    sleep 0.05
  done
}

stop_server() {
  client --execute='SHUTDOWN'
  wait "$server" || fail 'MySQL did not shut down cleanly' 'its messages are above'
  server=""
}

[[ -f $export_dir/manifest.json && -f $export_dir/sql/schema.sql ]] ||
  fail 'export_data/ holds no export' 'run `invoke copy_files`'
[[ ! -e $seed ]] || fail "$seed exists already" 'start from the plain MySQL image'
export_bytes=$(find "$export_dir/sql" -type f -printf '%s\n' | { sum=0; while read -r n; do ((sum += n)); done; echo "$sum"; })

mkdir "$seed"
chown mysql "$scratch"
install -m 644 "$export_dir/manifest.json" "$seed/manifest.json"

cp -R -p "$empty" "$seed/data"
start_server
client --execute='ALTER INSTANCE DISABLE INNODB REDO_LOG'

seed_id=$(client --execute="SELECT JSON_UNQUOTE(
  JSON_EXTRACT(CONVERT(LOAD_FILE('$seed/manifest.json') USING utf8mb4), '\$.seed_id'))")
printf '%s' "$seed_id" >"$seed/seed_id"

# What is loaded is what was written: each file with its size, and no other.
client --raw >"$scratch/listed" <<SQL
SET @manifest = CONVERT(LOAD_FILE('$seed/manifest.json') USING utf8mb4);
SELECT CONCAT(JSON_EXTRACT(@manifest, CONCAT('\$.files.', JSON_QUOTE(name))), ' ', name)
FROM JSON_TABLE(JSON_KEYS(@manifest, '\$.files'), '\$[*]' COLUMNS (name VARCHAR(1000) PATH '\$')) AS files
WHERE name LIKE 'sql/%'
SQL
find "$export_dir/sql" -type f -printf '%s sql/%P\n' >"$scratch/found"
different=$(sort "$scratch/listed" "$scratch/found" | uniq -u)
[[ -z $different ]] || fail "export_data/ is not what its manifest says: ${different%%$'\n'*}" \
  'run `invoke copy_files` again'

load_file "$export_dir/sql/schema.sql"
if [[ -d $export_dir/sql/rows ]]; then
  find "$export_dir/sql/rows" -name '*.sql' -type f -printf '%s\t%p\0' | sort -z -r -n | cut -z -f 2- |
    xargs -0 -r -n 1 -P "$clients" bash "${BASH_SOURCE[0]}" --load-file || exit
fi
[[ ! -f $export_dir/sql/after.sql ]] || load_file "$export_dir/sql/after.sql"

# Statements are made of what MySQL knows of the tables, and given to it again.
missing=$(
  client <<SQL
SELECT CONCAT(m.table_schema, '.', m.table_name)
FROM JSON_TABLE(CONVERT(LOAD_FILE('$seed/manifest.json') USING utf8mb4), '\$.tables[*]'
  COLUMNS (table_schema VARCHAR(64) COLLATE utf8mb4_bin PATH '\$.schema',
    table_name VARCHAR(64) COLLATE utf8mb4_bin PATH '\$.name')) AS m
LEFT JOIN information_schema.tables AS t ON t.table_schema = m.table_schema AND t.table_name = m.table_name
WHERE t.table_name IS NULL
SQL
)
[[ -z $missing ]] || fail "tables of the manifest are not in the database: $(one_line <<<"$missing")" \
  'run `invoke copy_files` again'

client --raw <<'SQL' | client >"$scratch/analysed"
SELECT CONCAT('ANALYZE NO_WRITE_TO_BINLOG TABLE ', sys.quote_identifier(table_schema), '.',
  sys.quote_identifier(table_name), ';')
FROM information_schema.tables
WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') AND table_type = 'BASE TABLE'
SQL

client --raw <<'SQL' | client >"$seed/tables.tsv"
SET SESSION information_schema_stats_expiry = 0;
SELECT CONCAT('SELECT ', QUOTE(CONCAT(table_schema, '.', table_name)), ', COUNT(*), ', data_length + index_length,
  ' FROM ', sys.quote_identifier(table_schema), '.', sys.quote_identifier(table_name), ';')
FROM information_schema.tables
WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') AND table_type = 'BASE TABLE'
ORDER BY table_schema, table_name
SQL
[[ -s $seed/tables.tsv ]] || fail 'the export holds no table' 'run `invoke copy_files` on a whole export'

# What the source server said of each table where `invoke dump` asked it, or else what the INSERTs put in, against
# what is there.
client --raw <"$here/digests.sql" |
  split --number="r/$clients" --filter="bash ${BASH_SOURCE[0]@Q} --digest"
sort "$scratch"/digests.* >"$scratch/digests"
client >"$scratch/expected" <<SQL
SELECT CONCAT(t.table_schema, '.', t.table_name), t.file, t.row_count, t.digest
FROM JSON_TABLE(CONVERT(LOAD_FILE('$seed/manifest.json') USING utf8mb4), '\$.tables[*]'
  COLUMNS (table_schema VARCHAR(64) PATH '\$.schema', table_name VARCHAR(64) PATH '\$.name',
    file VARCHAR(1000) PATH '\$.file', row_count BIGINT PATH '\$.rows', digest VARCHAR(64) PATH '\$.digest')) AS t
SQL
declare -A inserted=() source_rows=() source_digest=()
while IFS=$'\t' read -r n file; do inserted[$file]=$n; done <"$scratch/inserted"
while IFS=$'\t' read -r table file n digest; do
  source_rows[$table]=$n source_digest[$table]=$digest
  [[ $n != NULL ]] || source_rows[$table]=${inserted[$file]-0}
done <"$scratch/expected"
while IFS=$'\t' read -r table n digest; do
  state='not provable' # made by a statement that came after the rows
  if [[ ${source_digest[$table]-NULL} != NULL ]]; then
    [[ ${source_rows[$table]} == "$n" ]] || fail \
      "$table: the source had ${source_rows[$table]} rows when it was dumped, and $n are in the database" \
      'the dump was changed or is damaged: run `invoke dump` again'
    [[ ${source_digest[$table]} == "$digest" ]] || fail "$table: its $n rows are not what the source had" \
      'run `invoke dump` again; if this comes back, report it. Without proof.json in the export, rows are counted only'
    state=proven
  elif [[ -n ${source_rows[$table]-} ]]; then
    [[ ${source_rows[$table]} == "$n" ]] || fail \
      "$table: ${source_rows[$table]} rows were inserted, and $n are in the database" \
      'a statement of the dump takes rows away again, or rows replaced one another: dump again with `invoke dump`'
    state=counted
  fi
  printf '%s\t%s\t%s\t%s\n' "$table" "$n" "$digest" "$state"
done <"$scratch/digests" >"$seed/proof.tsv"

# A foreign key of which a column is NULL refers to nothing. Exports may leave parents out, so that is no error.
client --raw <<'SQL' | client >"$seed/orphans.tsv"
SELECT CONCAT('SELECT ', QUOTE(CONCAT(k.table_schema, '.', k.table_name)), ', ', QUOTE(k.constraint_name), ', ',
  QUOTE(CONCAT(k.referenced_table_schema, '.', k.referenced_table_name)), ', COUNT(*) FROM ',
  sys.quote_identifier(k.table_schema), '.', sys.quote_identifier(k.table_name), ' AS c WHERE ',
  GROUP_CONCAT('c.', sys.quote_identifier(k.column_name), ' IS NOT NULL' SEPARATOR ' AND '),
  IF(p.table_name IS NULL, '', CONCAT(' AND NOT EXISTS (SELECT 1 FROM ', sys.quote_identifier(p.table_schema), '.',
    sys.quote_identifier(p.table_name), ' AS p WHERE ', GROUP_CONCAT('p.',
    sys.quote_identifier(k.referenced_column_name), ' = c.', sys.quote_identifier(k.column_name) SEPARATOR ' AND '),
    ')')), ' HAVING COUNT(*) > 0;')
FROM information_schema.key_column_usage AS k
LEFT JOIN information_schema.tables AS p
  ON p.table_schema = k.referenced_table_schema AND p.table_name = k.referenced_table_name
WHERE k.table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
  AND k.referenced_table_name IS NOT NULL
GROUP BY k.table_schema, k.table_name, k.constraint_name, k.referenced_table_schema, k.referenced_table_name,
  p.table_schema, p.table_name
SQL

# DataJoint logs deletions here and makes it at the first one, which fails inside a transaction; no export has it.
# As in https://github.com/datajoint/datajoint-python/blob/v0.14.4/datajoint/table.py, class Log.
client --raw <<'SQL' | client
SELECT CONCAT('CREATE TABLE IF NOT EXISTS ', sys.quote_identifier(schema_name), '.`~log` (',
  '`id` int unsigned NOT NULL AUTO_INCREMENT COMMENT "event order id", ',
  '`timestamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP COMMENT "event timestamp", ',
  '`version` varchar(12) NOT NULL COMMENT "datajoint version", `user` varchar(255) NOT NULL COMMENT "user@host", ',
  '`host` varchar(255) NOT NULL DEFAULT "" COMMENT "system hostname", ',
  '`event` varchar(255) NOT NULL DEFAULT "" COMMENT "event message", PRIMARY KEY (`id`)) ',
  'ENGINE=InnoDB COMMENT "event logging table for `', REPLACE(schema_name, '"', ''), '`";')
FROM information_schema.schemata
WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
SQL

client --raw >"$seed/health.sql" <<'SQL'
SELECT CONCAT('SELECT COUNT(*) > 0 FROM information_schema.schemata WHERE schema_name IN (',
  GROUP_CONCAT(QUOTE(schema_name)), ');')
FROM information_schema.schemata
WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
SQL

client --execute='ALTER INSTANCE ENABLE INNODB REDO_LOG; SET GLOBAL innodb_fast_shutdown = 0'
stop_server
# Every container makes its own identity and keys.
rm -rf "$seed"/data/{auto.cnf,*.pem,ib_buffer_pool,ibtmp1} "$seed"/data/'#innodb_temp'/*
# Whatever user id a cluster gives the container copies it. In the layer that it was made in, it is there once.
chmod -R a+rX "$seed"

rows=0 tables=0
while IFS=$'\t' read -r _ n _; do ((rows += n, tables += 1)); done <"$seed/tables.tsv"
while IFS=$'\t' read -r table key parent n; do
  echo "note: $n rows of $table have no parent in $parent ($key)"
done <"$seed/orphans.tsv"
echo "loaded $tables tables, $rows rows; the data directory has $(du -sm "$seed/data" | cut -f 1) MB"
