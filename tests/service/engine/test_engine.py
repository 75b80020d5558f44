"""The engine over a fake tagger: batches, bounds, deadlines, departures, faults, replacement."""

import asyncio
import time
from contextlib import contextmanager

import pytest

from tagbelt.inference import Annotation
from tagbelt.service.engine.batch import gather
from tagbelt.service.engine.engine import Engine
from tagbelt.service.engine.queue import (
    ClosedError,
    ExpiredError,
    Failure,
    GoneError,
    Job,
    Pace,
    Queue,
    QueueFullError,
    size_of,
)
from tagbelt.service.engine.recorder import Recorder, Work
from tagbelt.service.models.served import Served
from tests.service.fake import FakeTagger


class Counts(Recorder):
    def __init__(self):
        self.reasons: list[str] = []
        self.failures: list[str] = []
        self.batches: list[tuple[str, int, int]] = []
        self.waited: list[float] = []

    def batch(self, served, *, items, tokens, waited, **_):
        self.batches.append((served.name, items, tokens))
        self.waited.extend(waited)

    def rejected(self, reason):
        self.reasons.append(reason)

    def failed(self, reason):
        self.failures.append(reason)


@contextmanager
def engine(**changes):
    options = {"max_waiting": 100, "max_waiting_characters": 10_000, "max_batch_tokens": 1000}
    options |= {"meanwhile_seconds": 60.0}
    made = Engine(**(options | {"recorder": Counts()} | changes))
    try:
        yield made
    finally:
        made.close(timeout=10)


def job(tagger, *items, seconds=30.0, **options):
    served = tagger if isinstance(tagger, Served) else Served(tagger)
    characters = sum(map(len, items))
    return Job(served, items, time.monotonic() + seconds, Work(), characters=characters, **options)


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


async def occupied(made, tagger):
    """A running job whose batch waits at the tagger's gate."""
    tagger.gate.clear()
    before = len(tagger.calls)
    running = asyncio.create_task(made.run(job(tagger, "first")))
    await until(lambda: len(tagger.calls) > before)
    return running


def texts(outcomes):
    return [" ".join(outcome.tokens) for outcome in outcomes]


def test_what_arrives_while_a_batch_runs_is_the_next_batch():
    async def main():
        tagger = FakeTagger()
        served = Served(tagger)
        with engine() as made:
            running = await occupied(made, tagger)
            others = [asyncio.create_task(made.run(job(served, f"a{n}", "b"))) for n in range(5)]
            await until(lambda: len(made.queue) == 5)
            tagger.gate.set()
            await running
            assert [texts(o) for o in await asyncio.gather(*others)] == [
                [f"a{n}", "b"] for n in range(5)
            ]
            assert [len(call) for call in tagger.calls] == [1, 10]
            assert tagger.threads == {"inference"}

    asyncio.run(main())


def test_two_models_in_one_round_each_tag_their_own():
    async def main():
        one, two = FakeTagger("one"), FakeTagger("two")
        with engine() as made:
            running = await occupied(made, one)
            jobs = [asyncio.create_task(made.run(job(t, "x", "y"))) for t in (two, one, two)]
            await until(lambda: len(made.queue) == 3)
            one.gate.set()
            await asyncio.gather(running, *jobs)
        assert sorted(map(len, two.calls)) in ([4], [2, 2])
        assert [len(call) for call in one.calls] == [1, 2]

    asyncio.run(main())


def test_a_batch_stays_within_its_budget_and_a_long_job_lets_short_ones_pass():
    async def main():
        tagger = FakeTagger()
        served = Served(tagger)
        order = []
        with engine(max_batch_tokens=10) as made:
            running = await occupied(made, tagger)
            long = asyncio.create_task(made.run(job(served, *["one two three"] * 12)))
            await until(lambda: len(made.queue) == 1)
            short = asyncio.create_task(made.run(job(served, "short")))
            await until(lambda: len(made.queue) == 2)
            long.add_done_callback(lambda _: order.append("long"))
            short.add_done_callback(lambda _: order.append("short"))
            tagger.gate.set()
            outcomes = await long
            await asyncio.gather(running, short)
        assert len(outcomes) == 12
        assert order == ["short", "long"]
        # A batch may pass its budget by the item that fills it.
        assert max(sum(len(text.split()) for text in call) for call in tagger.calls) <= 12

    asyncio.run(main())


