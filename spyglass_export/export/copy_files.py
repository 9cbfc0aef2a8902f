"""copy_files: an export's dump and environment, cleaned, into export_data/ with their manifest."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import ParamSpec, TypeVar

from spyglass_export.changes import Change
from spyglass_export.dump.clean import CLEANER_FORMAT, CleanDump, clean_to_folder
from spyglass_export.dump.reading.sources import digest_of, disk_error, export_changed, stamps
from spyglass_export.environment.credentials import kind_of_credential
from spyglass_export.environment.installable import (
    FILE,
    NO_EVIDENCE,
    OVERRIDE_FILE,
    VERSION_FILE,
    Evidence,
    made_of,
    make_installable,
)
from spyglass_export.errors import UserError
from spyglass_export.export.completeness import Completeness, examine_export
from spyglass_export.export.folder import PROOF_FILE, sql_files
from spyglass_export.export.lock import only_one
from spyglass_export.export.manifest import ExportedTable, Manifest, SourceFile, read_manifest, seed_id
from spyglass_export.export.outline import Outline
from spyglass_export.export.proof import Proof, ProvenTable, read_proof
from spyglass_export.export.staging import recover, replaced_contents
from spyglass_export.files import sha256, sha256_of

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
# In the order in which they are moved into place: the manifest, which vouches for the others, comes last.
_WRITTEN = ("sql", FILE, "manifest.json")
NOT_OF_THIS_DUMP = (
    f"{PROOF_FILE} was not written together with this dump, so rows are counted only",
    "dump again: `invoke dump`, which writes both; or remove it",
)


@dataclass(frozen=True)
class Copied:
    """What `copy_files` came to; ``changed`` is false where ``export_data`` was up to date already.

    ``warnings`` are what is doubtful about the export, each with what to do.
    """

    manifest: Manifest
    changed: bool
    warnings: list[tuple[str, str]] = field(default_factory=list)


def copy_files(
    paper_dir: Path,
    export_data: Path,
    *,
    paper_id: str,
    exclude: Sequence[str] = (),
    evidence: Callable[[], Evidence] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Copied:
    """Turn an export into ``export_data``: environment.yml, sql/ and manifest.json.

    ``exclude`` are packages to leave out of the environment, ``evidence`` gives what channels tell of it, and is asked
    while the dump is read. ``progress`` is called with the bytes of the SQL files that were read since the last call.
    Nothing is done where sources and results are what they were.

    Raises `UserError` for an export that is missing, damaged or cannot be kept without loss; ``export_data``
    is then as it was.
    """
    try:
        export_data.mkdir(parents=True, exist_ok=True)
        with only_one(export_data, "invoke copy_files"):
            recover(export_data, _WRITTEN)
            dumps = sql_files(paper_dir)
            before = stamps(dumps)
            exported, options = made_of(paper_dir, export_data, paper_id, exclude)
            others = (*(paper_dir / name for name in (FILE, VERSION_FILE, PROOF_FILE)), export_data / OVERRIDE_FILE)
            read = [*dumps, *(path for path in others if path.is_file())]
            proof = read_proof(paper_dir)
            proven = _begun(_proven, proof, dumps)

            outline = Outline()
            environment = _begun(
                lambda: make_installable(exported, **options, evidence=evidence() if evidence else NO_EVIDENCE)
            )

            def advance(more: int) -> None:
                if environment.done():
                    environment.result()  # what is wrong with it is said now
                if progress:
                    progress(more)

            last = _up_to_date(export_data, paper_id, read, environment)
            if last:
                manifest, found = last, _examined(paper_dir, dumps, exported)
            else:
                with replaced_contents(export_data, _WRITTEN) as folder:
                    try:
                        cleaned = clean_to_folder(dumps, folder / "sql", advance, outline.take)
                    except UserError:
                        _examined(paper_dir, dumps, exported)  # what is missing counts before what is damaged
                        raise
                    found = _examined(paper_dir, dumps, exported, outline)
                    text, changes = environment.result()
                    (folder / FILE).write_text(text, encoding="utf-8", newline="\n")
                    sources = _fingerprints(read, cleaned.read)
                    if stamps(dumps) != before:
                        raise export_changed()
                    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
                    manifest = Manifest(
                        paper_id=paper_id,
                        spyglass_version=found.version,
                        export_hash=_export_hash(sources, text),
                        seed_id=seed_id(folder, cleaned.written),
                        sources=sources,
                        tables=_tables(cleaned, proven.result()),
                        files={path.relative_to(folder).as_posix(): path.stat().st_size for path in files},
                        # The manifest is in the database's image.
                        changes=[one.for_readers(kind_of_credential) for one in (*changes, *cleaned.changes)],
                    )
                    manifest.write(folder)
    except OSError as error:
        raise disk_error(error, export_data) from error
    if proof and not any(table.digest for table in manifest.tables):
        found.warnings.append(NOT_OF_THIS_DUMP)
    return Copied(manifest, not last, found.warnings)


def _begun(function: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs) -> Future[_Result]:
    """Have something done meanwhile. It only reads, so whatever stops the program does not wait for it."""
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(function(*given, **named))
        except BaseException as error:  # also a SystemExit, where nobody reads what is printed
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def _examined(paper_dir: Path, dumps: Sequence[Path], environment: str, outline: Outline | None = None) -> Completeness:
    found = examine_export(paper_dir, dumps, environment, outline)
    if found.lost:
        raise found.lost
    return found


def _up_to_date(
    export_data: Path,
    paper_id: str,
    read: Sequence[Path],
    environment: Future[tuple[str, list[Change]]],
) -> Manifest | None:
    """The manifest of ``export_data``, where all that was read and written is still there, as it was."""
    last = read_manifest(export_data)
    if (
        last
        and last.paper_id == paper_id
        and [path.stat().st_size for path in read] == [source.bytes for source in last.sources]
        and all((export_data / name).is_file() for name in last.files)
        and seed_id(export_data) == last.seed_id
        and (export_data / FILE).read_bytes() == environment.result()[0].encode()
        and last.export_hash == _export_hash(_fingerprints(read, {}), environment.result()[0])
    ):
        return last
    return None


def _proven(proof: Proof | None, dumps: Sequence[Path]) -> dict[str, ProvenTable]:
    """What the source server said of the tables, where it was said of all these dumps."""
    if proof and all(proof.dumps.get(dump.name) == sha256(dump) for dump in dumps):
        return proof.tables
    return {}


def _tables(cleaned: CleanDump, proven: dict[str, ProvenTable]) -> list[ExportedTable]:
    tables = []
    for table in cleaned.tables:
        said = proven.get(f"{table.schema}.{table.name}")
        file = table.file and f"sql/{table.file}"
        own = (said.rows, said.digest) if said else (None, None)
        tables.append(ExportedTable(table.schema, table.name, file, table.size, *own))
    return tables


def _fingerprints(paths: Sequence[Path], known: Mapping[Path, str]) -> list[SourceFile]:
    return [SourceFile(path.name, path.stat().st_size, known.get(path) or digest_of(path)) for path in paths]


def _export_hash(sources: Sequence[SourceFile], environment: str) -> str:
    parts = [str(CLEANER_FORMAT), environment, *(f"{source.name} {source.digest}" for source in sources)]
    return sha256_of(*parts)
