"""Socket tickets: they open one socket, once, soon, for whoever asked."""

import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest
from django.db import connections

from accounts.authentication import devices_signed_in, identify, redeem_ticket, ticket_for
from accounts.models import User
from chatplatform.kernel.errors import Unauthenticated
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db


def ticket_of(client):
    answer = client.post("/api/v1/auth/ws-ticket")
    assert answer.status == 200
    assert answer.data == {"ticket": answer.data["ticket"], "expires_in": 30}
    return answer.data["ticket"]


def test_a_ticket_stands_for_the_token_it_was_got_with(api, alice):
    phone = api(alice)
    assert redeem_ticket(ticket_of(phone)) == identify(phone.token)


def test_a_ticket_is_good_once(api, alice):
    ticket = ticket_of(api(alice))
    redeem_ticket(ticket)
    with pytest.raises(Unauthenticated):
        redeem_ticket(ticket)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_come_with_one_ticket_one_gets_in(api, alice):
    signed = identify(api(alice).token)
    tickets = [ticket_for(signed) for _ in range(50)]
    together = Barrier(8)

    def enter(_):
        entered = Counter()
        try:
            for ticket in tickets:
                together.wait()
                with suppress(Unauthenticated):
                    redeem_ticket(ticket)
                    entered[ticket] += 1
        finally:
            connections.close_all()
        return entered

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns in the middle of everything
    try:
        with ThreadPoolExecutor(8) as threads:
            entered = sum(threads.map(enter, range(8)), Counter())
    finally:
        sys.setswitchinterval(usual)
    assert entered == Counter(tickets)


def test_a_ticket_does_not_wait(api, alice, settings):
    settings.SOCKET_TICKET_SECONDS = 1
    ticket = api(alice).post("/api/v1/auth/ws-ticket").data["ticket"]
    time.sleep(1.1)
    with pytest.raises(Unauthenticated):
        redeem_ticket(ticket)


@pytest.mark.parametrize("ticket", ["", "x", "\x00", "é", "\ud800", "x" * 100_000])
def test_what_is_no_ticket_opens_nothing(ticket):
    with pytest.raises(Unauthenticated):
        redeem_ticket(ticket)


def test_a_ticket_of_a_device_signed_out_meanwhile_opens_nothing(api, alice):
    phone = api(alice)
    ticket = ticket_of(phone)
    phone.post("/api/v1/auth/logout")
    with pytest.raises(Unauthenticated):
        redeem_ticket(ticket)


def test_a_cookie_gets_no_ticket(client, alice):
    alice.is_staff = True
    alice.save()
    client.post("/admin/login/", {"username": alice.email, "password": PASSWORD})
    assert client.get("/admin/").status_code == 200

    assert client.post("/api/v1/auth/ws-ticket").status_code == 401


def test_tickets_are_limited_by_person(api, alice, bob):
    phone, laptop = api(alice), api(alice)
    answers = [device.post("/api/v1/auth/ws-ticket").status for _ in range(30) for device in (phone, laptop)]

    assert set(answers) == {200}
    assert phone.post("/api/v1/auth/ws-ticket").code == "RATE_LIMITED"
    assert laptop.post("/api/v1/auth/ws-ticket").code == "RATE_LIMITED"
    assert api(bob).post("/api/v1/auth/ws-ticket").status == 200


def test_an_open_socket_learns_that_its_person_or_device_is_gone(api, alice):
    phone, laptop = api(alice), api(alice)
    on_phone, on_laptop = identify(phone.token).device_id, identify(laptop.token).device_id
    assert devices_signed_in({on_phone, on_laptop}) == {on_phone, on_laptop}

    phone.post("/api/v1/auth/logout")
    assert devices_signed_in({on_phone, on_laptop}) == {on_laptop}

    User.objects.filter(pk=alice.pk).update(status=User.Status.SUSPENDED)
    assert devices_signed_in({on_phone, on_laptop}) == set()
