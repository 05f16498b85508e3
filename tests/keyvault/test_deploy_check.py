"""`check --deploy` does not let a deployment go out with the master keys that development made for itself."""

import io

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings


def test_master_keys_from_development_are_refused(settings: Settings) -> None:
    settings.KEYRING_IS_FOR_DEVELOPMENT = True

    with pytest.raises(CommandError, match=r"keyvault\.E001"):
        call_command("check", deploy=True, tags=["security"], stdout=io.StringIO(), stderr=io.StringIO())


def test_an_ordinary_check_does_not_mind_them(settings: Settings) -> None:
    settings.KEYRING_IS_FOR_DEVELOPMENT = True

    call_command("check", tags=["security"], stdout=io.StringIO(), stderr=io.StringIO())


def test_master_keys_of_ones_own_pass(settings: Settings) -> None:
    settings.KEYRING_IS_FOR_DEVELOPMENT = False
    said = io.StringIO()

    call_command("check", deploy=True, tags=["security"], stdout=said, stderr=said)

    assert "keyvault" not in said.getvalue()
