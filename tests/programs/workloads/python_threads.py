# SPDX-License-Identifier: BSL-1.0
"""Python's threading, queue and concurrent.futures at work: every class of them, a few dozen threads at a time.

Prints only what must come out the same on every run. Python's interpreter lock is a mutex and a condition variable with a
timeout, taken and given back a hundred times a second by every thread that computes: hard work for a scheduler underneath.
"""
import collections
import concurrent.futures
import hashlib
import io
import queue
import random
import re
import sys
import threading
import time
import zlib


def run_all(bodies):
    threads = [threading.Thread(target=body) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def report(name, *values):
    print(name + ":", *values)


def locks():
    lock, count = threading.Lock(), [0]

    def body():
        for _ in range(3000):
            with lock:
                count[0] += 1

    run_all([body] * 20)
    report("lock", count[0])

    rlock, depths = threading.RLock(), []

    def recurse(depth):
        with rlock:
            if depth:
                recurse(depth - 1)
            else:
                depths.append(threading.get_ident())

    run_all([lambda: [recurse(20) for _ in range(50)]] * 12)
    report("rlock", len(depths), len(set(depths)) >= 1)

    taken = threading.Lock()
    taken.acquire()
    results = []
    run_all([lambda: results.append(taken.acquire(timeout=0.01))] * 10)
    report("lock timeouts", results)
    try:
        rlock.release()
    except RuntimeError as error:
        report("rlock error", error)


def conditions():
    condition, turn, log = threading.Condition(), [0], []
    count, laps = 16, 40

    def body(me):
        for _ in range(laps):
            with condition:
                condition.wait_for(lambda: turn[0] % count == me)
                log.append(me)
                turn[0] += 1
                condition.notify_all()

    run_all([lambda me=i: body(me) for i in range(count)])
    report("condition", turn[0], log == [i % count for i in range(count * laps)])
    with condition:
        report("condition timeout", condition.wait(0.01))


def semaphores():
    semaphore, inside, most, guard = threading.BoundedSemaphore(4), [0], [0], threading.Lock()

    def body():
        for _ in range(100):
            with semaphore:
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0)
                with guard:
                    inside[0] -= 1

    run_all([body] * 25)
    report("semaphore", inside[0], most[0] <= 4)
    try:
        semaphore.release()
    except ValueError as error:
        report("bounded semaphore", error)


def barriers_and_events():
    barrier, arrived, broken = threading.Barrier(10), [], []

    def meet():
        for phase in range(30):
            arrived.append(phase)
            barrier.wait()

    run_all([meet] * 10)
    report("barrier", arrived == sorted(arrived), len(arrived))

    lonely = threading.Barrier(3)

    def too_few():
        try:
            lonely.wait(timeout=0.05)
        except threading.BrokenBarrierError:
            broken.append(1)

    run_all([too_few] * 2)
    report("broken barrier", len(broken))

    events, order = [threading.Event() for _ in range(50)], []

    def chain(i):
        events[i].wait()
        order.append(i)
        if i + 1 < len(events):
            events[i + 1].set()

    threads = [threading.Thread(target=chain, args=(i,)) for i in reversed(range(50))]
    for thread in threads:
        thread.start()
    events[0].set()
    for thread in threads:
        thread.join()
    report("events", order == list(range(50)), threading.Event().wait(0.005))


def timers():
    fired, done = [], threading.Semaphore(0)

    def fire(i):
        fired.append(i)
        done.release()

    all_timers = [threading.Timer(0.002 * i, fire, (i,)) for i in range(20)]
    cancelled = [threading.Timer(3600, fire, (-1,)) for _ in range(10)]
    for timer in all_timers + cancelled:
        timer.start()
    for _ in all_timers:
        done.acquire()
    for timer in cancelled:
        timer.cancel()
    for timer in all_timers + cancelled:
        timer.join()
    report("timers", sorted(fired) == list(range(20)))


