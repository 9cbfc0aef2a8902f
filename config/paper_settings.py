"""Have DataJoint keep to the paper's database, stores and folders, whatever configuration file it reads.

DataJoint reads `dj_local_conf.json` of the working directory before `~/.datajoint_config.json`, and Spyglass' setup
writes the former beside notebooks, with the host, port, stores and folders of the lab. All else in it counts, such as
how tables are shown. Older tutorials load the file by name; where it is not there, the paper's takes its place.

Each Python of the paper's environment imports this at its start, by a `.pth` file, and pays for no import of DataJoint.
https://github.com/datajoint/datajoint-python/blob/v0.14.4/datajoint/settings.py
"""

import importlib.abc
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

SETTINGS = "datajoint.settings"
LOCAL_FILE = "dj_local_conf.json"


def keep_to_the_paper(settings: Any) -> None:
    """Lay the paper's settings over what DataJoint has read, now and whenever it reads a file."""
    file = Path.home() / ".datajoint_config.json"
    if not file.is_file():
        return
    paper = {
        name: value
        for name, value in json.loads(file.read_text(encoding="utf-8")).items()
        if name.startswith(("database.", "connection.")) or name in ("stores", "custom")
    }
    paper.setdefault("database.use_tls", None)
    load = settings.Config.load

    def load_and_keep(self: Any, filename: str | None = None) -> None:
        wanted = Path(filename or LOCAL_FILE)
        is_lost = wanted.name == LOCAL_FILE and not wanted.exists()
        load(self, str(file if is_lost else wanted))
        self._conf.update(paper)

    settings.Config.load = load_and_keep
    settings.config._conf.update(paper)


class AfterDataJoint(importlib.abc.MetaPathFinder):
    """Waits for DataJoint to read its settings."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find DataJoint's module of settings as others do, and follow its import by our own."""
        if name != SETTINGS:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(name)
        if found and found.loader:
            execute = found.loader.exec_module

            def execute_and_keep(module: Any) -> None:
                execute(module)
                if hasattr(module, "Config"):  # DataJoint before 2
                    keep_to_the_paper(module)

            found.loader.exec_module = execute_and_keep  # type: ignore[method-assign]
        return found


sys.meta_path.insert(0, AfterDataJoint())
