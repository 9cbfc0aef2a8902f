"""The author's own passwords and keys, found in whatever form JSON, Python, a URL, HTML or base64 gives them."""

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from dotenv import dotenv_values
from stringzilla import File, Str

from spyglass_export.notebooks.files import left_out
from spyglass_export.settings import DECLARED, Settings

# Shorter ones are found by chance.
SHORTEST = 4
_SECRET_SETTING = re.compile(r"PASS|PWD|TOKEN|SECRET|KEY|CREDENTIAL", re.IGNORECASE)
_ESCAPE = re.compile(
    r"\\+(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|u\{[0-9a-fA-F]{1,6}\}|x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL
)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": ""}


def own_secrets(settings: Settings) -> dict[str, str]:
    """Give the values that must not leave, by where they come from: `.env`, and DataJoint's configuration.

    The paper's ID is none: every reader gets it as the password.
    """
    given = dotenv_values(settings.root / ".env", encoding="utf-8-sig")
    found = {name: value or "" for name, value in given.items() if _SECRET_SETTING.search(name)}
    found |= {name: getattr(settings, name.lower()) for name, one in DECLARED.items() if one.secret}
    files = [settings.notebooks / name for name in left_out(settings.notebooks) if name.endswith(".json")]
    for file in (*files, settings.root / "dj_local_conf.json", Path.home() / ".datajoint_config.json"):
        try:
            found[f"the password in {file.name}"] = json.loads(file.read_text(encoding="utf-8"))["database.password"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # there is none
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str) and len(value) >= SHORTEST and value.lower() != settings.paper_id.lower()
    }


def plain(text: str) -> str:
    """Undo escapes of JSON, Python and SQL, percent signs and HTML's entities, as often as they are nested."""
    for _ in range(3):
        before = text
        if "\\" in text:
            text = _ESCAPE.sub(_character, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "%" in text:
            text = unquote(text)
        if "&" in text:
            text = html.unescape(text)
        if text == before:
            break
    return text


def _character(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "uUx" and len(code) > 1:
        number = int(code[1:], 16)
        return chr(number) if number < 0x110000 else ""
    return chr(int(code, 8)) if code[0] in "01234567" else _NAMED.get(code, code)


def _is_word(value: str) -> bool:
    """Whether prose may hold it without meaning the password, as `tutorial`."""
    return len(value) < 8 or (value.isalpha() and value.islower())


def _encoded(value: str) -> Iterator[str]:
    """The value inside a longer text in base64, at each of the three places where it may begin, and in hexadecimal."""
    for data in (value.encode(), value.encode("utf-16-le")):
        yield data.hex()
        yield data.hex().upper()
        for before in range(3):
            start, end = (0, 2, 3)[before], (before + len(data)) // 3 * 4
            for encode in (b64encode, urlsafe_b64encode):
                if end - start >= 8:
                    yield encode(b"\0" * before + data)[start:end].decode()


def names_in(text: str, secrets: Mapping[str, str]) -> list[str]:
    """Name the secrets that a text holds in any form."""
    if not secrets:
        return []
    text, bare = f"{text}\n{plain(text)}", re.sub(r"\s|\\n", "", text)
    found = []
    for name, value in secrets.items():
        as_bytes = value.encode().decode("latin-1")  # as in Python's b'\xc3\xa9'
        forms = {value, plain(value), as_bytes, plain(as_bytes), value.replace(" ", "+"), value.replace("'", "''")}
        if _is_word(value):
            word = f"(?:{'|'.join(map(re.escape, sorted(forms)))})"
            is_there = bool(re.search(rf"(['\"`]){word}\1|:{word}@|[\w\]]={word}(?!\w)", text))
        else:
            is_there = any(form in text for form in forms) or any(form in bare for form in _encoded(value))
        if is_there:
            found.append(name)
    return found


def names_in_file(file: Path, secrets: Mapping[str, str]) -> list[str]:
    """Name the secrets that a file of any size and kind holds as they are, or in one usual form."""
    content = Str(File(str(file)))  # mapped into memory, and not read at once
    found = []
    for name, value in secrets.items():
        texts = (value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value, safe=""), *_encoded(value))
        forms = {value.encode("utf-16-le"), *(text.encode() for text in texts)}
        if not _is_word(value) and any(form in content for form in forms):
            found.append(name)
    return found