def test_marginals_and_paths_count_for_more():
    async def main():
        tagger = FakeTagger()
        with engine(max_batch_tokens=60) as made:
            await made.run(job(tagger, *["one two"] * 20, marginals=True))
            dear = [len(call) for call in tagger.calls]
            tagger.calls.clear()
            await made.run(job(tagger, *["one two"] * 20))
            assert dear == [5, 5, 5, 5]
            assert [len(call) for call in tagger.calls] == [20]

    asyncio.run(main())


@pytest.mark.parametrize("bound", [{"max_waiting": 2}, {"max_waiting_characters": 8}])
def test_a_full_queue_refuses_at_once_and_recovers(bound):
    async def main():
        tagger = FakeTagger()
        served = Served(tagger)
        with engine(**bound) as made:
            running = await occupied(made, tagger)
            waiting = [asyncio.create_task(made.run(job(served, "1234"))) for _ in range(2)]
            await until(lambda: len(made.queue) == 2)
            with pytest.raises(QueueFullError):
                await made.run(job(served, "1234"))
            assert made._recorder.reasons == ["queue_full"]
            assert (len(made.queue), made.queue.characters) == (2, 8)
            tagger.gate.set()
            await asyncio.gather(running, *waiting)
            assert made.queue.characters == 0
            assert texts(await made.run(job(served, "1234"))) == ["1234"]

    asyncio.run(main())


def test_work_whose_time_is_over_is_answered_and_never_computed():
    async def main():
        tagger = FakeTagger()
        with engine() as made:
            running = await occupied(made, tagger)
            with pytest.raises(ExpiredError):  # while the thread is busy
                await made.run(job(tagger, "late", seconds=0.01))
            assert len(made.queue) == 0
            tagger.gate.set()
            await running
            with pytest.raises(ExpiredError):
                await made.run(job(tagger, "too late", seconds=-1))
            assert made._recorder.reasons == ["deadline"] * 2
        assert tagger.calls == [["first"]]

    asyncio.run(main())


def test_an_answer_that_comes_after_the_deadline_is_not_given():
    async def main():
        tagger = FakeTagger()
        with engine() as made:
            tagger.gate.clear()
            asked = asyncio.create_task(made.run(job(tagger, "slow", seconds=0.05)))
            await until(lambda: tagger.calls)
            with pytest.raises(ExpiredError):
                await asked
            tagger.gate.set()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["left", "cancelled"])
def test_work_of_a_client_that_left_is_never_computed(how):
    async def main():
        tagger = FakeTagger()
        with engine() as made:
            running = await occupied(made, tagger)
            left = asyncio.Event()
            asked = asyncio.create_task(made.run(job(tagger, "gone"), left.wait))
            await until(lambda: len(made.queue) == 1)
            if how == "left":
                left.set()
                with pytest.raises(GoneError):
                    await asked
                assert made._recorder.reasons == ["disconnected"]
            else:
                asked.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asked
            assert len(made.queue) == 0
            tagger.gate.set()
            await running
        assert tagger.calls == [["first"]]

    asyncio.run(main())


def test_a_bad_item_fails_alone():
    async def main():
        tagger = FakeTagger(poison="bad")
        served = Served(tagger)
        with engine() as made:
            running = await occupied(made, tagger)
            asked = [
                asyncio.create_task(made.run(job(served, *items)))
                for items in (["a", "bad", "b"], ["c"], ["bad"])
            ]
            await until(lambda: len(made.queue) == 3)
            tagger.gate.set()
            await running
            mixed, good, bad = await asyncio.gather(*asked)
            assert [type(o) for o in mixed] == [Annotation, Failure, Annotation]
            assert texts(good) == ["c"]
            assert bad == [Failure()]
            assert made._recorder.failures == ["internal"] * 2

    asyncio.run(main())


