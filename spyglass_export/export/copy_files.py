"""copy_files: an export's dump and environment, cleaned, into export_data/ with their manifest."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from spyglass_export.changes import Change
from spyglass_export.checksum import sha256, sha256_of
from spyglass_export.dump.clean import CLEANER_FORMAT, CleanDump, clean_to_folder
from spyglass_export.dump.reading.sources import disk_error, refuse_changed, stamps
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
from spyglass_export.export.completeness import examine_export
from spyglass_export.export.folder import PROOF_FILE, sql_files
from spyglass_export.export.lock import only_one
from spyglass_export.export.manifest import ExportedTable, Manifest, SourceFile, read_manifest, seed_id
from spyglass_export.export.proof import Proof, read_proof
from spyglass_export.export.staging import recover, replaced_contents

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
    evidence: Evidence = NO_EVIDENCE,
    progress: Callable[[int], None] | None = None,
) -> Copied:
    """Turn an export into ``export_data``: environment.yml, sql/ and manifest.json.

    ``exclude`` are packages to leave out of the environment, ``evidence`` is what channels told of it. ``progress``
    is called with the bytes of the SQL files that were read since the last call. Nothing is done where sources and
    results are what they were.

    Raises `UserError` for an export that is missing, damaged or cannot be kept without loss; ``export_data``
    is then as it was.
    """
    try:
        export_data.mkdir(parents=True, exist_ok=True)
        with only_one(export_data, "invoke copy_files"):
            recover(export_data, _WRITTEN)
            paths = sql_files(paper_dir)
            text, options = made_of(paper_dir, export_data, paper_id, exclude)
            found = examine_export(paper_dir, paths, text)
            if found.lost:
                raise found.lost
            proof = read_proof(paper_dir)
            environment, changes = make_installable(text, **options, evidence=evidence)
            copied = _copy(
                paths, paper_dir, export_data, paper_id, environment, changes, progress, found.version, proof
            )
            if proof and not any(table.digest for table in copied.manifest.tables):
                found.warnings.append(NOT_OF_THIS_DUMP)
            return replace(copied, warnings=found.warnings)
    except OSError as error:
        raise disk_error(error, export_data) from error


def _copy(
    paths: list[Path],
    paper_dir: Path,
    export_data: Path,
    paper_id: str,
    environment: str,
    changes: Sequence[Change],
    progress: Callable[[int], None] | None,
    version: str | None,
    proof: Proof | None,
) -> Copied:
    others = (*(paper_dir / name for name in (FILE, VERSION_FILE, PROOF_FILE)), export_data / OVERRIDE_FILE)
    read = [*paths, *(path for path in others if path.is_file())]
    last = read_manifest(export_data)
    before = stamps(paths)
    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(_fingerprints, read)  # hashing leaves Python's lock to what goes on meanwhile
        if (
            last
            and last.paper_id == paper_id
            and _sizes(read) == [source.bytes for source in last.sources]
            and _is_whole(export_data, last, environment)
            and last.export_hash == _export_hash(reading.result(), environment)
        ):
            return Copied(last, changed=False)
        with replaced_contents(export_data, _WRITTEN) as folder:
            cleaned = clean_to_folder(paths, folder / "sql", progress)
            (folder / FILE).write_text(environment, encoding="utf-8", newline="\n")
            seed = seed_id(folder, cleaned.digests)
            sources = reading.result()
            refuse_changed(paths, before)
            manifest = Manifest(
                paper_id=paper_id,
                spyglass_version=version,
                export_hash=_export_hash(sources, environment),
                seed_id=seed,
                sources=sources,
                tables=_tables(cleaned, proof, sources[: len(paths)]),
                files={
                    path.relative_to(folder).as_posix(): path.stat().st_size
                    for path in sorted(folder.rglob("*"))
                    if path.is_file()
                },
                # The manifest is in the database's image.
                changes=[one.for_readers(kind_of_credential) for one in (*changes, *cleaned.changes)],
            )
            manifest.write(folder)
    return Copied(manifest, changed=True)


def _tables(cleaned: CleanDump, proof: Proof | None, dumps: Sequence[SourceFile]) -> list[ExportedTable]:
    """The tables, with what the source server said of them where the proof is of all these dumps."""
    is_proven = proof and all(proof.dumps.get(dump.name) == dump.sha256 for dump in dumps)
    proven = proof.tables if proof and is_proven else {}
    tables = []
    for table in cleaned.tables:
        said = proven.get(f"{table.schema}.{table.name}")
        file = table.file and f"sql/{table.file}"
        own = (said.rows, said.digest) if said else (None, None)
        tables.append(ExportedTable(table.schema, table.name, file, table.size, *own))
    return tables


def _sizes(paths: Sequence[Path]) -> list[int]:
    return [path.stat().st_size for path in paths]


def _fingerprints(paths: Sequence[Path]) -> list[SourceFile]:
    return [SourceFile(path.name, path.stat().st_size, sha256(path)) for path in paths]


def _export_hash(sources: Sequence[SourceFile], environment: str) -> str:
    parts = [str(CLEANER_FORMAT), environment, *(f"{source.name} {source.sha256}" for source in sources)]
    return sha256_of(*parts)


def _is_whole(export_data: Path, manifest: Manifest, environment: str) -> bool:
    """Whether everything that was written is still there, as it was."""
    return (
        all((export_data / name).is_file() for name in manifest.files)
        and seed_id(export_data) == manifest.seed_id
        and (export_data / FILE).read_bytes() == environment.encode()
    )
