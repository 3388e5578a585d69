# SPDX-License-Identifier: BSL-1.0
"""An event loop that learns by SIGCHLD that its children have ended, while other threads run; it starts them by vfork."""
import asyncio
import threading
import warnings

warnings.simplefilter("ignore", DeprecationWarning)
stop = threading.Event()


def company():
    while not stop.wait(0.001):
        pass


async def statuses():
    children = [await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {n}") for n in range(5)]
    return [await child.wait() for child in children]


threads = [threading.Thread(target=company) for _ in range(3)]
for thread in threads:
    thread.start()
asyncio.set_child_watcher(asyncio.SafeChildWatcher())
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
asyncio.get_child_watcher().attach_loop(loop)
for _ in range(10):
    print(loop.run_until_complete(statuses()))
stop.set()
for thread in threads:
    thread.join()
