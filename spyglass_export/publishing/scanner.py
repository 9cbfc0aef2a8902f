"""Passwords, keys and tokens in a text: by detect-secrets, and in the forms that DataJoint, DANDI and shells give them.

No find carries the value: what must not leave is never printed.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from spyglass_export.environment.credentials import BY_NAME, kind_of_credential

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

# They take figures, hashes and numbers for secrets, of which notebooks are full.
NOISY = {"Base64 High Entropy String", "Hex High Entropy String", "Public IP (ipv4)", "Artifactory Credentials"}
KEYWORD = "Secret Keyword"
PRAGMA = re.compile(r"pragma: ?allowlist[ -](nextline[ -])?secret")

# Only lines with one of these are looked at closely: it makes gigabytes of numbers cheap.
_MARKS = re.compile(
    r"passw|passp|_pass|pwd|secret|token|key|contrase|conn\(|mysql|://|auth|bearer|akia|asia|a3t|abia|acca|xox|_live_|sq0"
    r"|sg\.|eyj|-us\d|t3blbk|putty|age[a-z]|gh[pousr]_|github_pat|glpat|hf_|sk-|aiza|dckr|[^0-9a-z](?:ac|sk)[0-9a-f]{8}"
    r"|\d:[a-z0-9_-]{30}|[mno][\w-]{23}|[0-9a-f]{40}",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"\W*|your.*|my[_-]?(?:password|key|token)|x+|pass(?:word|wd)?|secret|token|change.?me|tutorial|none|null|true"
    r"|false|enter .*|todo.*|redacted|hidden|(?:dandi_)?api_?key|[{<$].*|[/~].*|\.\.?/.*|\S+(?:\s+\S+){5,}"
    r"|(?-i:[A-Z]+(?:_[A-Z]+)+)",
    re.IGNORECASE | re.DOTALL,
)
_VALUE = r"(?P<value>[^'\"\s]{4,})"
_PASSWORDS = (
    # dj.conn(host, user, "password"); smtp.login("ada", "…"), auth=("ada", "…"), HTTPBasicAuth("ada", "…")
    re.compile(rf"(?:\bconn\(\s*[^,()]+,|(?:\blogin|BasicAuth|\bauth=)\s*\()\s*[^,()=]+,\s*['\"]{_VALUE}['\"]"),
    re.compile(r"\bbearer\s+(?P<value>[\w.~+/-]{16,})", re.IGNORECASE),
    # password: …, API_KEY=…: without quotes only what has letters and digits
    re.compile(
        r"(?:passw(?:or)?d|passphrase|token|secret|api_?key)\b['\"]?(?::\s*|=)"
        r"(?P<value>(?=[^\s'\"]*\d)(?=[^\s'\"]*[a-z])[^\s'\",;()\[\]{}]{8,})(?=[\s'\",;]|$)",
        re.IGNORECASE,
    ),
    # os.environ["DJ_PASS"] = "…", environ.setdefault("DJ_PASS", "…"), dict(DJ_PASS="…")
    re.compile(rf"(?:DJ_PASS|MYSQL_PWD|\w*_PASS)\b['\"\]]*\s*[=:,]\s*['\"]{_VALUE}['\"]"),
    # %env DJ_PASS=…, !export MYSQL_PWD=…, a line of a shell script
    re.compile(
        rf"^\s*(?:%(?:set_)?env|[!%]*\s*(?:export|set|env|setx)?)\s+?(?:\w*(?:PASS|PASSWORD|PWD|TOKEN|SECRET|_KEY))"
        rf"(?:=|\s+(?==?\S)=?){_VALUE}",
    ),
    re.compile(rf"\bmysql(?:dump|admin|sh|import)?\b.*\s(?:-p|--password[= ])['\"]?{_VALUE}"),
    # pw = "…", auth_token: "…"; tokenizers have names without a digit
    re.compile(
        rf"(?:\b|_)(?:token|passphrase|passcode|passwd|pw)['\"\]]*\s*[:=]\s*['\"](?=[^'\"]*\d){_VALUE}['\"]", re.I
    ),
)
# https://docs.dandiarchive.org/: a key is 40 hexadecimal digits, as are git's commits and SHA-1.
_FORTY = re.compile(r"(?<![0-9a-zA-Z@/:#.+_-])[0-9a-f]{40}(?![0-9a-zA-Z])")
_OF_A_KEY = re.compile(r"dandi|key|token|auth|login|passw|secret", re.IGNORECASE)
_OF_A_HASH = re.compile(r"sha-?1|commit|revision|\brev\b|hash|digest|checksum|etag|\bgit\b", re.IGNORECASE)
# A signature of these two lives for a week at most: outputs of streaming are full of them.
_SHORT_LIVED = re.compile(r"[?&]X-(?:Amz|Goog)-[\w-]+=[^\s&'\"<>]*", re.IGNORECASE)
# Discourse's pages have /t/TITLE.
_NOT_CONDA = re.compile(r"//(?![^/\s]*conda)[^/\s]+/t/(?![a-z]{2}-[0-9a-f]{8})")
_EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")
_LONGEST_LINE = 4000


@cache
def _plugins() -> "list[BasePlugin]":
    # 0.2 s, which no other command should wait for
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    known: dict[str, Any] = dict(get_mapping_from_secret_type_to_class())
    return [plugin() for kind, plugin in known.items() if kind not in NOISY]


def find_secrets(text: str, name: str, harmless: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
    """Give the lines of a text, from 1, that hold a secret, with its kind.

    The end of ``name`` tells the language. A line with `pragma: allowlist secret`, or below one with `pragma:
    allowlist nextline secret`, is left alone, and so is a password that is one of ``harmless``.
    """
    text = _EMBEDDED.sub("", text)
    about_dandi, lines = "dandi" in text.lower(), text.split("\n")
    for number, line in enumerate(lines, 1):
        if not _MARKS.search(line):
            continue
        here, above = PRAGMA.search(line), PRAGMA.search(lines[number - 2] if number > 1 else "")
        if (here and not here[1]) or (above and above[1]):
            continue
        pieces = (line[at : at + _LONGEST_LINE] for at in range(0, len(line), _LONGEST_LINE - 200))
        if kind := next(filter(None, (_kind(one, name, harmless, about_dandi) for one in pieces)), ""):
            yield number, kind


def _kind(line: str, name: str, harmless: frozenset[str], about_dandi: bool) -> str:
    if _FORTY.search(line) and (_OF_A_KEY.search(line) or (about_dandi and not _OF_A_HASH.search(line))):
        return "what looks like a DANDI API key"
    for plugin in _plugins():
        for found in plugin.analyze_line(filename=name, line=line, line_number=1):
            value = found.secret_value or ""
            if _PLACEHOLDER.fullmatch(value) or (found.type == KEYWORD and value in harmless):
                continue
            return "a password or key" if found.type == KEYWORD else found.type
    for pattern in _PASSWORDS:
        for match in pattern.finditer(line):
            if match["value"] not in harmless and not _PLACEHOLDER.fullmatch(match["value"]):
                return "a password or key"
    kind = kind_of_credential(_NOT_CONDA.sub("", _SHORT_LIVED.sub("", line)))
    return "" if kind == BY_NAME else kind
