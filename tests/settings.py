"""The settings of the tests: the product's own, with nobody's keys and in a folder that is thrown away.

Of the environment only DATABASE_URL and REDIS_URL count. Every other variable is blanked, which is the same as not
set, so that neither a `.env` file nor a shell with real keys reaches a test or a server that a test starts.
"""

import os
import re
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)

for _name in (*VARIABLES, *(f"{name}_FILE" for name in VARIABLES)):
    os.environ[_name] = os.environ.get(_name, "") if _name in {"DATABASE_URL", "REDIS_URL"} else ""

_folder = tempfile.TemporaryDirectory(prefix="chatplatform-tests-", ignore_cleanup_errors=True)
os.environ["DATA_DIR"] = _folder.name
os.environ["LOG_LEVEL"] = "WARNING"

# Tests in two processes share a Redis server, and each empties its database.
if (_redis := urlsplit(os.environ.get("REDIS_URL", ""))).scheme in {"redis", "rediss"}:
    _worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    _database = int(_redis.path.strip("/") or 0) + _worker
    os.environ["REDIS_URL"] = _redis._replace(path=f"/{_database}").geturl()

from chatplatform.settings import *  # noqa: E402, F403  (it reads the environment that was prepared above)
