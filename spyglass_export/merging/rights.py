"""What a user may do on their server, asked before anything is written."""

import re
from contextlib import suppress

import pymysql
from pymysql.constants import ER

from spyglass_export.dump.sql.tokens import quoted
from spyglass_export.errors import UserError, some
from spyglass_export.merging.plan import Plan
from spyglass_export.merging.server import Server

_NAME = r"(\*|`(?:[^`]|``)*`)"
_GRANT = re.compile(rf"GRANT (.+) ON (?:TABLE )?{_NAME}\.\* TO ")
_DENIED = (ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR)


def check_rights(plan: Plan) -> None:
    """Raise UserError that names every right which the merge needs and the user lacks."""
    target, lacking = plan.target, []
    for table in plan.to_insert():
        name, columns = table.theirs.id, ", ".join(map(quoted, table.columns))
        try:
            if not table.is_new:  # what an INSERT may do is asked without doing it
                target.rows(f"EXPLAIN INSERT INTO {name.sql} ({columns}) SELECT {columns} FROM {name.sql} WHERE FALSE")
        except pymysql.OperationalError as error:
            if error.args[0] not in _DENIED:
                raise
            lacking.append(f"INSERT on {name}")
    granted = _granted(target) if plan.definitions else []
    for schema in sorted({name.schema for name in plan.definitions}):
        rights = set().union(*(rights for rights, like in granted if target.one("SELECT %s LIKE %s", schema, like)))
        missing = [right for right in ("CREATE", "DROP", "INSERT", "REFERENCES") if right not in rights]
        if missing and not rights & {"ALL PRIVILEGES", "ALL"}:
            lacking.append(f"{', '.join(missing)} on {schema}.*")
    if lacking:
        raise UserError(
            f"you may not do on {target.name} what the merge needs: {some(lacking, separator='; ')}",
            "ask its administrator; Spyglass' role dj_user has it on the shared schemas",
        )


def check_triggers(plan: Plan) -> None:
    """Raise UserError where a table that gets rows has a trigger: it would act on rows that are not the paper's."""
    for table in plan.to_insert():
        if trigger := plan.target.one(
            "SELECT trigger_name FROM information_schema.triggers WHERE event_manipulation = 'INSERT'"
            " AND event_object_schema = %s AND event_object_table = %s LIMIT 1",
            table.theirs.id.schema,
            table.theirs.id.name,
        ):
            raise UserError(
                f"{table.theirs.id} has the trigger {trigger}, which would act on each new row",
                "take it away for the time of the merge, if it does nothing that you need; nothing was changed",
            )


def _granted(target: Server) -> list[tuple[set[str], str]]:
    """Rights, each with the pattern of schemas that it is for."""
    lines = target.rows("SHOW GRANTS")
    with suppress(pymysql.MySQLError):  # roles came with MySQL 8, and MariaDB lists theirs
        lines += target.rows(f"SHOW GRANTS FOR CURRENT_USER() USING {target.one('SELECT CURRENT_ROLE()')}")
    return [
        (set(re.sub(r"\([^)]*\)", "", grant[1]).upper().split(", ")), grant[2].replace("*", "%").strip("`"))
        for (line,) in lines
        if (grant := _GRANT.match(line))
    ]
