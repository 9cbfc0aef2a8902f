#!/bin/bash
# Print `schema.table`, rows and digest of every table of a server, a line for each.
#
# usage: digest_tables.sh DIGESTS MYSQL_OPTION...   DIGESTS is digests.sql, or - for statements that it made
set -euo pipefail

digests=$1
shift
client=(mysql "$@" --default-character-set=utf8mb4 --batch --skip-column-names)
if [[ $digests == - ]]; then cat; else "${client[@]}" --raw <"$digests"; fi | {
  echo "SET SESSION time_zone = '+00:00', sql_mode = '';"
  while IFS= read -r statement; do printf '%s;\n' "$statement"; done
} | "${client[@]}"
