"""Exit status 0 if the server in this container answers `GET /health`. Without Django: it runs every ten seconds."""

import os
import sys
from http.client import HTTPConnection, HTTPException

# The server only listens to the names it was given, and may send plain http away to https.
host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".").replace("*", "") or "localhost"
connection = HTTPConnection("127.0.0.1", int(os.environ.get("PORT") or 8000), timeout=4)
try:
    connection.request("GET", "/health", headers={"Host": host, "X-Forwarded-Proto": "https"})
    status = connection.getresponse().status
except (OSError, HTTPException) as exc:
    sys.exit(f"/health: {exc!r}")
if status != 200:
    sys.exit(f"/health answered {status}")
