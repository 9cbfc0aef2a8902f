#!/bin/bash
# Healthy: the user that DataJoint connects as gets in over TCP with the password, and the paper's schemas are there.
set -euo pipefail

# Quotes and backslashes mean something in an option file. A pipe keeps the password off the command line.
password=${MYSQL_ROOT_PASSWORD//\\/\\\\}
password=${password//\"/\\\"}
answer=$(mysql --defaults-file=/dev/fd/3 --protocol=TCP --host=127.0.0.1 --user="${MYSQL_USER:-root}" \
  --connect-timeout=5 --batch --skip-column-names </opt/seed/health.sql 3<<<"[client]
password=\"$password\"")
[[ $answer == 1 ]] || {
  echo 'the schemas of the paper are gone'
  exit 1
}
