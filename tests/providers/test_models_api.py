"""`/api/v1/models`: what a client shows in its model picker."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from accounts.models import User
from chatplatform.kernel.secret import Secret
from keyvault.services import add_key
from providers.models import AIModel, VendorSetting
from tests.cast import Api

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_has_a_key(settings: Settings) -> None:
    settings.VENDOR_KEYS, settings.VENDOR_ADDRESSES, settings.DEFAULT_MODEL = {}, {}, ""


def make_model(vendor: str, name: str, **facts: Any) -> AIModel:
    return AIModel.objects.create(
        **{"vendor": vendor, "name": name, "display_name": name, "context_length": 8192} | facts
    )


def test_a_stranger_sees_nothing(api: Callable[..., Api]) -> None:
    answer = api().get("/api/v1/models")

    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


def test_the_list_shows_what_the_person_may_call(api: Callable[..., Api], alice: User, settings: Settings) -> None:
    settings.VENDOR_KEYS = {"openai": Secret("sk-operators-key")}
    make_model("deepseek", "deepseek-flash")  # nobody has a key
    gpt = make_model(
        "openai",
        "gpt-4o",
        display_name="GPT-4o",
        context_length=128_000,
        max_output=16_384,
        input_price="2.5",
        output_price="10",
        capabilities=["vision"],
        position=1,
    )
    echo = make_model("scripted", "echo", position=2)

    answer = api(alice).get("/api/v1/models")

    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "data": [
            {
                "id": str(gpt.pk),
                "provider": "openai",
                "name": "gpt-4o",
                "display_name": "GPT-4o",
                "qualified_name": "openai/gpt-4o",
                "context_length": 128_000,
                "max_output": 16_384,
                "input_price": "2.5000",
                "output_price": "10.0000",
                "currency": "USD",
                "capabilities": ["vision"],
                "is_default": True,
            },
            {
                "id": str(echo.pk),
                "provider": "scripted",
                "name": "echo",
                "display_name": "echo",
                "qualified_name": "scripted/echo",
                "context_length": 8192,
                "max_output": None,
                "input_price": None,
                "output_price": None,
                "currency": "USD",
                "capabilities": [],
                "is_default": False,
            },
        ],
        "meta": {"page": 1, "limit": 20, "total": 2},
    }


def test_the_list_is_paged_and_can_be_narrowed_to_a_provider(
    api: Callable[..., Api], alice: User, settings: Settings
) -> None:
    settings.VENDOR_KEYS = {"openai": Secret("sk-operators-key")}
    make_model("scripted", "echo")
    for number in range(3):
        make_model("openai", f"gpt-{number}", position=number)

    page = api(alice).get("/api/v1/models?provider=openai&page=2&limit=2")

    assert [model["name"] for model in page.data] == ["gpt-2"]
    assert page.body["meta"] == {"page": 2, "limit": 2, "total": 3}


@pytest.mark.parametrize("provider", ["nobody", "nul%00"])
def test_a_provider_that_is_not_there_has_no_models(api: Callable[..., Api], alice: User, provider: str) -> None:
    make_model("scripted", "echo")

    assert api(alice).get(f"/api/v1/models?provider={provider}").data == []


def test_one_model_is_shown_by_its_id(api: Callable[..., Api], alice: User) -> None:
    echo = make_model("scripted", "echo")

    assert api(alice).get(f"/api/v1/models/{echo.pk}").data["qualified_name"] == "scripted/echo"


def test_a_model_that_is_not_offered_is_not_found(api: Callable[..., Api], alice: User) -> None:
    hidden = make_model("openai", "gpt-4o")

    for missing in (hidden.pk, uuid4()):
        answer = api(alice).get(f"/api/v1/models/{missing}")
        assert (answer.status, answer.code) == (404, "MODEL_NOT_FOUND")


def test_the_providers_say_in_the_persons_language_who_can_be_reached_and_how(
    api: Callable[..., Api], alice: User, settings: Settings
) -> None:
    settings.VENDOR_KEYS = {"openai": Secret("sk-operators-key"), "deepseek": Secret("sk-operators-key")}
    add_key(user=alice, vendor="deepseek", api_key=Secret("sk-alices-own-key"), base_url="https://api.deepseek.com")
    VendorSetting.objects.create(slug="zhipu", enabled=False)
    make_model("deepseek", "deepseek-flash")
    make_model("deepseek", "deepseek-old", is_active=False)

    answer = api(alice).get("/api/v1/models/providers", HTTP_ACCEPT_LANGUAGE="zh-CN")
    shown = {provider.pop("slug"): provider for provider in answer.data}

    assert shown["deepseek"] == {"name": "深度求索", "needs_key": True, "available": "own", "models": 1}
    assert shown["openai"] == {"name": "OpenAI", "needs_key": True, "available": "operator", "models": 0}
    assert shown["dashscope"] == {"name": "阿里云百炼", "needs_key": True, "available": "none", "models": 0}
    assert shown["scripted"] == {"name": "内置", "needs_key": False, "available": "operator", "models": 0}
    assert shown["ollama"]["available"] == "none"
    assert "zhipu" not in shown
