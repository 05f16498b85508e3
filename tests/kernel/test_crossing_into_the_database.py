"""`in_db` is how code on the event loop asks the database: in threads of its own, without stalling anybody."""

import asyncio
import contextvars
import threading
import time

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from chatplatform.kernel import db
from chatplatform.kernel.db import in_db


def keep(key):
    return Session.objects.create(session_key=key, session_data="", expire_date=timezone.now()).pk


@pytest.mark.django_db(transaction=True)
async def test_what_one_call_stores_the_next_one_reads():
    assert await in_db(keep, "first") == "first"

    assert await in_db(lambda: list(Session.objects.values_list("pk", flat=True))) == ["first"]


@pytest.mark.django_db(transaction=True)
async def test_an_exception_comes_through_to_the_caller():
    with pytest.raises(Session.DoesNotExist):
        await in_db(Session.objects.get, session_key="nobody")


async def test_a_slow_question_does_not_hold_up_the_others():
    began = time.monotonic()

    await asyncio.gather(*(in_db(time.sleep, 0.3) for _ in range(4)))

    assert time.monotonic() - began < 0.9


async def test_the_callers_context_is_there_in_the_thread():
    request = contextvars.ContextVar("request")
    request.set("7f3a")

    assert await in_db(request.get) == "7f3a"


async def test_a_caller_who_goes_away_does_not_stop_what_was_begun():
    begun, finished = threading.Event(), threading.Event()

    def work():
        begun.set()
        time.sleep(0.2)
        finished.set()

    caller = asyncio.create_task(in_db(work))
    assert await asyncio.to_thread(begun.wait, 2)
    caller.cancel()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await asyncio.to_thread(finished.wait, 2)


@pytest.mark.django_db(transaction=True)
async def test_closing_the_pool_lets_go_of_its_threads_and_the_next_question_opens_new_ones():
    def thread_and_answer():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return threading.current_thread(), cursor.fetchone()[0]

    before, _ = await in_db(thread_and_answer)
    await asyncio.to_thread(db.close_pool)
    after, answer = await in_db(thread_and_answer)

    assert (before.is_alive(), after.is_alive(), answer) == (False, True, 1)
