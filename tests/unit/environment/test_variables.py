"""`variables:` of an environment: what the paper needs stays, the lab's goes, named and never told."""

import pytest

from spyglass_export.environment.installable import left_out, make_installable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", "sk-123"),
        ("HF", "hf_abcdefgh"),
        ("WANDB", "0123456789abcdef0123456789abcdef01234567"),
        ("MIRROR", "https://ada:pw@mirror.test/simple"),
        ("DJ_PASS", "x"),
        ("SPYGLASS_BASE_DIR", "data"),
        ("HTTPS_PROXY", "proxy.test:3128"),
        ("LD_LIBRARY_PATH", "/home/ada/lib"),
        ("PYTHONPATH", "src:/stelmo/code"),
        ("DATA", r"D:\data"),
        ("CACHE", "~/cache"),
        ("SHARE", r"\\server\share"),
        ("CUDA_VISIBLE_DEVICES", "2"),
        ("JAX_PLATFORMS", "cuda,cpu"),
    ],
)
def test_what_is_the_labs_goes(name: str, value: str) -> None:
    assert [*left_out({name: value})] == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
        ("OMP_NUM_THREADS", 4),
        ("JAX_PLATFORMS", "cpu"),
        ("MPLBACKEND", "agg"),
        ("HDF5_USE_FILE_LOCKING", "FALSE"),
        ("KERAS_BACKEND", "tensorflow"),
        ("TMPDIR", "/tmp"),
        ("DOCS", "https://example.org/docs"),
    ],
)
def test_what_a_paper_needs_stays(name: str, value: object) -> None:
    assert left_out({name: value}) == {}


def test_they_are_listed_by_name_and_never_by_value() -> None:
    exported = (
        "name: lab\ndependencies:\n  - python\n  - ipykernel\nvariables:\n  A_TOKEN: hunter2\n  MPLBACKEND: agg\n"
    )
    text, changes = make_installable(exported, name="lab")
    assert text == exported.replace("  A_TOKEN: hunter2\n", "")
    assert [(change.kind, change.where) for change in changes] == [("variable", "A_TOKEN")]
    assert "hunter2" not in str(changes)
