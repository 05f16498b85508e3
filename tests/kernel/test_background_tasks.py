"""Background tasks have an owner: a name, a log line when they fail, and an end at shutdown."""

import asyncio
import gc
import logging

from chatplatform.kernel import background
from chatplatform.kernel.background import cancel, cancel_all, spawn


async def test_a_task_lives_although_nobody_keeps_it():
    done = asyncio.Event()

    async def work():
        await asyncio.sleep(0.02)
        done.set()

    spawn(work(), name="work")
    gc.collect()

    await asyncio.wait_for(done.wait(), 1)


async def test_a_failure_is_logged_with_the_tasks_name(caplog):
    async def fail():
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR):
        await asyncio.wait([spawn(fail(), name="follow a reply")])
        await asyncio.sleep(0)

    assert [(record.message, record.task, record.exc_info[0]) for record in caplog.records] == [
        ("background task failed", "follow a reply", ValueError)
    ]


async def test_cancelling_waits_until_the_task_has_cleaned_up():
    cleaned = False

    async def work():
        nonlocal cleaned
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            cleaned = True

    task = spawn(work(), name="work")
    await asyncio.sleep(0)
    await cancel(task, None)

    assert cleaned


async def test_a_shutdown_ends_every_task_but_the_one_that_asks_for_it(caplog):
    tasks = [spawn(asyncio.sleep(60), name=f"task {number}") for number in range(3)]

    await spawn(cancel_all(), name="shutdown")

    assert all(task.cancelled() for task in tasks)
    assert caplog.records == []


async def test_a_task_that_swallows_a_cancellation_is_told_again(monkeypatch):
    monkeypatch.setattr(background, "SECONDS_PER_TRY", 0.05)
    swallowed = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed.append(True)
        await asyncio.sleep(60)

    task = spawn(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    await cancel(task)

    assert swallowed
    assert task.cancelled()
