"""From tokens to money: exact, in the currency of the price, and None where the price is not known."""

from decimal import Decimal
from typing import Protocol

from providers.completion import Usage


class Prices(Protocol):
    """Prices per million tokens: a model's, or those that a call began with."""

    @property
    def input_price(self) -> Decimal | None: ...
    @property
    def output_price(self) -> Decimal | None: ...


def cost(prices: Prices, usage: Usage) -> Decimal | None:
    """What a call costs. Cached tokens cost what other input does: no cheaper price is known."""
    if prices.input_price is None or prices.output_price is None:
        return None
    return (usage.input_tokens * prices.input_price + usage.output_tokens * prices.output_price) / 1_000_000
