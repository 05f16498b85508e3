"""What operators do with models and vendors in the admin."""

import json
from decimal import Decimal

import pytest
from django.test import AsyncClient, Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from chatplatform.kernel.db import in_db
from chatplatform.kernel.secret import Secret
from providers.models import AIModel, VendorSetting

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator(alice: User) -> User:
    alice.is_staff = alice.is_superuser = True
    alice.save()
    return alice


@pytest.fixture
def admin(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def echo(transactional_db: None) -> AIModel:
    return AIModel.objects.create(vendor="scripted", name="echo", display_name="Echo", context_length=8192)


def lines_of(body: bytes) -> list[dict[str, str]]:
    return [json.loads(line) for line in body.splitlines()]


def test_models_are_switched_off_and_priced_in_the_list(admin: Client, echo: AIModel) -> None:
    address = reverse("admin:providers_aimodel_changelist")
    form = {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "form-0-id": echo.pk,
        "form-0-input_price": "1.25",
        "_save": 1,
    }

    assert admin.get(address).status_code == 200
    assert admin.post(address, form).status_code == 302

    echo.refresh_from_db()
    assert (echo.is_active, echo.input_price) == (False, Decimal("1.25"))


def test_one_model_is_made_the_default_and_takes_the_place_of_another(admin: Client, echo: AIModel) -> None:
    other = AIModel.objects.create(
        vendor="scripted", name="story", display_name="Story", context_length=1, is_default=True
    )
    address = reverse("admin:providers_aimodel_changelist")

    admin.post(address, {"action": "make_default", "_selected_action": [echo.pk, other.pk]})
    assert AIModel.objects.get(is_default=True) == other

    admin.post(address, {"action": "make_default", "_selected_action": [echo.pk]})
    assert AIModel.objects.get(is_default=True) == echo


def test_a_model_is_added_with_a_vendor_that_is_there_and_with_capabilities_that_are_words(admin: Client) -> None:
    address = reverse("admin:providers_aimodel_add")
    form = {"name": "m", "display_name": "M", "context_length": 8192, "currency": "USD", "position": 1}

    assert '<option value="deepseek">' in admin.get(address).content.decode()
    assert admin.post(address, form | {"vendor": "openai", "capabilities": '{"vision": 1}'}).status_code == 200
    assert not AIModel.objects.exists()
    assert admin.post(address, form | {"vendor": "openai", "capabilities": '["vision"]'}).status_code == 302
    assert AIModel.objects.get().capabilities == ["vision"]


def test_a_model_cannot_be_deleted(admin: Client, echo: AIModel) -> None:
    assert admin.post(reverse("admin:providers_aimodel_delete", args=[echo.pk]), {"post": "yes"}).status_code == 403


def test_the_vendor_page_shows_every_vendor_in_force_and_no_key(admin: Client, settings: Settings) -> None:
    settings.VENDOR_KEYS = {"openai": Secret("sk-operators-key")}
    VendorSetting.objects.create(slug="openai", base_url="https://moved.example/v1")

    page = admin.get(reverse("admin:providers_vendorsetting_changelist")).content.decode()

    assert "https://moved.example/v1" in page
    assert "https://api.deepseek.com" in page
    assert "sk-operators-key" not in page


def test_an_address_is_checked_and_put_into_one_spelling(admin: Client) -> None:
    address = reverse("admin:providers_vendorsetting_add")

    admin.post(
        address, {"slug": "attic", "enabled": "on", "base_url": "HTTP://Attic.Example:80/v1/", "dialect": "openai"}
    )
    assert VendorSetting.objects.get().base_url == "http://attic.example/v1"

    refused = admin.post(address, {"slug": "cellar", "base_url": "http://user@cellar.example/v1", "dialect": "openai"})
    assert refused.status_code == 200
    assert not VendorSetting.objects.filter(slug="cellar").exists()


def test_the_trial_page_runs_no_script_of_its_own(admin: Client, echo: AIModel) -> None:
    page = admin.get(reverse("admin:providers_aimodel_try_model", args=[echo.pk])).content.decode()

    assert "providers/try_model.js" in page
    assert 'id="trial"' in page


def test_only_operators_may_try_models(bob: User, echo: AIModel) -> None:
    client = Client()
    client.force_login(bob)

    assert client.post(reverse("admin:providers_aimodel_try_model", args=[echo.pk]), {"text": "hi"}).status_code == 302


def test_a_trial_needs_the_pages_own_token(operator: User, echo: AIModel) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)

    assert client.post(reverse("admin:providers_aimodel_try_model", args=[echo.pk]), {"text": "hi"}).status_code == 403


async def test_a_model_answers_in_the_trial_box(operator: User, echo: AIModel) -> None:
    client = AsyncClient()
    await client.aforce_login(operator)

    answer = await client.post(reverse("admin:providers_aimodel_try_model", args=[echo.pk]), {"text": "good morning"})
    lines = lines_of(b"".join([chunk async for chunk in answer]))  # type: ignore[attr-defined]

    assert "good morning" in "".join(line.get("text", "") for line in lines)


async def test_a_failing_model_says_why_in_the_operators_language(operator: User, settings: Settings) -> None:
    settings.VENDOR_KEYS, settings.VENDOR_ADDRESSES = {}, {}
    model = await in_db(AIModel.objects.create, vendor="openai", name="gpt-4o", display_name="GPT", context_length=1)
    client = AsyncClient()
    await client.aforce_login(operator)

    address = reverse("admin:providers_aimodel_try_model", args=[model.pk])
    answer = await client.post(address, {"text": "hi"}, headers={"Accept-Language": "zh-CN"})
    lines = lines_of(b"".join([chunk async for chunk in answer]))  # type: ignore[attr-defined]

    assert lines == [{"error": "没有该服务商的密钥，请先添加。"}]
