# SPDX-License-Identifier: BSL-1.0
"""Servers under forty clients at once that check every reply. The clients are native threads of this process."""
import contextlib
import http.client
import os
import random
import re
import resource
import signal
import socket
import threading
import time

from beside import PLACES, SIZES, content, free_port, make_site, nginx_command, own_directory, wait_until_it_listens
from harness import (
    HANG_LIMIT_S, MODELS, NATIVE, WAITING, Failure, Session, check_engaged, check_same, describe_process_group, installed, run_variants,
)  # fmt: skip

CLIENTS = 40
ROUNDS = 40
REDIS_ROUNDS = 6  # its threads wait by burning their CPUs: with more of them than CPUs a reply takes some 50 ms, natively too


class Connection:
    """A blocking connection that reads lines and counted bytes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=HANG_LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Failure(f"the server closed the connection after {line!r}")
        return line[:-2]

    def bytes(self, count):
        data = self.file.read(count + 2)
        if len(data) != count + 2 or data[-2:] != b"\r\n":
            raise Failure(f"expected {count} bytes, got {len(data)}")
        return data[:-2]


def expect(what, expected, actual):
    if expected != actual:
        raise Failure(f"{what}: expected {expected[:80]!r}, got {actual[:80]!r}")


def value_of(generator):
    return generator.randbytes(generator.choice((10, 100, 1000, 30000)))


# --- memcached -------------------------------------------------------------------------------------------------------------


def memcached_command(port, directory):
    return [installed("memcached"), "-t", "8", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "64"] + (
        ["-u", "root"] if os.geteuid() == 0 else []
    )


def memcached_client(port, me, step):
    generator = random.Random(me)
    with Connection(port) as c:

        def ask(request, *reply):
            c.send(request)
            for line in reply:
                expect(request[:40].decode(errors="replace"), line, c.line())
            step()

        def fetch(key, value):
            c.send(b"get %s\r\n" % key)
            expect("get", b"VALUE %s 7 %d" % (key, len(value)), c.line())
            expect("value", value, c.bytes(len(value)))
            expect("get", b"END", c.line())
            step()

        for i in range(ROUNDS):
            key, value = b"key-%d-%d" % (me, i), value_of(generator)
            ask(b"set %s 7 0 %d\r\n%s\r\n" % (key, len(value), value), b"STORED")
            fetch(key, value)
            ask(b"append %s 0 0 3\r\nxyz\r\n" % key, b"STORED")
            fetch(key, value + b"xyz")
            ask(b"set n%d 0 0 1\r\n5\r\n" % me, b"STORED")
            ask(b"incr n%d 10\r\n" % me, b"15")
            ask(b"add %s 0 0 1\r\nq\r\n" % key, b"NOT_STORED")
            if i % 3 == 0:
                ask(b"delete %s\r\n" % key, b"DELETED")
                ask(b"get %s\r\n" % key, b"END")
            c.send(b"incr shared 1\r\n")
            if not c.line().isdigit():
                raise Failure("incr of the shared counter failed")
            step()


def memcached_before(port):
    with Connection(port) as c:
        c.send(b"set shared 0 0 1\r\n0\r\n")
        expect("set", b"STORED", c.line())


def memcached_after(port):
    with Connection(port) as c:
        c.send(b"get shared\r\n")
        c.line()
        shared = c.line()
        c.line()
        stats = {}
        c.send(b"stats\r\n")
        while (line := c.line()) != b"END":
            name, value = line.split(b" ", 2)[1:]
            stats[name] = value
    return [shared, stats[b"threads"], stats[b"cmd_set"], stats[b"get_hits"], stats[b"get_misses"], stats[b"delete_hits"]]


def memcached_stop(port, process):
    process.send_signal(signal.SIGTERM)


# --- redis -----------------------------------------------------------------------------------------------------------------


def redis_command(port, directory):
    return [installed("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--io-threads", "4", "--io-threads-do-reads", "yes"] + [
        "--save", "", "--appendonly", "no", "--daemonize", "no",
    ]  # fmt: skip


def redis_send(c, *words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    c.send(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))


def redis_reply(c):
    line = c.line()
    kind, rest = line[:1], line[1:]
    if kind == b"$":
        return None if rest == b"-1" else c.bytes(int(rest))
    if kind == b"*":
        return [redis_reply(c) for _ in range(int(rest))]
    if kind == b":":
        return int(rest)
    return rest


def redis_ask(c, *words):
    redis_send(c, *words)
    return redis_reply(c)


def redis_client(port, me, step):
    generator = random.Random(me)
    with Connection(port) as c:

        def check(expected, *words):
            reply = redis_ask(c, *words)
            if reply != expected:
                raise Failure(f"{words[:2]}: expected {str(expected)[:80]}, got {str(reply)[:80]}")
            step()

        for i in range(REDIS_ROUNDS):
            key, value = f"key-{me}-{i}", value_of(generator)
            check(b"OK", "SET", key, value)
            check(value, "GET", key)
            check(len(value) + 3, "APPEND", key, "xyz")
            check(value + b"xyz", "GET", key)
            check(i + 1, "RPUSH", f"list-{me}", i)
            check([str(n).encode() for n in range(i + 1)], "LRANGE", f"list-{me}", 0, -1)
            check(1, "HSET", f"hash-{me}", i, value)
            check(value, "HGET", f"hash-{me}", i)
            check(i * 2, "EVAL", "return tonumber(ARGV[1]) * 2", 0, i)
            for n in range(10):  # a pipeline
                redis_send(c, "SET", f"p-{me}", n)
                redis_send(c, "GET", f"p-{me}")
            for n in range(10):
                expect("pipelined SET", b"OK", redis_reply(c))
                expect("pipelined GET", b"%d" % n, redis_reply(c))
            step()
            redis_ask(c, "INCR", "shared")
            step()


def redis_before(port):
    with Connection(port) as c:
        redis_ask(c, "FLUSHALL", "ASYNC")  # work for a background thread


def redis_info(c):
    return dict(line.split(b":", 1) for line in redis_ask(c, "INFO", "everything").split(b"\r\n") if b":" in line)


def redis_after(port):
    with Connection(port) as c:
        expect("BGSAVE", b"Background saving started", redis_ask(c, "BGSAVE"))  # forks
        deadline = time.monotonic() + HANG_LIMIT_S
        while (info := redis_info(c))[b"rdb_bgsave_in_progress"] != b"0":
            if time.monotonic() > deadline:
                raise Failure("the background save does not end")
        # Whether its I/O threads were used is for redis to decide, by how many clients happened to be ready at once.
        return [redis_ask(c, "GET", "shared"), redis_ask(c, "DBSIZE"), info[b"rdb_last_bgsave_status"]]


def redis_stop(port, process):
    with Connection(port) as c:
        redis_send(c, "SHUTDOWN", "NOSAVE")
        c.file.read()


# --- HTTP ------------------------------------------------------------------------------------------------------------------


def http_connection(port):
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_LIMIT_S))


def http_answer(connection, what, status, expected):
    response = connection.getresponse()
    expect(f"{what}: status", b"%d" % status, b"%d" % response.status)
    if (body := response.read()) != expected:
        raise Failure(f"{what}: {len(body)} bytes came that are not the {len(expected)} of the file")


def http_status(port):
    with http_connection(port) as c:
        c.request("GET", "/status?auto")
        return c.getresponse().read()


# --- nginx -----------------------------------------------------------------------------------------------------------------


NGINX_ROUNDS = 30


def nginx_before(port):
    pass


def nginx_client(port, me, step):
    generator = random.Random(me)
    with http_connection(port) as c:
        for place, size in generator.choices([(place, size) for place in PLACES for size in SIZES], k=NGINX_ROUNDS):
            c.request("GET", f"/{place}/{size}")
            http_answer(c, f"/{place}/{size}", 200, content(size))
            step()
            first = generator.randrange(size // 2 + 1)
            last = generator.randrange(first, max(size, 1))
            if size:
                c.request("GET", f"/{place}/{size}", headers={"Range": f"bytes={first}-{last}"})
                http_answer(c, f"bytes {first} to {last} of /{place}/{size}", 206, content(size)[first : last + 1])
                step()


def nginx_after(port):
    accepted, handled, requests = re.search(rb"\n (\d+) (\d+) (\d+)", http_status(port)).groups()
    return [accepted, handled, requests]


def nginx_stop(port, process):
    process.send_signal(signal.SIGQUIT)


# --- Apache: a thread for each connection ----------------------------------------------------------------------------------

APACHE_CONNECTIONS = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200) // CLIENTS * CLIENTS
APACHE_ROUNDS = 3
APACHE_MODULES = ("mpm_worker", "authz_core", "status")
APACHE = """
DefaultRuntimeDir {directory}
PidFile {directory}/pid
ServerName localhost
Listen 127.0.0.1:{port}
ListenBacklog {threads}
ErrorLog /dev/stderr
ErrorLogFormat "%l: %M"
{user}
DocumentRoot {site}
ServerLimit 1
StartServers 1
ThreadLimit {threads}
ThreadsPerChild {threads}
MaxRequestWorkers {threads}
MinSpareThreads 1
MaxSpareThreads {threads}
ThreadStackSize 262144
Timeout 600
KeepAliveTimeout 600
MaxKeepAliveRequests 0
<Location /status>
  SetHandler server-status
