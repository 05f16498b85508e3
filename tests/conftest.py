"""What happens around every test: the network is off, and nothing of one test is left when the next begins.

The people tests speak of are in `cast.py`. A test that touches the database from the event loop or from threads says
`@pytest.mark.django_db(transaction=True)`: only what is committed can be seen across connections.
"""

import signal
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from django.conf import settings
from django.core.cache import cache
from django.db import connection, connections
from django.utils import translation
from huey.contrib.djhuey import HUEY

from chatplatform.kernel import background, db, outbound, ratelimit, redis
from tests.harness import fetched, network, servers

pytest_plugins = ["tests.cast"]

network.switch_off()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs several processes where there is no Redis to join them: the other stage runs it."""
    if settings.REDIS_URL:
        return
    left_out = [item for item in items if item.get_closest_marker("workers")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """The test database; before it is dropped, whoever is still connected to it is sent away."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(autouse=True)
async def nothing_left_behind() -> AsyncIterator[None]:
    """End the tasks, threads and connections a test leaves, and empty what outlives it: counters, cache, jobs.

    It comes after the test's own fixtures are gone and before the database is emptied, which an open transaction in
    another thread would hold up.
    """
    network.refused.clear()
    yield
    await background.cancel_all()
    db.close_pool()
    await sync_to_async(connections.close_all)()
    await outbound.close()
    await redis.close()
    ratelimit.forget_everything()
    HUEY.flush()
    cache.clear()
    channel_layers.backends.clear()
    if network.refused:
        pytest.fail(str(network.NetworkIsOff(", ".join(network.refused))))


@pytest.fixture(autouse=True)
def nobodys_language() -> None:
    """A request in Chinese makes Chinese the language of its thread, which is the tests' own: take it back."""
    translation.deactivate()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; where there is none, the test fails and says how to get it."""
    path = fetched.chromium()
    if path is None:
        pytest.fail(fetched.HOW_TO_GET_CHROMIUM)
    return path


@pytest.fixture(scope="session")
def mock_ai_api() -> Iterator[str]:
    """The address of somebody else's OpenAI-compatible mock; models end in `:mock-text`, `:mock-401` and so on."""
    python = str(fetched.beside(fetched.MOCK))
    port = servers.free_port()

    def answers() -> None:
        urllib.request.urlopen(f"http://{servers.HOST}:{port}/health", timeout=2).close()

    command = [python, "-m", "uvicorn", "app.openai_app:app", "--host", servers.HOST]
    with servers.folder() as home:
        log = home / "log"
        with servers.running([*command, f"--port={port}"], log=log, answers=answers, stop=signal.SIGTERM, cwd=home):
            yield f"http://{servers.HOST}:{port}/v1"
