"""The promise every dialect keeps."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import ClassVar

from chatplatform.kernel.secret import Secret
from providers.completion import ModelInfo, Prompt, StreamEvent
from providers.vendors import Vendor


@dataclass(frozen=True)
class Endpoint:
    """Where a call goes and with which key.

    `trusted` says that the address comes from the operator's settings or our own table; one that a person entered is
    not trusted, and the outbound guard refuses it when it leads into a private network.
    """

    vendor: Vendor
    base_url: str
    key: Secret | None = field(default=None, repr=False)
    trusted: bool = True


class Adapter(ABC):
    """One wire dialect: messages out, events in. Stateless, without a database; one instance serves everybody.

    - `stream` yields `TextDelta` and `ThinkingDelta` as they arrive, at most one `UsageReport`, and one `Finished`,
      last. A stream that ends without a finish reason raises `VendorTruncated`: it is never passed off as complete.
    - Closing the generator closes the vendor's connection at once.
    - Text is clean: no NUL, no lone surrogate, a surrogate pair never split.
    - Only `AppError`s come out, and never a vendor's own words.
    """

    dialect: ClassVar[str]

    @abstractmethod
    def stream(self, endpoint: Endpoint, model: str, prompt: Prompt) -> AsyncGenerator[StreamEvent, None]:
        """Ask `model` and yield what it answers."""

    @abstractmethod
    async def probe(self, endpoint: Endpoint) -> None:
        """Ask the cheapest question that needs the key. Returns if it is good; raises KeyRejected, KeyOutOfCredit or
        a VendorFailure (which says nothing about the key)."""

    @abstractmethod
    async def list_models(self, endpoint: Endpoint) -> list[ModelInfo]:
        """The models the vendor offers to this key."""
