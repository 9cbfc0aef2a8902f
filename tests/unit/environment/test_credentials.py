import pytest

from spyglass_export.environment.credentials import find_credentials, private_addresses

CREDENTIALS = [
    "- https://conda.anaconda.org/t/abc12/lab",
    "- t/ab-1234/lab",
    "  - --extra-index-url https://index.lab.example/simple?token=s3cretpw",
    "  - --extra-index-url https://ada:s3/cretpw@index.lab.example/simple",
    "  - -i https://ada:word@[fd00::1]:8080/simple",
    "  - --index-url=https://s3cret@index.lab.example/simple",
    "  - -f https://lab.blob.core.windows.net/wheels/?sv=2024&sig=aB3%3D",
    "  - tool @ https://lab.s3.amazonaws.com/tool.whl?X-Amz-Signature=ab12",
    "  - tool @ https://storage.googleapis.com/lab/tool.whl?GoogleAccessId=a&Signature=ab12",
    "  - tool @ git+https://oauth2:glpat-0123456789abcdef@gitlab.com/lab/tool@v1",
    "  - git+ssh://ada:word@lab.example/tool",
    "  - --find-links https%3A%2F%2Fada%3Aword%40lab.example%2Fsimple",
    "  - https://index.fury.io/AbCdEfGhIjKlMnOp12/lab/",
    "# token for lab index: s3cretcomment ; password=hunter22",
    "  OPENAI_API_KEY: sk-0123",
    "  DB_PASSWORD: 'two words'",
    "variables: {GITHUB_TOKEN: ghp_x}",
    '- "https:\\x2f\\x2fada:word\\x40lab.example/conda"',
]
PUBLIC = [
    "- tokenizers=0.15.0",
    "- secretstorage=3.3.3=py311",
    "- token-bucket=0.2",
    "  - tool @ git+https://github.com/lab/tool@v1.0#egg=token",
    "  - tool @ git+https://github.com:443/lab/tool@v1.0",
    "  - tool @ git+ssh://git@github.com/lab/tool",
    "  - --extra-index-url https://${TOKEN}@index.lab.example/simple",
    "- https://conda.anaconda.org/t/<TOKEN>/lab",
    "  MKL_NUM_THREADS: 1",
    "# remember to renew the token",
]


@pytest.mark.parametrize("line", CREDENTIALS)
def test_a_credential_is_found_by_its_line_and_not_quoted(line: str) -> None:
    found = find_credentials(f"x:\n{line}\n")

    assert [*found] == [2]
    assert not any(word in found[2] for word in ("s3cret", "word@", "abc12", "hunter22"))


@pytest.mark.parametrize("line", PUBLIC)
def test_a_package_or_a_public_address_is_no_credential(line: str) -> None:
    assert find_credentials(f"x:\n{line}\n") == {}


def test_a_value_over_two_lines_is_read_as_yaml_does() -> None:
    assert [*find_credentials('channels:\n- "https://ada:wo\\\n  rd@lab.example/conda"\n')] == [2]


def test_an_index_that_is_not_public_is_named_by_host_and_line() -> None:
    text = "channels:\n- https://conda.anaconda.org/pytorch\n- http://ada:s3/cret@lab.example/conda\n"

    assert private_addresses(text) == {"lab.example": 3}
