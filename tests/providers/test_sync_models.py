"""`manage.py sync_models`: the catalogue fills itself and forgets nothing that an operator changed."""

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from accounts.models import User
from chatplatform.kernel.secret import Secret
from providers.bundled import BUNDLED
from providers.catalogue import UNKNOWN_WINDOW, default_model
from providers.models import AIModel, VendorSetting
from providers.vendors import VENDORS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_is_configured(settings: Settings) -> None:
    settings.VENDOR_KEYS, settings.VENDOR_ADDRESSES = {}, {}
    settings.EXTRA_MODELS, settings.DEFAULT_MODEL = [], ""


def sync(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("sync_models", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def row(qualified: str) -> AIModel:
    vendor, _, name = qualified.partition("/")
    return AIModel.objects.get(vendor=vendor, name=name)


def test_an_empty_catalogue_gets_the_bundled_and_the_built_in_models(alice: User) -> None:
    sync()

    assert AIModel.objects.exclude(vendor="scripted").count() == sum(map(len, BUNDLED.values()))
    gpt = row("openai/gpt-4o")
    assert (gpt.context_length, gpt.input_price, gpt.currency, gpt.is_active) == (128_000, Decimal("2.5"), "USD", True)
    assert default_model(alice).qualified_name == "scripted/echo"


def test_every_bundled_model_is_of_a_known_vendor_and_fits_its_row() -> None:
    sync()

    assert set(BUNDLED) <= set(VENDORS)
    for model in AIModel.objects.all():
        model.full_clean()


def test_a_second_run_adds_nothing() -> None:
    sync()
    before = list(AIModel.objects.values())

    out, _ = sync()

    assert out.startswith("0 models added")
    assert list(AIModel.objects.values()) == before


def test_what_an_operator_changed_stays() -> None:
    sync()
    AIModel.objects.filter(vendor="openai", name="gpt-4o").update(
        input_price="99", is_active=False, display_name="Ours"
    )

    sync()

    kept = row("openai/gpt-4o")
    assert (kept.input_price, kept.is_active, kept.display_name) == (Decimal(99), False, "Ours")


def test_extra_models_of_the_settings_are_added_with_a_cautious_window(settings: Settings) -> None:
    settings.EXTRA_MODELS = ["ollama/qwen3:8b", "openrouter/somebody/something", "openai/gpt-4o"]

    sync()

    assert row("ollama/qwen3:8b").context_length == UNKNOWN_WINDOW
    assert row("openrouter/somebody/something").input_price is None
    assert row("openai/gpt-4o").context_length == 128_000


@pytest.mark.parametrize("entry", ["qwen3:8b", "nobody/qwen3", "ollama/"])
def test_an_extra_model_without_a_vendor_stops_with_its_name(settings: Settings, entry: str) -> None:
    settings.EXTRA_MODELS = [entry]

    with pytest.raises(CommandError, match=entry):
        sync()


def test_a_default_model_that_is_not_there_is_warned_of(settings: Settings) -> None:
    settings.DEFAULT_MODEL = "openai/gpt-99"
    assert "gpt-99" in sync()[1]

    for there in ("openai/gpt-4o", "qwen3-max", "openrouter/openai/gpt-4o"):
        settings.DEFAULT_MODEL = there
        assert sync()[1] == ""


def test_a_vendor_can_be_asked_for_its_own_list(httpserver: HTTPServer, settings: Settings) -> None:
    listed = {"data": [{"id": "gpt-4o", "object": "model"}, {"id": "text-embedding-3", "object": "model"}]}
    httpserver.expect_request("/v1/models", headers={"Authorization": "Bearer sk-operators-key"}).respond_with_json(
        listed
    )
    settings.VENDOR_KEYS = {"openai": Secret("sk-operators-key")}
    settings.VENDOR_ADDRESSES = {"openai": httpserver.url_for("/v1")}

    sync("--vendor", "openai")

    assert list(AIModel.objects.values_list("name", "is_active", "context_length").order_by("name")) == [
        ("gpt-4o", False, 128_000),
        ("text-embedding-3", False, UNKNOWN_WINDOW),
    ]


def test_a_server_of_ones_own_is_asked_without_a_key_and_all_it_lists_is_offered(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/models").respond_with_json({"data": [{"id": "qwen3:8b", "object": "model"}]})
    VendorSetting.objects.create(slug="attic", base_url=httpserver.url_for("/v1"), needs_key=False)

    sync("--vendor", "attic")

    assert row("attic/qwen3:8b").is_active is True


def test_a_vendor_that_cannot_be_asked_says_why(httpserver: HTTPServer, settings: Settings) -> None:
    with pytest.raises(CommandError, match="no vendor 'nobody'"):
        sync("--vendor", "nobody")
    with pytest.raises(CommandError, match="needs a key"):
        sync("--vendor", "openai")

    httpserver.expect_request("/v1/models").respond_with_json({"error": {"message": "secret words"}}, status=401)
    settings.VENDOR_KEYS = {"openai": Secret("sk-operators-key")}
    settings.VENDOR_ADDRESSES = {"openai": httpserver.url_for("/v1")}
    with pytest.raises(CommandError, match="openai: The vendor refused the API key"):
        sync("--vendor", "openai")
    assert not AIModel.objects.exists()
