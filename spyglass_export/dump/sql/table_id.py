"""What a table is called."""

from dataclasses import dataclass

from spyglass_export.dump.sql.tokens import quoted


@dataclass(frozen=True, order=True)
class TableId:
    """A table's schema and its name in the database."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        """The name as SQL has it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"
