"""The whole product, from socket to stream, in front of vendors that nobody here wrote or that do everything wrong."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from chatplatform.kernel.db import in_db
from chatplatform.kernel.secret import Secret
from providers.models import AIModel
from tests.conversations.conftest import catalogue, knock, socket
from tests.vendor_server import FaultServer

__all__ = ["catalogue", "knock", "socket"]

VENDOR = "custom"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs half a gigabyte of somebody else's packages, unless it is asked for: `make interop`."""
    if "litellm" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("litellm")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def vendor_at(settings: Settings) -> Callable[..., None]:
    """`vendor_at(address)`: the operator's settings name this server, with or without a key."""

    def vendor_at(address: str, key: str | None = None) -> None:
        settings.VENDOR_ADDRESSES = {VENDOR: address}
        settings.VENDOR_KEYS = {VENDOR: Secret(key)} if key else {}
        settings.DEFAULT_MODEL = ""

    return vendor_at


@pytest.fixture
def faults(vendor_at: Callable[..., None]) -> Iterator[FaultServer]:
    """A vendor whose models are named by what goes wrong with them."""
    with FaultServer() as server:
        vendor_at(server.base_url)
        yield server


@pytest.fixture
def model(transactional_db: None) -> Callable[..., object]:
    """`await model("eof-clean")`: that model of the vendor's is in the catalogue; its name for a message."""

    async def model(name: str) -> str:
        await in_db(_enter, name)
        return f"{VENDOR}/{name}"

    return model


def _enter(name: str) -> None:
    AIModel.objects.create(vendor=VENDOR, name=name, display_name=name, context_length=8192)