def thread_locals():
    local, wrong = threading.local(), []

    def body(me):
        local.value, local.items = me, []
        for i in range(200):
            local.items.append(i)
            if i % 10 == 0:
                time.sleep(0)
            if local.value != me or len(local.items) != i + 1:
                wrong.append(me)

    run_all([lambda me=i: body(me) for i in range(30)])
    report("thread locals", len(wrong), hasattr(local, "value"))


def queues():
    for make in (lambda: queue.Queue(5), lambda: queue.LifoQueue(5), lambda: queue.PriorityQueue(5), queue.SimpleQueue):
        channel, got, guard = make(), [], threading.Lock()

        def produce(me):
            for i in range(200):
                channel.put(me * 1000 + i)

        def consume():
            mine = []
            while (item := channel.get()) != 10**9:
                mine.append(item)
            with guard:
                got.extend(mine)

        consumers = [threading.Thread(target=consume) for _ in range(6)]
        for thread in consumers:
            thread.start()
        run_all([lambda me=i: produce(me) for i in range(6)])
        while not channel.empty():
            time.sleep(0.001)
        for _ in consumers:
            channel.put(10**9)
        for thread in consumers:
            thread.join()
        report(type(channel).__name__, len(got), sum(got))

    jobs, finished = queue.Queue(), []

    def work():
        while True:
            item = jobs.get()
            finished.append(item)
            jobs.task_done()

    for _ in range(5):
        threading.Thread(target=work, daemon=True).start()
    for i in range(500):
        jobs.put(i)
    jobs.join()
    report("task_done", len(finished), sum(finished))
    try:
        jobs.get(timeout=0.01)
    except queue.Empty:
        report("queue timeout")


def text_work(seed):
    """What threads compute: strings, dictionaries, regular expressions, sorting, hashing; all inside the interpreter and malloc."""
    generator = random.Random(seed)
    words = ["%x" % generator.randrange(1 << 24) for _ in range(400)]
    counts = collections.Counter(word[0] for word in words)
    text = " ".join(sorted(words, key=lambda word: (len(word), word)))
    found = re.findall(r"\b[a-f]\w{3,4}\b", text)
    out = io.StringIO()
    for key in sorted(counts):
        print(key, counts[key], file=out)
    packed = zlib.compress((text + out.getvalue()).encode() * 20)
    assert zlib.decompress(packed)[: len(text)].decode() == text
    return hashlib.sha256(packed + str(len(found)).encode()).hexdigest()


def futures():
    expected = [text_work(seed) for seed in range(60)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=12) as pool:
        report("map", list(pool.map(text_work, range(60))) == expected)
        pending = {pool.submit(text_work, seed): seed for seed in range(60)}
        report("as_completed", all(done.result() == expected[pending[done]] for done in concurrent.futures.as_completed(pending)))
        failing = [pool.submit(lambda i=i: 1 // (i % 2)) for i in range(10)]
        report("exceptions", [type(future.exception()).__name__ for future in failing])
        done, not_done = concurrent.futures.wait([pool.submit(time.sleep, 0.001) for _ in range(30)])
        report("wait", len(done), len(not_done))
    report("digest", hashlib.sha256("".join(expected).encode()).hexdigest())


def many():
    start, counted, guard = threading.Event(), [0], threading.Lock()

    def body():
        start.wait()
        with guard:
            counted[0] += 1

    threads = [threading.Thread(target=body) for _ in range(300)]
    for thread in threads:
        thread.start()
    alive = threading.active_count() - 1
    start.set()
    for thread in threads:
        thread.join()
    report("many", alive >= 300, counted[0])
    for i in range(300):
        thread = threading.Thread(target=guard.acquire if i % 2 == 0 else guard.release)
        thread.start()
        thread.join()
    report("short threads", guard.locked())


def main():
    sys.setswitchinterval(0.001)
    for part in (locks, conditions, semaphores, barriers_and_events, timers, thread_locals, queues, futures, many):
        part()
        sys.stdout.flush()


main()
