import asyncio
import threading

import pytest

from service.worker import OverloadedError, Worker


@pytest.fixture
def gate():
    opened = threading.Event()
    yield opened
    opened.set()


@pytest.fixture
def worker(gate):
    made = Worker(max_waiting=1)
    yield made
    gate.set()
    made.close()


async def occupied(worker, gate):
    """A task whose job runs and waits at the gate."""
    started = threading.Event()

    def job():
        started.set()
        assert gate.wait(timeout=30)
        return "done"

    task = asyncio.create_task(worker.run(job))
    await asyncio.to_thread(started.wait)
    return task


def test_jobs_run_in_order_one_at_a_time():
    async def main():
        worker, order = Worker(max_waiting=10), []
        await asyncio.gather(*(worker.run(lambda n=n: order.append(n)) for n in range(10)))
        worker.close()
        return order

    assert asyncio.run(main()) == list(range(10))


def test_an_exception_reaches_its_caller_and_no_other(worker):
    async def main():
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 / 0)
        assert worker.idle_seconds == float("inf")
        assert await worker.run(lambda: 7) == 7
        assert worker.idle_seconds < 60

    asyncio.run(main())


def test_a_full_queue_refuses(worker, gate):
    async def main():
        running = await occupied(worker, gate)
        waiting = asyncio.create_task(worker.run(lambda: "second"))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await worker.run(lambda: "third")
        gate.set()
        assert await asyncio.gather(running, waiting) == ["done", "second"]
        assert await worker.run(lambda: "fourth") == "fourth"

    asyncio.run(main())


def test_a_cancelled_waiting_job_never_runs_and_frees_its_place(worker, gate):
    async def main():
        ran = []
        running = await occupied(worker, gate)
        waiting = asyncio.create_task(worker.run(lambda: ran.append("cancelled")))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        next_one = asyncio.create_task(worker.run(lambda: ran.append("next")))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(running, next_one)
        assert ran == ["next"]

    asyncio.run(main())


def test_a_cancelled_running_job_keeps_its_place_until_it_ends(worker, gate):
    async def main():
        running = await occupied(worker, gate)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        waiting = asyncio.create_task(worker.run(lambda: "second"))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await worker.run(lambda: "third")
        gate.set()
        assert await waiting == "second"

    asyncio.run(main())


def test_a_closed_worker_refuses():
    worker = Worker(max_waiting=1)
    worker.close()
    for _ in range(5):  # more often than there are places: none may leak
        with pytest.raises(RuntimeError, match="shutdown"):
            asyncio.run(worker.run(lambda: 1))
