"""What a call costs is set aside before, accounted for once after, and exact."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from threading import Barrier
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from providers.completion import Usage
from providers.models import AIModel, UsageRecord
from providers.tasks import release_forgotten
from providers.usage import ledger
from providers.usage.pricing import cost
from providers.usage.reports import Total, held, spent

pytestmark = pytest.mark.django_db

State = UsageRecord.State


@pytest.fixture
def large(db: None) -> AIModel:
    """Three of the currency for a million tokens in, fifteen for a million out."""
    return AIModel.objects.create(
        vendor="deepseek",
        name="large",
        display_name="Large",
        context_length=64_000,
        max_output=8_000,
        input_price=Decimal(3),
        output_price=Decimal(15),
    )


def reserve(user, model, *, generation_id=None, attempt=1, prompt_tokens=1_000, most_output_tokens=2_000):
    return ledger.reserve(
        user_id=user.pk,
        model=model,
        generation_id=generation_id or uuid4(),
        attempt=attempt,
        prompt_tokens=prompt_tokens,
        most_output_tokens=most_output_tokens,
    )


def settle(record, usage, *, vendor="deepseek", key_id=None):
    return ledger.settle(
        generation_id=record.generation_id, attempt=record.attempt, usage=usage, vendor=vendor, key_id=key_id
    )


def release(record):
    return ledger.release(generation_id=record.generation_id, attempt=record.attempt)


def now(record):
    """The row as it is in the database."""
    return UsageRecord.objects.get(pk=record.pk)


def test_a_call_is_reserved_at_its_worst_and_settled_at_what_it_took(alice, large):
    begun, key_id = timezone.now(), uuid4()

    record = reserve(alice, large)

    # A quarter more of the prompt, which is an estimate; and all of the answer that was asked for.
    assert (record.reserved_tokens, now(record).reserved_cost) == (1_250 + 2_000, Decimal("0.03375"))
    assert held(alice.pk) == {"USD": Total(3_250, Decimal("0.03375"))}
    assert spent(alice.pk, begun) == {}

    usage = Usage(input_tokens=1_100, output_tokens=500, cached_tokens=600, thinking_tokens=200)
    assert settle(record, usage, key_id=key_id)

    record = now(record)
    assert (record.state, record.key_id, record.estimated) == (State.SETTLED, key_id, False)
    assert (record.input_tokens, record.output_tokens) == (1_100, 500)
    assert (record.cached_tokens, record.thinking_tokens) == (600, 200)
    assert (record.cost, record.currency) == (Decimal("0.0108"), "USD")
    assert begun <= record.created_at <= record.settled_at
    assert held(alice.pk) == {}
    assert spent(alice.pk, begun) == {"USD": Total(1_600, Decimal("0.0108"))}
    assert spent(alice.pk, timezone.now()) == {}


def test_what_no_vendor_answered_costs_nothing(alice, large):
    record = reserve(alice, large)

    assert release(record)

    record = now(record)
    assert (record.state, record.cost, record.input_tokens, record.output_tokens) == (State.RELEASED, 0, 0, 0)
    assert (held(alice.pk), spent(alice.pk, record.created_at)) == ({}, {})


def test_the_first_end_is_the_only_one(alice, large):
    first, second = reserve(alice, large), reserve(alice, large)

    assert settle(first, Usage(input_tokens=10, output_tokens=10))
    assert not settle(first, Usage(input_tokens=999, output_tokens=999))
    assert not release(first)
    assert now(first).cost == Decimal("0.00018")

    assert release(second)
    assert not settle(second, Usage(input_tokens=10, output_tokens=10))
    assert not release(second)
    assert now(second).cost == 0


def test_the_same_attempt_is_reserved_once_and_the_next_one_anew(alice, large):
    record = reserve(alice, large)

    assert reserve(alice, large, generation_id=record.generation_id, prompt_tokens=9) == record
    later = reserve(alice, large, generation_id=record.generation_id, attempt=2)
    assert settle(later, Usage(input_tokens=1))

    assert now(record).state == State.RESERVED
    assert (now(record).reserved_tokens, UsageRecord.objects.count()) == (3_250, 2)


@pytest.mark.django_db(transaction=True)
def test_of_fifty_who_reserve_and_settle_at_once_one_wins(alice, large):
    generation_id, together = uuid4(), Barrier(50)

    def one(number: int) -> tuple[UUID, bool]:
        together.wait()
        try:
            record = reserve(alice, large, generation_id=generation_id)
            return record.pk, settle(record, Usage(input_tokens=number, output_tokens=number))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as threads:
        rows, won = zip(*threads.map(one, range(50)), strict=True)

    (record,) = UsageRecord.objects.all()
    assert set(rows) == {record.pk}
    assert sum(won) == 1
    assert record.input_tokens == won.index(True)


def test_a_model_of_unknown_length_and_price_is_reserved_by_its_window(alice, large):
    large.max_output = large.input_price = None
    record = reserve(alice, large, most_output_tokens=None)

    assert settle(record, Usage(input_tokens=7, output_tokens=8))

    record = now(record)
    assert (record.reserved_tokens, record.reserved_cost, record.cost) == (1_250 + 64_000, None, None)
    assert spent(alice.pk, record.created_at) == {"USD": Total(15, Decimal(0))}


def test_without_a_limit_of_its_own_a_call_is_reserved_by_its_models(alice, large):
    assert reserve(alice, large, most_output_tokens=None).reserved_tokens == 1_250 + 8_000


def test_more_than_was_reserved_is_settled_as_reported_and_logged(alice, large, caplog):
    record = reserve(alice, large, prompt_tokens=100, most_output_tokens=100)
    assert settle(reserve(alice, large), Usage(input_tokens=1_250, output_tokens=2_000))
    assert caplog.records == []

    assert settle(record, Usage(input_tokens=100, output_tokens=10**9))
    assert not settle(record, Usage(input_tokens=100, output_tokens=10**9))

    assert now(record).cost == Decimal("15000.0003")
    (warning,) = caplog.records
    assert warning.generation == str(record.generation_id)
    assert "15000.0003 USD" in warning.settled


def test_what_was_never_reserved_is_not_settled_in_silence(alice, large, caplog):
    assert not settle(UsageRecord(generation_id=uuid4(), attempt=1), Usage(input_tokens=1))
    assert [entry.levelname for entry in caplog.records] == ["ERROR"]


def test_an_estimate_says_so(alice, large):
    record = reserve(alice, large)
    assert settle(record, Usage(input_tokens=5, output_tokens=5, estimated=True))
    assert now(record).estimated


def test_whoever_settles_for_a_lost_worker_finds_the_length_of_the_prompt(alice, large):
    record = reserve(alice, large)
    call = {"generation_id": record.generation_id, "attempt": record.attempt}

    assert ledger.reserved_prompt(**call) == 1_000
    assert settle(record, Usage(input_tokens=1_000, output_tokens=5, estimated=True), vendor="")

    assert (now(record).vendor, now(record).cost) == ("deepseek", Decimal("0.003075"))
    assert ledger.reserved_prompt(**call) == 0


def test_a_call_costs_what_it_did_when_it_began(alice, large):
    record = reserve(alice, large)
    AIModel.objects.update(input_price=Decimal(300), output_price=Decimal(1500), currency="CNY")

    assert settle(record, Usage(input_tokens=1_000, output_tokens=1_000))

    assert (now(record).cost, now(record).currency) == (Decimal("0.018"), "USD")


def test_a_row_outlives_its_model(alice, large):
    open_one, settled = reserve(alice, large), reserve(alice, large)
    settle(settled, Usage(input_tokens=1_000, output_tokens=1_000))
    large.delete()

    assert settle(open_one, Usage(input_tokens=2_000, output_tokens=0))

    rows = [now(open_one), now(settled)]
    assert [(row.model, row.vendor, row.model_name) for row in rows] == [(None, "deepseek", "large")] * 2
    assert [row.cost for row in rows] == [Decimal("0.006"), Decimal("0.018")]


def test_currencies_are_not_added_up_and_people_not_mixed(alice, bob, large):
    yuan = AIModel.objects.create(
        vendor="dashscope",
        name="yuan",
        display_name="Yuan",
        context_length=8_000,
        input_price=Decimal("0.8"),
        output_price=Decimal(2),
        currency="CNY",
    )
    begun = timezone.now()
    for person, model in ((alice, large), (alice, yuan), (alice, yuan), (bob, yuan)):
        settle(reserve(person, model), Usage(input_tokens=1_000, output_tokens=100))
    reserve(alice, yuan, prompt_tokens=100, most_output_tokens=1_000)
    reserve(bob, large)

    assert spent(alice.pk, begun) == {"USD": Total(1_100, Decimal("0.0045")), "CNY": Total(2_200, Decimal("0.002"))}
    assert spent(bob.pk, begun) == {"CNY": Total(1_100, Decimal("0.001"))}
    assert held(alice.pk) == {"CNY": Total(1_125, Decimal("0.0021"))}


def test_what_nobody_came_back_for_is_released(alice, large, settings):
    settings.GENERATION_SECONDS = 600
    at = timezone.now()
    with time_machine.travel(at - timedelta(minutes=71)):
        forgotten, settled = reserve(alice, large), reserve(alice, large)
        settle(settled, Usage(input_tokens=1_000))
    with time_machine.travel(at - timedelta(minutes=69)):
        running = reserve(alice, large)

    with time_machine.travel(at):
        assert release_forgotten() == 1
        assert release_forgotten() == 0

    assert [now(row).state for row in (forgotten, settled, running)] == [State.RELEASED, State.SETTLED, State.RESERVED]


@pytest.mark.slow
def test_two_thousand_calls_never_cost_more_than_was_reserved_and_are_exact(alice, large):
    chance, begun = random.Random(4711), timezone.now()
    exact = {}
    for _ in range(2_000):
        large.context_length = chance.randrange(1, 200_000)
        large.max_output = chance.choice((None, chance.randrange(1, 50_000)))
        input_price, output_price = chance.randrange(10**5), chance.randrange(10**5)
        large.input_price, large.output_price = Decimal(input_price) / 10_000, Decimal(output_price) / 10_000
        prompt_tokens, asked = chance.randrange(200_000), chance.choice((None, chance.randrange(1, 4_096)))
        usage = Usage(
            input_tokens=chance.randint(0, prompt_tokens * 5 // 4),
            output_tokens=chance.randint(0, asked or large.max_output or large.context_length),
        )
        record = reserve(alice, large, prompt_tokens=prompt_tokens, most_output_tokens=asked)
        assert settle(record, usage)
        exact[record.pk] = Fraction(usage.input_tokens * input_price + usage.output_tokens * output_price, 10**10)

    rows = list(UsageRecord.objects.all())
    assert all(isinstance(row.cost, Decimal) for row in rows)
    assert {row.pk: Fraction(row.cost) for row in rows} == exact
    assert [row for row in rows if row.cost > row.reserved_cost] == []
    assert [row for row in rows if row.input_tokens + row.output_tokens > row.reserved_tokens] == []
    assert Fraction(spent(alice.pk, begun)["USD"].cost) == sum(exact.values())


tokens = st.integers(0, 10**9)
prices = st.decimals(0, Decimal("99999999.9999"), places=4)


@given(tokens, tokens, prices, prices)
def test_money_is_exact_for_every_price_that_can_be_stored(input_tokens, output_tokens, input_price, output_price):
    model = AIModel(input_price=input_price, output_price=output_price)

    amount = cost(model, Usage(input_tokens=input_tokens, output_tokens=output_tokens))

    assert isinstance(amount, Decimal)
    per_million = input_tokens * Fraction(input_price) + output_tokens * Fraction(output_price)
    assert Fraction(amount) == per_million / 10**6
    UsageRecord._meta.get_field("cost").run_validators(amount)  # it fits into its column as it is


def test_operators_read_what_calls_cost(alice, bob, large):
    bob.is_staff = bob.is_superuser = True
    bob.save()
    desk = Client()
    desk.force_login(bob, backend="accounts.authentication.PasswordBackend")
    record = reserve(alice, large)
    settle(record, Usage(input_tokens=1_000, output_tokens=500))
    today = timezone.now()

    listed = desk.get(
        reverse("admin:providers_usagerecord_changelist"),
        {"q": str(record.generation_id), "state": "settled", "created_at__day": today.day}
        | {"created_at__month": today.month, "created_at__year": today.year},
    ).content.decode()
    one = desk.get(reverse("admin:providers_usagerecord_change", args=[record.pk])).content.decode()

    for page in (listed, one):
        assert "alice@example.com" in page
        assert "0.0105 USD" in page
    assert "1000 → 500" in listed
