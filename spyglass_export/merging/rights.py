"""What a user may do on their server, asked before anything is written."""

import re
from contextlib import suppress

import pymysql

from spyglass_export.dump.sql.tokens import quoted, unquoted
from spyglass_export.errors import UserError, some
from spyglass_export.merging.plan import Plan
from spyglass_export.merging.server import Server
from spyglass_export.merging.tables import text_literal

_GRANT = re.compile(r"GRANT (.+) ON (?:TABLE )?(\*|`(?:[^`]|``)*`)\.(\*|`(?:[^`]|``)*`) TO ")
# As the SQL errors say it: no right on the schema, the table, the column.
_DENIED = (1044, 1142, 1143)


def check_rights(target: Server, plan: Plan) -> None:
    """Raise UserError that names every right which the merge needs and the user lacks."""
    lacking = []
    for table, rows in plan.to_insert():
        if table.is_new:
            continue
        names = ", ".join(quoted(theirs.name) for _, theirs in rows.columns)
        try:
            # What an INSERT may do is asked without doing it.
            target.rows(
                f"EXPLAIN INSERT INTO {table.target.sql} ({names}) SELECT {names} FROM {table.target.sql} WHERE FALSE"
            )
        except pymysql.OperationalError as error:
            if error.args[0] not in _DENIED:
                raise
            lacking.append(f"INSERT on {table.target}")
    granted = _granted(target)
    for schema in sorted({name.schema for name in plan.definitions}):
        missing = [right for right in ("CREATE", "DROP", "INSERT", "REFERENCES") if not _has(granted, right, schema)]
        if missing:
            lacking.append(f"{', '.join(missing)} on {schema}.*")
    if lacking:
        raise UserError(
            f"you may not do on {target.name} what the merge needs: {some(lacking, separator='; ')}",
            "ask its administrator; Spyglass' role dj_user has it on the shared schemas",
        )


def check_triggers(target: Server, plan: Plan) -> None:
    """Raise UserError where a table that gets rows has a trigger: it would act on rows that are not the paper's."""
    for table, _ in plan.to_insert():
        schema, name = text_literal(table.target.schema), text_literal(table.target.name)
        if trigger := target.one(
            "SELECT trigger_name FROM information_schema.triggers WHERE event_manipulation = 'INSERT'"
            f" AND event_object_schema = {schema} AND event_object_table = {name} LIMIT 1"
        ):
            raise UserError(
                f"{table.target} has the trigger {trigger}, which would act on each new row",
                "take it away for the time of the merge, if it does nothing that you need; nothing was changed",
            )


def _granted(target: Server) -> list[tuple[set[str], str]]:
    """Rights, each with the pattern of schemas that it is for."""
    lines = [str(line) for (line,) in target.rows("SHOW GRANTS")]
    with suppress(pymysql.MySQLError):  # roles came with MySQL 8
        role = target.one("SELECT CURRENT_ROLE()")
        if role and role != "NONE" and not target.is_mariadb:
            lines = [str(line) for (line,) in target.rows(f"SHOW GRANTS FOR CURRENT_USER() USING {role}")]
    found = []
    for line in lines:
        if (match := _GRANT.match(line)) and match[3] == "*":
            rights = {right.strip() for right in re.sub(r"\([^)]*\)", "", match[1]).upper().split(",")}
            found.append((rights, "%" if match[2] == "*" else unquoted(match[2])))
    return found


def _has(granted: list[tuple[set[str], str]], right: str, schema: str) -> bool:
    return any(
        rights & {right, "ALL PRIVILEGES", "ALL"} and (pattern == schema or _matches(pattern, schema))
        for rights, pattern in granted
    )


def _matches(pattern: str, schema: str) -> bool:
    """Whether a name matches as LIKE does: % is any text, _ any letter, and a backslash takes that away."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    expression = "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)
    return re.fullmatch(expression, schema, re.DOTALL) is not None