</Location>
"""

together = threading.Barrier(CLIENTS, timeout=HANG_LIMIT_S)


def apache_command(port, directory):
    apache = installed("apache2")
    modules = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in APACHE_MODULES)
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    settings = APACHE.format(port=port, directory=directory, site=make_site(directory), user=user, threads=APACHE_CONNECTIONS + 10)
    (directory / "apache.conf").write_text(modules + settings)
    return [apache, "-d", directory, "-f", directory / "apache.conf", "-DFOREGROUND"]


def apache_before(port):
    together.reset()


def apache_client(port, me, step):
    with contextlib.ExitStack() as stack:
        stack.push(lambda failure, *unused: failure and together.abort())  # nobody waits for a client that has failed
        connections = [stack.enter_context(http_connection(port)) for _ in range(APACHE_CONNECTIONS // CLIENTS)]
        for turn in range(APACHE_ROUNDS):
            asked = [(c, SIZES[(me + turn + i) % 4]) for i, c in enumerate(connections)]
            for c, size in asked:
                c.request("GET", f"/{size}")
            for c, size in asked:
                http_answer(c, f"/{size}", 200, content(size))
                step()
            together.wait()
            if me == 0:
                busy = int(re.search(rb"^BusyWorkers: (\d+)", http_status(port), re.M).group(1))
                if busy != APACHE_CONNECTIONS + 1:
                    raise Failure(f"{busy} threads have a connection, not {APACHE_CONNECTIONS + 1}")
            together.wait()


def apache_after(port):
    return [APACHE_CONNECTIONS]


def apache_stop(port, process):
    process.send_signal(signal.SIGTERM)


# --- all -------------------------------------------------------------------------------------------------------------------

SERVERS = {
    "memcached": (memcached_command, memcached_before, memcached_client, memcached_after, memcached_stop, MODELS),
    "redis": (redis_command, redis_before, redis_client, redis_after, redis_stop, MODELS),
    "nginx": (nginx_command, nginx_before, nginx_client, nginx_after, nginx_stop, WAITING),
    "apache": (apache_command, apache_before, apache_client, apache_after, apache_stop, MODELS),
}


def run_clients(port, client):
    """All at once; the first failure is the one reported. Returns the number of replies checked."""
    failures, steps, guard = [], [0] * CLIENTS, threading.Lock()

    def body(me):
        def step():
            steps[me] += 1

        try:
            client(port, me, step)
        except Exception as error:
            with guard:
                failures.append(f"client {me} after {steps[me]} replies: {error!r}")

    threads = [threading.Thread(target=body, args=(me,)) for me in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Failure(f"{len(failures)} of {CLIENTS} clients failed; {failures[0]}")
    return sum(steps)


def serve(name, weft, variant, workdir):
    command, before, client, after, stop, _ = SERVERS[name]
    port, directory = free_port(), own_directory(workdir)  # redis would load what another run has saved
    session = Session(weft, variant, command(port, directory), directory)
    try:
        wait_until_it_listens(port, session.process)
        before(port)
        replies = run_clients(port, client)
        outcome = after(port)
        stop(port, session.process)
    except (Failure, OSError) as error:
        report = describe_process_group(session.process.pid)
        session.kill()
        raise Failure(f"{error}\nkernel threads of the server:\n{report}\n--- stderr\n{session.finish().stderr[-3000:]}") from None
    except BaseException:
        session.kill()
        raise
    result = session.finish()
    check_engaged(variant, result)
    return result.status, replies, outcome, result.stderr.replace(str(directory), "")


def run_server_case(name, weft, workdir, natively_only):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))  # here and in the server
    expected = serve(name, weft, NATIVE, workdir)
    print(f"{name}: natively status {expected[0]}, {expected[1]} replies right, at the end {expected[2]}", flush=True)
    variants = (NATIVE,) if natively_only else SERVERS[name][-1]
    return run_variants(
        name, variants, lambda variant: check_same("outcome", str(expected), str(serve(name, weft, variant, workdir)))
    )
