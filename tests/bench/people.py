"""Makes people who are signed in, on the database of a server that is being measured, and prints their tokens.

    python -m tests.bench.people COUNT

Not through the door: signing up is limited by address, and hashing passwords is not what is measured.
"""

import json
import os
import sys
from uuid import uuid4

import django
from django.contrib.auth.hashers import make_password


def main(count: int) -> None:
    """Print a JSON list of access tokens, one person each."""
    from accounts.clients import Origin
    from accounts.models import User
    from accounts.services import tokens

    people = [User(email=f"{uuid4().hex}@example.com", password=make_password(None)) for _ in range(count)]
    User.objects.bulk_create(people)
    json.dump([tokens.issue(user=person, origin=Origin()).access_token for person in people], sys.stdout)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatplatform.settings")
    django.setup()
    main(int(sys.argv[1]))
