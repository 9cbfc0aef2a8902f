"""Values of `.env` in the form that Docker Compose and python-dotenv read alike.

Compose expands `$NAME` and `$$`, python-dotenv `${NAME}` alone, in single quotes too; each has escapes of its own.
What is here was found by giving both the same lines, as tests/integration/test_env_values.py does.
"""

import re

from spyglass_export.errors import UserError

_PLAIN = re.compile(r"[\w./:@%+,=-]*", re.ASCII)
_OTHERWISE = {
    "'": re.compile(r"\$\{|\\\\"),
    '"': re.compile(r"\$[\w$]|\\[$'0-9]|\$\{\w+[^\w:}]", re.ASCII),
    "": re.compile(r"\$[A-Za-z_$]|\$\{\w+[^\w:}]|\t#", re.ASCII),
}


def is_read_alike(written: str) -> bool:
    """Whether both read the same out of what stands behind the `=`."""
    quote = written[:1] if written[:1] in ("'", '"') else ""
    return not _OTHERWISE[quote].search(written if quote else re.split(r" #", written)[0])


def as_written(name: str, value: str) -> str:
    """Quote a value so that both read it as it is; raises UserError for the few that cannot be."""
    if _PLAIN.fullmatch(value):
        return value
    single = "'" + value.replace("'", "\\'") + "'"
    double = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if not value.endswith("\\") and "\\'" not in value and is_read_alike(single):
        return single
    if "${" not in value and is_read_alike(double):
        return double
    raise UserError(f"{name} cannot be written into .env as it is", "choose another, without $ beside quotes or \\\\")