def test_an_item_that_cannot_be_read_fails_alone():
    class Unread(FakeTagger):
        def tokenize(self, item, **options):
            if item == "bad":
                raise ValueError(item)
            return super().tokenize(item, **options)

    async def main():
        with engine() as made:
            good, bad = await made.run(job(Unread(), "good", "bad"))
            assert (texts([good]), bad) == (["good"], Failure())
            assert await made.run(job(Unread(), "bad")) == [Failure()]

    asyncio.run(main())


def test_metrics_that_fail_cost_nobody_an_answer():
    class Broken(Recorder):
        def annotated(self, *_):
            raise RuntimeError

    async def main():
        with engine(recorder=Broken()) as made:
            assert texts(await made.run(job(FakeTagger(), "a"))) == ["a"]

    asyncio.run(main())


@pytest.mark.parametrize("where", ["tokenize", "annotate_items"])
def test_a_thread_that_dies_answers_its_batch_and_is_replaced(where):
    class Deadly(FakeTagger):
        def die(self, *_args, **_options):
            raise SystemExit

    async def main():
        deadly = Deadly()
        setattr(deadly, where, deadly.die)
        with engine() as made:
            with pytest.raises(RuntimeError, match="thread died"):
                await made.run(job(deadly, "a"))
            await until(lambda: not made.is_alive)
            assert texts(await made.run(job(FakeTagger(), "b"))) == ["b"]
            assert made.is_alive

    asyncio.run(main())


def test_a_thread_that_hangs_is_left_behind_and_harms_nothing_when_it_wakes():
    async def main():
        hanging, tagger = FakeTagger(), FakeTagger()
        with engine(stuck_seconds=0.2) as made:
            hanging.gate.clear()
            asked = asyncio.create_task(made.run(job(hanging, "stuck", seconds=5)))
            await until(lambda: hanging.calls)
            left = made._thread
            assert texts(await made.run(job(tagger, "works"))) == ["works"]
            assert made.is_alive
            assert made._thread is not left
            hanging.gate.set()
            assert texts(await asked) == ["stuck"]  # it came in time after all
            assert texts(await made.run(job(tagger, "still"))) == ["still"]
            await until(lambda: not left.is_alive())

    asyncio.run(main())


def test_closing_finishes_what_was_accepted_and_takes_nothing_more():
    async def main():
        tagger = FakeTagger()
        with engine() as made:
            running = await occupied(made, tagger)
            waiting = asyncio.create_task(made.run(job(tagger, "second")))
            await until(lambda: len(made.queue) == 1)
            closing = asyncio.create_task(asyncio.to_thread(made.close))
            await until(lambda: made.queue.is_closed)
            with pytest.raises(ClosedError):
                await made.run(job(tagger, "third"))
            tagger.gate.set()
            assert texts(await running) == ["first"]
            assert texts(await waiting) == ["second"]
            await closing
            assert not made.revive()

    asyncio.run(main())


def test_the_account_of_a_request():
    async def main():
        with engine() as made:
            asked = job(FakeTagger(), "one two", "three")
            await made.run(asked)
            assert asked.work.tokens == 3
            assert (asked.work.infer, asked.work.decode) == (0.002, 0.001)
            assert asked.work.queue >= 0
            assert made._recorder.batches == [("fake", 2, 3)]
            assert len(made._recorder.waited) == 1

    asyncio.run(main())


def test_what_cannot_be_done_in_time_is_refused_at_once():
    class Slow(FakeTagger):
        def annotate_items(self, readings, phases=None, between=lambda: None):
            time.sleep(0.002 * sum(len(reading.text) for reading in readings))
            return super().annotate_items(readings, phases, between)

    async def main():
        tagger = Slow()
        served = Served(tagger)
        with engine(telling_weight=0.0) as made:
            await made.run(job(served, "x" * 50))  # 0.1 s: now the pace is known
            running = await occupied(made, tagger)
            waiting = asyncio.create_task(made.run(job(served, "y" * 100)))  # 0.2 s
            await until(lambda: len(made.queue) == 1)
            assert made.backlog_seconds > 0.15
            with pytest.raises(QueueFullError):
                await made.run(job(served, "z", seconds=0.1))
            assert made._recorder.reasons == ["too_late"]
            patient = asyncio.create_task(made.run(job(served, "z")))
            tagger.gate.set()
            assert texts(await patient) == ["z"]
            await asyncio.gather(running, waiting)
            # With nothing before it, a request is tried whatever the pace was.
            assert texts(await made.run(job(served, "z", seconds=0.15))) == ["z"]
            assert made.backlog_seconds == 0

    asyncio.run(main())


