"""Files outside of the database that DataJoint's ``~external_*`` tables tell of.

Where DataJoint keeps them below a store's folder: https://docs.datajoint.com/core/datajoint-python/0.14/sysadmin/external-store/
"""

from pathlib import Path, PurePosixPath
from typing import Any

from spyglass_export.merging.plan import Plan

TABLES = "~external"


def files(plan: Plan) -> dict[str, Any]:
    """The files that the paper's rows expect: store, path below the store's folder, bytes."""
    expected = []
    for table in plan.tables:
        store = table.ours.id.name.removeprefix("~external_")
        if store == table.ours.id.name or not {"hash", "size", "filepath", "attachment_name"} <= set(
            table.ours.columns
        ):
            continue
        for digest, size, path, attached in plan.paper.rows(
            f"SELECT LOWER(HEX(hash)), size, filepath, attachment_name FROM {table.ours.id.sql} ORDER BY filepath, hash"
        ):
            name = f"{digest}.{attached}" if attached else digest
            place = PurePosixPath(path or f"{table.ours.id.schema}/{digest[:2]}/{digest[2:4]}/{name}")
            expected.append({"store": store, "path": str(place), "bytes": int(size)})
    return {"expected": expected}


def find_missing(plan: Plan, folder: Path) -> None:
    """Put into the plan which of the files are not below a folder, with or without a folder for each store."""
    plan.files["missing"] = [
        file
        for file in plan.files["expected"]
        if not any((folder / place).is_file() for place in (Path(file["store"], file["path"]), Path(file["path"])))
    ]
