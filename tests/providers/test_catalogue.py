"""Which models there are, and for whom."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError
from django.utils import translation
from pytest_django import Settings

from accounts.models import User
from chatplatform.kernel.errors import ModelNotFound
from chatplatform.kernel.secret import Secret
from keyvault.models import Outcome
from keyvault.services import add_key, report_outcome
from providers.catalogue import default_model, endpoints_for, model_for, offered, vendors
from providers.models import AIModel, VendorSetting

pytestmark = pytest.mark.django_db

OPERATORS, OWN, OTHER = Secret("sk-operators-key"), Secret("sk-alices-own-key"), Secret("sk-another-key")
PUBLIC = "https://api.openai.com/v1"


def make_model(qualified: str, **facts: Any) -> AIModel:
    vendor, _, name = qualified.partition("/")
    return AIModel.objects.create(
        **{"vendor": vendor, "name": name, "display_name": name, "context_length": 8192} | facts
    )


@pytest.fixture(autouse=True)
def nobody_has_a_key(settings: Settings) -> None:
    settings.VENDOR_KEYS, settings.VENDOR_ADDRESSES, settings.DEFAULT_MODEL = {}, {}, ""


def names(models: Iterable[AIModel]) -> list[str]:
    return [model.qualified_name for model in models]


# --- what is offered -------------------------------------------------------


def test_a_vendor_without_a_key_is_not_offered(alice: User) -> None:
    make_model("openai/gpt-4o")
    make_model("scripted/echo")

    assert names(offered(alice)) == ["scripted/echo"]
    with pytest.raises(ModelNotFound):
        model_for(alice, "openai/gpt-4o")


def test_the_operators_key_offers_a_vendor_to_everybody(alice: User, bob: User, settings: Settings) -> None:
    make_model("openai/gpt-4o")
    settings.VENDOR_KEYS = {"openai": OPERATORS}

    assert names(offered(alice)) == names(offered(bob)) == ["openai/gpt-4o"]


def test_a_persons_own_key_offers_a_vendor_to_that_person_alone(alice: User, bob: User) -> None:
    make_model("openai/gpt-4o")
    add_key(user=alice, vendor="openai", api_key=OWN, base_url=PUBLIC)

    assert names(offered(alice)) == ["openai/gpt-4o"]
    assert not offered(bob)


def test_a_key_that_its_vendor_refused_offers_nothing(alice: User) -> None:
    make_model("openai/gpt-4o")
    key = add_key(user=alice, vendor="openai", api_key=OWN, base_url=PUBLIC)
    report_outcome(key_id=key.pk, outcome=Outcome.INVALID)

    assert not offered(alice)


def test_a_vendor_that_needs_no_key_is_offered_as_soon_as_it_has_an_address(alice: User, settings: Settings) -> None:
    make_model("ollama/qwen3:8b")
    assert not offered(alice)

    settings.VENDOR_ADDRESSES = {"ollama": "http://127.0.0.1:11434/v1"}
    assert names(offered(alice)) == ["ollama/qwen3:8b"]


def test_a_model_that_is_switched_off_is_not_offered(alice: User) -> None:
    model = make_model("scripted/echo", is_active=False)

    with pytest.raises(ModelNotFound):
        model_for(alice, model.pk)


def test_a_vendor_that_is_switched_off_is_not_offered_even_to_who_has_a_key(alice: User) -> None:
    model = make_model("openai/gpt-4o")
    add_key(user=alice, vendor="openai", api_key=OWN, base_url=PUBLIC)
    VendorSetting.objects.create(slug="openai", enabled=False)

    assert not offered(alice)
    with pytest.raises(ModelNotFound):
        endpoints_for(alice.pk, model)


def test_a_new_vendor_that_copies_openai_is_one_row(alice: User) -> None:
    VendorSetting.objects.create(slug="together", base_url="https://api.together.example/v1", display_name="Together")
    model = make_model("together/llama")
    add_key(user=alice, vendor="together", api_key=OWN, base_url="https://api.together.example/v1")

    assert names(offered(alice)) == ["together/llama"]
    [candidate] = endpoints_for(alice.pk, model)
    assert (candidate.endpoint.vendor.slug, candidate.endpoint.vendor.dialect) == ("together", "openai")
    assert (candidate.endpoint.base_url, candidate.endpoint.trusted) == ("https://api.together.example/v1", True)


def test_a_vendor_has_its_name_in_the_language_of_the_reader() -> None:
    with translation.override("zh-hans"):
        assert str(vendors()["dashscope"].name) == "阿里云百炼"
    with translation.override("en"):
        assert str(vendors()["dashscope"].name) == "Alibaba Cloud Model Studio"


# --- naming a model --------------------------------------------------------


def test_a_model_is_named_by_id_by_qualified_name_or_by_bare_name(alice: User) -> None:
    echo = make_model("scripted/echo")

    for reference in (echo.pk, str(echo.pk), "scripted/echo", "echo"):
        assert model_for(alice, reference) == echo


def test_a_name_may_hold_further_slashes(alice: User, settings: Settings) -> None:
    settings.VENDOR_KEYS = {"openrouter": OPERATORS}
    resold = make_model("openrouter/openai/gpt-4o")
    make_model("openai/gpt-4o")  # not offered: nobody has a key

    assert model_for(alice, "openrouter/openai/gpt-4o") == resold
    assert model_for(alice, "openai/gpt-4o") == resold


def test_the_vendor_of_a_qualified_name_wins_over_a_reseller(alice: User, settings: Settings) -> None:
    settings.VENDOR_KEYS = {"openrouter": OPERATORS, "openai": OPERATORS}
    make_model("openrouter/openai/gpt-4o", position=1)
    original = make_model("openai/gpt-4o", position=2)

    assert model_for(alice, "openai/gpt-4o") == original


@pytest.mark.parametrize(
    "reference", ["nothing", "scripted/nothing", "x" * 70_000, "nul\0", UUID(int=7), str(UUID(int=7))]
)
def test_what_is_not_there_is_not_found(alice: User, reference: Any) -> None:
    make_model("scripted/echo")

    with pytest.raises(ModelNotFound) as failure:
        model_for(alice, reference)
    assert len(failure.value.details["model"]) <= 255


# --- the default -----------------------------------------------------------


def test_with_no_keys_at_all_the_built_in_model_is_the_default(alice: User) -> None:
    make_model("openai/gpt-4o")
    make_model("scripted/story", position=1)
    echo = make_model("scripted/echo", position=2)

    assert model_for(alice, None) == echo


def test_the_first_model_of_a_real_vendor_comes_before_the_built_in_one(alice: User, settings: Settings) -> None:
    settings.VENDOR_KEYS = {"openai": OPERATORS}
    make_model("scripted/echo", position=1)
    make_model("openai/gpt-4o", position=3)
    first = make_model("openai/gpt-4o-mini", position=2)

    assert default_model(alice) == first


@pytest.mark.parametrize("written", ["openai/gpt-4o", "gpt-4o"])
def test_default_model_of_the_settings_comes_before_the_first(alice: User, settings: Settings, written: str) -> None:
    settings.VENDOR_KEYS, settings.DEFAULT_MODEL = {"openai": OPERATORS}, written
    make_model("openai/gpt-4o-mini", position=1)
    named = make_model("openai/gpt-4o", position=2)

    assert default_model(alice) == named


def test_default_model_of_the_settings_is_passed_over_when_it_is_not_offered(alice: User, settings: Settings) -> None:
    settings.DEFAULT_MODEL = "openai/gpt-4o"
    make_model("openai/gpt-4o")
    echo = make_model("scripted/echo")

    assert default_model(alice) == echo


def test_the_row_marked_as_default_comes_before_everything(alice: User, settings: Settings) -> None:
    settings.VENDOR_KEYS, settings.DEFAULT_MODEL = {"openai": OPERATORS}, "openai/gpt-4o"
    make_model("openai/gpt-4o")
    marked = make_model("openai/gpt-4.1", is_default=True)

    assert default_model(alice) == marked


def test_two_defaults_are_impossible() -> None:
    make_model("openai/gpt-4o", is_default=True)

    with pytest.raises(IntegrityError):
        make_model("openai/gpt-4.1", is_default=True)


# --- how it is reached -----------------------------------------------------


def test_own_keys_come_before_the_operators_in_order_of_priority(alice: User, settings: Settings) -> None:
    settings.VENDOR_KEYS = {"openai": OPERATORS}
    model = make_model("openai/gpt-4o")
    spare = add_key(user=alice, vendor="openai", api_key=OTHER, base_url=PUBLIC, label="spare")
    favourite = add_key(user=alice, vendor="openai", api_key=OWN, base_url=PUBLIC, label="favourite")
    type(favourite).objects.filter(pk=favourite.pk).update(priority=10)

    candidates = endpoints_for(alice.pk, model)

    assert [candidate.key_id for candidate in candidates] == [favourite.pk, spare.pk, None]
    assert [candidate.endpoint.key for candidate in candidates] == [OWN, OTHER, OPERATORS]


def test_an_operators_row_moves_the_address_before_the_settings_do_and_they_before_the_table(
    alice: User, settings: Settings
) -> None:
    settings.VENDOR_KEYS = {"openai": OPERATORS}
    model = make_model("openai/gpt-4o")

    def address() -> str:
        return endpoints_for(alice.pk, model)[0].endpoint.base_url

    assert address() == "https://api.openai.com/v1"
    settings.VENDOR_ADDRESSES = {"openai": "https://proxy.example/v1"}
    assert address() == "https://proxy.example/v1"
    VendorSetting.objects.create(slug="openai", base_url="https://moved.example/v1")
    assert address() == "https://moved.example/v1"


def test_the_address_of_a_persons_key_is_trusted_only_where_the_operator_named_it_too(
    alice: User, settings: Settings
) -> None:
    settings.VENDOR_ADDRESSES = {"openai": "http://10.0.0.5:8000/v1"}
    model = make_model("openai/gpt-4o")
    trusted = {
        address: add_key(user=alice, vendor="openai", api_key=OWN, base_url=address, label=str(number))
        for number, address in enumerate(("https://api.openai.com/v1", "http://10.0.0.5:8000/v1", "http://10.0.0.6/v1"))
    }

    found = {candidate.endpoint.base_url: candidate.endpoint.trusted for candidate in endpoints_for(alice.pk, model)}

    assert found == dict(zip(trusted, (True, True, False), strict=True))


def test_the_operators_key_never_goes_to_a_persons_address(alice: User, settings: Settings) -> None:
    settings.VENDOR_KEYS = {"openai": OPERATORS}
    model = make_model("openai/gpt-4o")
    add_key(user=alice, vendor="openai", api_key=OWN, base_url="https://elsewhere.example/v1")

    addresses = {candidate.endpoint.key: candidate.endpoint.base_url for candidate in endpoints_for(alice.pk, model)}

    assert addresses == {OWN: "https://elsewhere.example/v1", OPERATORS: PUBLIC}


def test_somebody_elses_key_is_never_used(alice: User, bob: User) -> None:
    model = make_model("openai/gpt-4o")
    add_key(user=alice, vendor="openai", api_key=OWN, base_url=PUBLIC)

    assert endpoints_for(bob.pk, model) == []


def test_no_key_shows_in_what_a_candidate_prints(alice: User) -> None:
    model = make_model("openai/gpt-4o")
    add_key(user=alice, vendor="openai", api_key=OWN, base_url=PUBLIC)

    assert OWN.reveal() not in repr(endpoints_for(alice.pk, model))
