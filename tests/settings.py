"""The settings of the tests: the product's own, with nobody's keys and in a folder that is thrown away.

Of the environment only DATABASE_URL and REDIS_URL count. Every other variable is blanked, which is the same as not
set, so that neither a `.env` file nor a shell with real keys reaches a test or a server that a test starts.
"""

import os
import re
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = re.findall(r"^([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)

for _name in (*VARIABLES, *(f"{name}_FILE" for name in VARIABLES)):
    os.environ[_name] = os.environ.get(_name, "") if _name in {"DATABASE_URL", "REDIS_URL"} else ""

_folder = tempfile.TemporaryDirectory(prefix="chatplatform-tests-", ignore_cleanup_errors=True)
os.environ["DATA_DIR"] = _folder.name
os.environ["LOG_LEVEL"] = "WARNING"

from chatplatform.settings import *  # noqa: E402, F403  (it reads the environment that was prepared above)