def test_a_batch_leaves_out_what_would_be_late_by_its_end():
    async def main():
        served = Served(FakeTagger())
        queue = Queue(max_jobs=10, max_characters=1000)
        pace = Pace()
        pace.add(work=100, seconds=1.0)
        hasty = job(served, "h" * 50, seconds=0.4)  # the first is always tried
        long = job(served, "y" * 500)  # 5 s
        late = job(served, "late", seconds=4.0)
        patient = job(served, "patient", seconds=10.0)
        for one in (hasty, long, late, patient):
            queue.put(one)
        # Nobody is answered before a batch ends: what takes long does not come along.
        for expected in ([hasty], [long, patient]):
            parts = []
            assert gather(queue, 1000, pace, parts, seconds=60.0)
            assert [part.job for part in parts] == expected
        await late.future
        with pytest.raises(ExpiredError):
            late.result()

    asyncio.run(main())


def test_the_pace_is_that_of_the_big_batches():
    pace = Pace()
    assert pace.seconds_for(100) == 0
    pace.add(work=10_000, seconds=1.0)
    for _ in range(5):
        pace.add(work=10, seconds=0.01)
    assert pace.seconds_for(10_000) == pytest.approx(1.0, rel=0.1)
    for _ in range(120):
        pace.add(work=10, seconds=0.01)
    assert pace.seconds_for(10) == pytest.approx(0.01, rel=0.2)


def test_a_batch_without_weight_teaches_nothing():
    pace = Pace()
    pace.add(work=0, seconds=60.0)
    assert pace.seconds_for(100) == 0
    pace.add(work=100, seconds=1.0)
    for _ in range(100):
        pace.add(work=0, seconds=60.0)
    assert pace.seconds_for(100) == pytest.approx(1.0)


@pytest.mark.parametrize("item", ["", [], [""], [""] * 1000, ["Ada", "", "in"]])
def test_what_is_empty_weighs_what_it_takes(item):
    tokens = len(item) if isinstance(item, list) else 0
    assert size_of(item) == 1 + tokens + len("".join(item))


def test_empty_tokens_fill_the_queue_and_are_part_of_the_backlog():
    async def main():
        tagger = FakeTagger()
        served = Served(tagger)
        with engine(max_waiting_characters=2500, max_waiting_seconds=1.0) as made:
            made._pace.add(work=1000, seconds=0.1)
            running = await occupied(made, tagger)

            def empty():
                return Job(
                    served,
                    [[""] * 1000],
                    time.monotonic() + 30,
                    Work(),
                    characters=size_of([""] * 1000),
                )

            waiting = [asyncio.create_task(made.run(empty())) for _ in range(2)]
            await until(lambda: len(made.queue) == 2)
            assert made.backlog_seconds == pytest.approx(0.2, rel=0.1)
            with pytest.raises(QueueFullError):
                await made.run(empty())
            tagger.gate.set()
            await asyncio.gather(running, *waiting)

    asyncio.run(main())


@pytest.mark.parametrize("end", ["deadline", "client"])
def test_what_nobody_waits_for_any_more_is_not_worked_on_to_its_end(end):
    async def main():
        tagger = FakeTagger()
        gone = asyncio.Event()
        with engine() as made:
            tagger.gate.clear()
            seconds = 0.2 if end == "deadline" else 30.0
            late = asyncio.create_task(made.run(job(tagger, *"abc", seconds=seconds), gone.wait))
            await until(lambda: tagger.calls)
            if end == "client":
                gone.set()
            with pytest.raises(ExpiredError if end == "deadline" else GoneError):
                await late
            tagger.gate.set()
            assert texts(await made.run(job(tagger, "next"))) == ["next"]
            assert tagger.annotated == 1
            assert [len(call) for call in tagger.calls] == [3, 1]

    asyncio.run(main())


