"""A limit lets through exactly as many as it says, however many come at once and from wherever."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatplatform.kernel import ratelimit, redis
from chatplatform.kernel.errors import RateLimited
from chatplatform.kernel.ratelimit import MINUTE, Limit

TEN = Limit("ten for a test", 10, per=MINUTE)


def allowed(limit, _=None):
    try:
        limit.hit()
    except RateLimited:
        return False
    return True


async def allowed_async(limit):
    try:
        await limit.ahit()
    except RateLimited:
        return False
    return True


async def test_of_a_hundred_at_once_exactly_ten_pass():
    assert sum(await asyncio.gather(*(allowed_async(TEN) for _ in range(100)))) == 10


def test_of_a_hundred_from_many_threads_exactly_ten_pass():
    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(allowed, [TEN] * 100)) == 10


async def test_sockets_and_requests_count_together_also_from_different_event_loops():
    passed = [await allowed_async(TEN) for _ in range(4)]
    passed += await asyncio.to_thread(lambda: [allowed(TEN) for _ in range(4)])
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(asyncio.run(_four_more())))
    thread.start()
    await asyncio.to_thread(thread.join)

    assert passed == [True] * 8
    assert elsewhere == [[True, True, False, False]]


async def _four_more():
    try:
        return [await allowed_async(TEN) for _ in range(4)]
    finally:
        await redis.close()


def test_who_is_refused_is_told_when_to_come_back():
    for _ in range(10):
        TEN.hit()

    with pytest.raises(RateLimited) as refusal:
        TEN.hit()

    assert refusal.value.retry_after == pytest.approx(60, abs=5)


def test_checking_counts_nothing():
    for _ in range(30):
        TEN.check()
    for _ in range(10):
        TEN.hit()

    with pytest.raises(RateLimited):
        TEN.check()


def test_one_name_does_not_spend_what_belongs_to_another():
    assert [allowed(Limit(name, 1, per=MINUTE)) for name in ("alice", "bob", "alice")] == [True, True, False]


async def test_while_redis_is_away_the_process_counts_by_itself(settings, caplog):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    ratelimit.forget_everything()

    assert [allowed(TEN) for _ in range(5)] + [await allowed_async(TEN) for _ in range(6)] == [True] * 10 + [False]
    with pytest.raises(RateLimited):
        TEN.check()
    assert "Redis is away" in caplog.text


async def test_a_redis_that_does_not_answer_keeps_nobody_for_long(settings, monkeypatch):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    monkeypatch.setattr(redis, "ANSWER_SECONDS", 0.2)
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    settings.REDIS_URL = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    ratelimit.forget_everything()

    async with server, asyncio.timeout(5):
        assert await asyncio.to_thread(allowed, TEN)
        assert await allowed_async(TEN)
