"""SQL dumps: read as a stream, rewritten without loss, written as files that load into any MySQL 8 or newer."""

from spyglass_export.dump.clean import CLEANER_FORMAT, CleanDump, CleanTable, clean_to_file, clean_to_folder
from spyglass_export.dump.statements import DamagedDumpError, Kind, Statement, read_statements
from spyglass_export.dump.streams import clean_sql

__all__ = [
    "CLEANER_FORMAT",
    "CleanDump",
    "CleanTable",
    "DamagedDumpError",
    "Kind",
    "Statement",
    "clean_sql",
    "clean_to_file",
    "clean_to_folder",
    "read_statements",
]