def test_a_batch_goes_on_for_whoever_still_waits():
    async def main():
        tagger = FakeTagger()
        served = Served(tagger)
        with engine() as made:
            running = await occupied(made, tagger)
            late = asyncio.create_task(made.run(job(served, "late", seconds=0.2)))
            patient = asyncio.create_task(made.run(job(served, "patient")))
            await until(lambda: len(made.queue) == 2)
            tagger.gate.set()
            await running
            await asyncio.gather(late, return_exceptions=True)
            assert texts(await patient) == ["patient"]

    asyncio.run(main())


def test_the_event_loop_tags_small_jobs_itself_those_of_one_turn_together():
    async def main():
        tagger = FakeTagger()
        served = Served(tagger)
        with engine(loop_weight=50) as made:
            await until(lambda: made.queue.is_idle)
            jobs = [asyncio.create_task(made.run(job(served, f"a{n}", "b"))) for n in range(5)]
            found = await asyncio.gather(*jobs)
            assert [texts(o) for o in found] == [[f"a{n}", "b"] for n in range(5)]
            assert tagger.threads == {"MainThread"}
            assert [len(call) for call in tagger.calls] == [10]
            assert made.idle_seconds < 10

    asyncio.run(main())


def test_the_event_loop_does_a_bounded_amount_in_a_turn_and_leaves_the_rest_to_the_thread():
    async def main():
        tagger = FakeTagger()
        served = Served(tagger)
        turns = []
        with engine(loop_weight=10) as made:
            await until(lambda: made.queue.is_idle)
            jobs = [asyncio.create_task(made.run(job(served, "a" * 5))) for _ in range(110)]
            while not all(one.done() for one in jobs):
                turns.append(len(tagger.calls))
                await asyncio.sleep(0)
            assert tagger.threads == {"MainThread", "inference"}
            # Fifty goes of two may wait; others have their turn between them.
            assert len(set(turns)) >= 40
            assert [len(call) for call in tagger.calls].count(2) >= 50

    asyncio.run(main())


def test_what_waits_for_the_event_loop_waits():
    async def main():
        served = Served(FakeTagger())
        with engine(loop_weight=10, max_waiting=20) as made:
            await until(lambda: made.queue.is_idle)
            jobs = [asyncio.create_task(made.run(job(served, "a" * 5))) for _ in range(20)]
            await asyncio.sleep(0)
            assert made.waiting == (20, 100)
            await asyncio.gather(*jobs)
            assert made.waiting == (0, 0)
            assert served.tagger.threads == {"MainThread"}

    asyncio.run(main())


@pytest.mark.parametrize("wish", [{"paths": 2}, {"weight": 51}, {"busy": True}])
def test_what_is_long_or_finds_the_thread_at_work_is_left_to_the_thread(wish):
    async def main():
        tagger = FakeTagger()
        with engine(loop_weight=50) as made:
            await until(lambda: made.queue.is_idle)
            text = "a" * wish.get("weight", 5)
            if "busy" in wish:
                running = asyncio.create_task(made.run(job(tagger, "c" * 60)))
                await asyncio.sleep(0)
                await made.run(job(tagger, text))
                await running
            else:
                await made.run(job(tagger, text, paths=wish.get("paths", 0)))
            assert tagger.threads == {"inference"}

    asyncio.run(main())


def test_a_bad_item_fails_alone_on_the_event_loop_too():
    async def main():
        tagger = FakeTagger(poison="bad")
        served = Served(tagger)
        with engine(loop_weight=50) as made:
            await until(lambda: made.queue.is_idle)
            jobs = [made.run(job(served, "good")), made.run(job(served, "bad", "fine"))]
            good, bad = await asyncio.gather(*map(asyncio.ensure_future, jobs))
            assert texts(good) == ["good"]
            assert isinstance(bad[0], Failure)
            assert texts(bad[1:]) == ["fine"]
            assert tagger.threads == {"MainThread"}

    asyncio.run(main())


def test_a_job_that_is_left_before_its_turn_is_not_tagged():
    async def main():
        tagger = FakeTagger()
        with engine(loop_weight=50) as made:
            await until(lambda: made.queue.is_idle)
            running = asyncio.create_task(made.run(job(tagger, "a")))
            await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await made.run(job(tagger, "b"))
            assert tagger.calls == [["b"]]

    asyncio.run(main())


