"""Refresh tokens: each is good once, an honest client is not punished for a lost answer, a thief is found out."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from accounts.models import AuditAction, AuditEntry, Device
from tests.cast import AGENT, Api

pytestmark = pytest.mark.django_db


def refresh(token, **environ):
    return Api(**environ).post("/api/v1/auth/refresh", {"refresh_token": token})


def reused(user):
    return list(AuditEntry.objects.filter(user_id=user.pk, action=AuditAction.REFRESH_REUSED))


def test_a_lost_answer_may_be_asked_for_again_within_the_grace(api, alice):
    first = api(alice).refresh_token

    second, again = refresh(first).data, refresh(first).data

    assert again["refresh_token"] == second["refresh_token"]
    assert Api(token=again["access_token"]).get("/api/v1/users/me").status == 200
    # The chain went on by one.
    assert refresh(second["refresh_token"]).status == 200
    assert Device.objects.get(user=alice).counter == 2


def test_after_the_grace_a_used_token_ends_the_device(api, alice):
    phone, laptop = api(alice), api(alice)
    second = refresh(phone.refresh_token).data

    with time_machine.travel(timezone.now() + timedelta(seconds=21)):
        stolen = refresh(phone.refresh_token, REMOTE_ADDR="198.51.100.9")
        assert (stolen.status, stolen.code) == (401, "REFRESH_TOKEN_REUSED")
        assert refresh(second["refresh_token"]).code == "UNAUTHENTICATED"
        assert refresh(phone.refresh_token).code == "UNAUTHENTICATED"
        assert Api(token=second["access_token"]).get("/api/v1/users/me").status == 401
        assert laptop.get("/api/v1/users/me").status == 200

    (entry,) = reused(alice)
    assert (entry.resource_type, entry.ip_address, entry.user_agent) == ("device", "198.51.100.9", AGENT)


def test_another_spelling_of_a_used_token_is_no_token_and_ends_nothing(api, alice):
    tokens = [api(alice).refresh_token for _ in range(20)]
    first = next(token for token in tokens if set(token) & set("-_"))
    second = refresh(first).data["refresh_token"]

    assert refresh(first.translate(str.maketrans("-_", "+/"))).code == "UNAUTHENTICATED"
    assert refresh(second).status == 200
    assert reused(alice) == []


def test_the_grace_is_for_the_same_program_only(api, alice):
    first = api(alice).refresh_token
    second = refresh(first).data["refresh_token"]

    assert refresh(first, HTTP_USER_AGENT="curl/8").code == "REFRESH_TOKEN_REUSED"
    assert refresh(second).status == 401


def test_the_grace_is_for_the_immediate_predecessor_only(api, alice):
    first = api(alice).refresh_token
    third = refresh(refresh(first).data["refresh_token"]).data["refresh_token"]

    assert refresh(first).code == "REFRESH_TOKEN_REUSED"
    assert refresh(third).status == 401
    assert len(reused(alice)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_hundred_uses_at_once_make_one_chain(api, alice):
    first = api(alice).refresh_token
    together = Barrier(10)

    def ten_times(_):
        together.wait()
        try:
            return [refresh(first) for _ in range(10)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as threads:
        answers = [answer for ten in threads.map(ten_times, range(10)) for answer in ten]

    assert {answer.status for answer in answers} == {200}
    successors = {answer.data["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert Device.objects.get(user=alice).counter == 1
    assert refresh(successors.pop()).status == 200


@pytest.mark.django_db(transaction=True)
def test_a_hundred_uses_at_once_by_different_programs_leave_none(api, alice):
    first = api(alice).refresh_token
    together = Barrier(10)

    def ten_times(number):
        together.wait()
        try:
            return [refresh(first, HTTP_USER_AGENT=f"program/{number}") for _ in range(10)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as threads:
        answers = [answer for ten in threads.map(ten_times, range(10)) for answer in ten]

    assert len({answer.data["refresh_token"] for answer in answers if answer.status == 200}) == 1
    assert sum(answer.status == 401 and answer.code == "REFRESH_TOKEN_REUSED" for answer in answers) >= 1
    assert Device.objects.get(user=alice).revoked_at is not None
    assert len(reused(alice)) == 1


def test_a_token_nobody_made_ends_nothing(api, alice):
    phone = api(alice)
    good = phone.refresh_token
    letters = [letter for letter in "AZaz09-_" if letter != good[-1]]

    for forged in [*(good[:-1] + letter for letter in letters), good[::-1], good[:-4], good + "AAAA", "é" * 72, "="]:
        assert refresh(forged).code == "UNAUTHENTICATED"

    assert phone.get("/api/v1/users/me").status == 200
    assert refresh(good).status == 200


def test_a_device_unused_for_long_has_to_sign_in_again(api, alice):
    token = api(alice).refresh_token

    with time_machine.travel(timezone.now() + timedelta(days=29)):
        token = refresh(token).data["refresh_token"]
    with time_machine.travel(timezone.now() + timedelta(days=29 + 29)):
        token = refresh(token).data["refresh_token"]
    with time_machine.travel(timezone.now() + timedelta(days=29 + 29 + 31)):
        assert refresh(token).code == "UNAUTHENTICATED"


def test_only_hashes_of_refresh_tokens_are_kept(api, alice):
    token = api(alice).refresh_token
    newer = refresh(token).data["refresh_token"]

    row = " ".join(str(value) for value in Device.objects.values_list().get())
    assert token not in row
    assert newer not in row


def test_a_changed_secret_key_signs_nobody_out_while_the_old_one_is_known(api, alice, settings):
    phone = api(alice)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new one, long enough for anybody"

    assert phone.get("/api/v1/users/me").status == 200
    newer = refresh(phone.refresh_token).data

    settings.SECRET_KEY_FALLBACKS = []
    assert phone.get("/api/v1/users/me").status == 401
    assert Api(token=newer["access_token"]).get("/api/v1/users/me").status == 200
    assert refresh(newer["refresh_token"]).status == 200


def test_refreshing_is_limited_by_address(api, alice):
    answers = [refresh("nonsense", REMOTE_ADDR="192.0.2.1") for _ in range(121)]

    assert {answer.status for answer in answers[:120]} == {401}
    assert (answers[120].status, answers[120].code) == (429, "RATE_LIMITED")
    assert int(answers[120].headers["Retry-After"]) <= 60
    assert refresh(api(alice).refresh_token, REMOTE_ADDR="192.0.2.2").status == 200
