"""Credentials in an environment file, and addresses that others may not reach; found by line, never quoted."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import yaml

# A value that only stands for one: ${TOKEN}, <TOKEN>, ***.
_STANDS_IN = r"(?!\$\{?\w|<|\*+(?:[@/&\s]|$))"
# `tokenizers` and `secretstorage` are packages.
_TELLING = (
    r"(?:(?:\w*_)?(?:token|secret|passphrase|pwd|credentials?|api[_-]?key|access[_-]?key)(?:_\w+)?|\w*passw(?:or)?d\w*)"
)
# Of this kind is what has a telling name before it, whatever it is; code and prose are full of those.
BY_NAME = "what looks like a password or token"
_KINDS = {
    "a user or a token before the host of an address": re.compile(
        # `git@` is everybody; `host:8080/path@version` is a port.
        rf"(?<![.\w])//(?!git@){_STANDS_IN}(?:[^\s'\"<>/@:]*:(?!\d{{1,5}}/){_STANDS_IN}[^\s'\"<>@]*@|[^\s'\"<>/@:?#]+@)[\w\[.-]"
    ),
    "a token in an address": re.compile(
        # https://docs.anaconda.com/anacondaorg/user-guide/work-with-accounts/ has conda's /t/TOKEN/; Gemfury's.
        rf"//[^/\s'\"]+/t/{_STANDS_IN}[^/\s'\"]+/|(?:^|[\s'\"-])t/{_STANDS_IN}[^/\s'\"]+/\w|/t/[^/\s<]{{6,}}/"
        r"|fury\.io/[\w-]{16,}/"
    ),
    "a token or signature in an address": re.compile(
        rf"[?&;#](?:sig|signature|auth|key|{_TELLING}|awsaccesskeyid|x-(?:amz|goog)-"
        rf"(?:signature|credential|security-token))={_STANDS_IN}[^\s&'\"]",
        re.IGNORECASE,
    ),
    "a token of a service": re.compile(
        r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|pypi-Ag[\w-]{30,}"
        r"|dckr_[op]at_[\w-]{20,}|xox[abpr]-[\w-]{10,}|sk-[\w-]{20,}|AIza[\w-]{35}|(?:AKIA|ASIA)[0-9A-Z]{16})\b"
    ),
    BY_NAME: re.compile(
        # `name: value` and `NAME=value`; in a comment with words between.
        rf"(?:^|[\s{{,;'\"])(?:export\s+)?{_TELLING}['\"]?\s*[:=](?!=)\s*{_STANDS_IN}[^\s=]"
        rf"|#.*\b{_TELLING}\b[^:=#]*[:=]\s*{_STANDS_IN}\S|\bauthorization\s*:|\bbearer\s+\S{{8,}}"
        r"|^\s+['\"]?\w*(?:_KEY|_PASS|_AUTH|_PAT)['\"]?\s*:\s*\S",
        re.IGNORECASE,
    ),
}
# A published digest, or the name of one, is none.
_HARMLESS = re.compile(r"#(?:egg|sha256|sha1|md5|subdirectory)=[\w.-]+")
_ADDRESS = re.compile(r"(?:[a-z]+\+)?(?:https?|ftp|ssh|git)://[^\s'\",\]]+", re.IGNORECASE)
_USER = re.compile(r"(?<=//)[^\s'\"]*@")
# Hosts of channels, indexes and repositories that everyone can read, by the domain that they are in; what is below
# one of them counts too.
_PUBLIC = {
    "org": "anaconda bioconda bitbucket codeberg conda-forge pyg pypi pythonhosted pytorch wxpython zenodo",
    "com": "anaconda figshare github githubusercontent gitlab googleapis nvidia openmmlab",
    **{"ai": "dgl", "co": "hf huggingface", "dev": "jax prefix", "io": "github osf readthedocs", "net": "sourceforge"},
    **{"aliyun.com": "mirrors", "python.org": "pypi", "tuna.tsinghua.edu.cn": "mirrors pypi", "ustc.edu.cn": "mirrors"},
}
_PUBLIC_HOSTS = tuple(f".{name}.{domain}" for domain, names in _PUBLIC.items() for name in names.split())


def without_user(address: str) -> str:
    """An address without the user, password or token before its host."""
    return _USER.sub("", address)


def kind_of_credential(text: str) -> str:
    """What kind of credential a line of text holds, also one that is URL-encoded; empty where it holds none."""
    for form in dict.fromkeys((text, unquote(text))):
        form = _HARMLESS.sub("", form)
        if kind := next((kind for kind, pattern in _KINDS.items() if pattern.search(form)), ""):
            return kind
    return ""


def find_credentials(text: str) -> dict[int, str]:
    """Give every line of an environment file, or of a list of packages, that holds a credential, and its kind."""
    found = {number: kind for number, line in enumerate(text.splitlines(), 1) if (kind := kind_of_credential(line))}
    for lines, value in _values(text):
        if not found.keys() & set(lines) and (kind := kind_of_credential(value)):
            found[lines[0]] = kind
    return dict(sorted(found.items()))


def _values(text: str) -> Iterator[tuple[range, str]]:
    """What YAML makes of each value, without line breaks and escapes that would hide it, and its lines."""
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.ScalarEvent) and event.start_mark and event.end_mark:
                yield range(event.start_mark.line + 1, event.end_mark.line + 2), event.value
    except yaml.YAMLError:
        return  # its lines were looked at


def private_addresses(text: str) -> dict[str, int]:
    """Give the hosts of an environment file that are not known to be public, with the line of each, from 1."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for address in _ADDRESS.findall(line.split(" #")[0] if not line.lstrip().startswith("#") else ""):
            try:
                host = urlsplit(without_user(address) if kind_of_credential(address) else address).hostname or ""
            except ValueError:
                host = "an address that cannot be read"
            if not f".{host}".endswith(_PUBLIC_HOSTS):
                found.setdefault(host, number)
    return found