def test_a_batch_is_no_longer_than_its_seconds_and_the_next_begins_where_it_ended():
    async def main():
        served = Served(FakeTagger())
        queue, pace = Queue(max_jobs=10, max_characters=1000), Pace()
        pace.add(work=100, seconds=1.0)
        jobs = [job(served, letter * 40) for letter in "abcd"]
        for one in jobs:
            queue.put(one)
        for expected in (jobs[:2], jobs[2:]):
            parts = []
            assert gather(queue, 1000, pace, parts, seconds=1.0)
            assert [part.job for part in parts] == expected
        assert (len(queue), queue.characters, queue.weight) == (0, 0, 0.0)

    asyncio.run(main())


def test_a_job_is_refused_when_what_waits_takes_half_of_its_time():
    async def main():
        tagger = FakeTagger()
        with engine() as made:
            running = await occupied(made, tagger)
            made._pace.add(100.0, 1.0)
            waiting = asyncio.create_task(made.run(job(tagger, "x" * 95)))
            await until(lambda: len(made.queue) == 1)  # a second of work, with "first"
            with pytest.raises(QueueFullError):
                await made.run(job(tagger, "y", seconds=1.9))
            assert made.would_be_late(1.0, 1.9)
            assert not made.would_be_late(1.0, 2.1)
            later = asyncio.create_task(made.run(job(tagger, "y", seconds=30)))
            tagger.gate.set()
            await asyncio.gather(running, waiting, later)

    asyncio.run(main())


def test_a_small_batch_tells_nothing_of_the_pace():
    async def main():
        with engine(telling_weight=100.0) as made:
            await made.run(job(FakeTagger(), "x" * 99))
            assert not made._pace.seconds_for(1.0)
            await made.run(job(FakeTagger(), "x" * 100))
            assert made._pace.seconds_for(1.0)

    asyncio.run(main())


def test_small_jobs_get_their_turn_within_a_batch_that_takes_long():
    class Long(FakeTagger):
        """Takes a text of `l` in steps, until it is told to end."""

        def annotate_items(self, readings, phases=None, between=lambda: None):
            while any("l" in str(r.text) for r in readings) and not self.is_over:
                time.sleep(0.005)
                between()
            return super().annotate_items(readings, phases, between)

    async def main():
        tagger = Long()
        tagger.is_over = False
        served = Served(tagger)
        with engine(meanwhile_seconds=0.0) as made:
            long = asyncio.create_task(made.run(job(served, "l")))
            large = asyncio.create_task(made.run(job(served, "L" * 9000, paths=2)))
            await asyncio.sleep(0.01)
            found = await asyncio.gather(*(made.run(job(served, f"a{n}", "b")) for n in range(3)))
            assert [texts(o) for o in found] == [[f"a{n}", "b"] for n in range(3)]
            assert not long.done()
            assert not large.done()
            assert tagger.threads == {"inference"}
            tagger.is_over = True
            await asyncio.gather(long, large)

    asyncio.run(main())


def test_a_long_job_ends_within_its_steps_when_its_time_is_over():
    class Endless(FakeTagger):
        def annotate_items(self, *arguments):
            while True:
                time.sleep(0.002)
                arguments[2]()

    async def main():
        with engine() as made:
            with pytest.raises(ExpiredError):
                await made.run(job(Endless(), "x", seconds=0.05))
            assert texts(await made.run(job(FakeTagger(), "y"))) == ["y"]

    asyncio.run(main())


def test_whoever_waits_is_told_when_the_event_loop_fails_at_it():
    class Dead(BaseException):
        pass

    class Broken(FakeTagger):
        def annotate_items(self, *_):
            raise Dead

    async def main():
        with engine(loop_weight=50) as made:
            await until(lambda: made.queue.is_idle)
            with pytest.raises(RuntimeError, match="tagging failed"):
                await made.run(job(Broken(), "a"))
            assert texts(await made.run(job(FakeTagger(), "b"))) == ["b"]

    asyncio.run(main())
