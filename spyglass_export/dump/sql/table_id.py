"""What a table is called."""

from typing import NamedTuple

from spyglass_export.dump.sql.tokens import printable, quoted


class TableId(NamedTuple):
    """A table's schema and its name in the database, as they are once they were decoded."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """The name as SQL has it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def where(self) -> str:
        """The name as SQL has it, for a person."""
        return printable(self.sql)
