"""What a vendor says of a key changes its state; what it does not say changes nothing."""

import pytest

from accounts.models import User
from chatplatform.kernel import errors
from chatplatform.kernel.secret import Secret
from keyvault.models import Outcome, ProviderKey
from keyvault.services import add_key, replace_key, report_outcome

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(alice: User) -> ProviderKey:
    return add_key(
        user=alice, vendor="openai", api_key=Secret("a-key-for-openai-0001"), base_url="https://api.openai.com/v1"
    )


@pytest.mark.parametrize(
    ("outcome", "is_valid", "status"),
    [
        (Outcome.VALID, True, "valid"),
        (Outcome.INVALID, False, "invalid"),
        (Outcome.EXHAUSTED, True, "exhausted"),
        (Outcome.UNKNOWN, True, "unchecked"),
    ],
)
def test_only_a_refusal_makes_a_key_unusable(key: ProviderKey, outcome: Outcome, is_valid: bool, status: str) -> None:
    report_outcome(key_id=key.pk, outcome=outcome)
    key.refresh_from_db()

    assert (key.is_valid, key.status) == (is_valid, status)
    assert (key.last_validated is None) == (outcome is Outcome.UNKNOWN)
    assert key.last_used_at is not None


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.EXHAUSTED])
def test_a_refused_key_stays_refused_until_its_vendor_takes_it(key: ProviderKey, outcome: Outcome) -> None:
    report_outcome(key_id=key.pk, outcome=Outcome.INVALID)
    report_outcome(key_id=key.pk, outcome=outcome)
    key.refresh_from_db()
    assert not key.is_valid

    report_outcome(key_id=key.pk, outcome=Outcome.VALID)
    key.refresh_from_db()
    assert (key.is_valid, key.status) == (True, "valid")


def test_a_late_report_does_not_judge_the_secret_that_came_after(key: ProviderKey) -> None:
    replace_key(key=key, api_key=Secret("another-key-for-openai"))

    report_outcome(key_id=key.pk, outcome=Outcome.INVALID, secret_version=1)
    key.refresh_from_db()
    assert (key.is_valid, key.status, key.last_used_at) == (True, "unchecked", None)

    report_outcome(key_id=key.pk, outcome=Outcome.INVALID, secret_version=2)
    key.refresh_from_db()
    assert not key.is_valid


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (errors.KeyRejected(), Outcome.INVALID),
        (errors.KeyOutOfCredit(), Outcome.EXHAUSTED),
        (errors.VendorBusy(), Outcome.UNKNOWN),
        (errors.VendorTimeout(), Outcome.UNKNOWN),
        (errors.VendorUnreachable(), Outcome.UNKNOWN),
        (errors.VendorGarbled(), Outcome.UNKNOWN),
        (errors.RateLimited(), Outcome.UNKNOWN),
        (errors.ModelNotFound(), Outcome.UNKNOWN),
        (errors.VendorRefusedRequest(), Outcome.UNKNOWN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_failed_call_says_about_its_key_only_what_the_vendor_said(failure: errors.AppError, outcome: Outcome) -> None:
    assert Outcome.after(failure) is outcome
