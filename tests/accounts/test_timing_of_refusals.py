"""How long a refusal takes does not tell whether there is such an account.

Measured in the processor's time, which other work on the machine does not lengthen.
"""

import time
from statistics import median

import pytest

from accounts.models import User
from tests.cast import Api

pytestmark = pytest.mark.django_db


@pytest.mark.slow
def test_every_refusal_costs_one_hash(alice, bob):
    User.objects.filter(pk=bob.pk).update(status=User.Status.SUSPENDED)
    User.objects.create_user(email="dora@example.com")
    took = {name: [] for name in ("alice", "bob", "dora", "nobody")}

    for round_ in range(5):
        for name, seconds in took.items():
            client = Api(REMOTE_ADDR=f"192.0.{round_}.1")
            begin = time.process_time()
            assert client.post("/api/v1/auth/login", {"email": f"{name}@example.com", "password": "x"}).status == 401
            seconds.append(time.process_time() - begin)

    fastest, slowest = min(map(median, took.values())), max(map(median, took.values()))
    # Without the dummy hash the difference is more than tenfold.
    assert slowest < 2 * fastest
