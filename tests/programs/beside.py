# SPDX-License-Identifier: BSL-1.0
"""Servers that run natively beside the program under test, and what they need."""
import contextlib
import functools
import hashlib
import itertools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from harness import HANG_LIMIT_S, NATIVE, Failure, Session, installed

SIZES = (0, 1, 1000, 32_769, 300_000, 2_000_007)  # the greater ones are sent in many pieces
PLACES = ("sent", "read")  # nginx's threads send the file themselves, or read it for the event loop to send


@functools.cache
def content(size):
    return random.Random(size).randbytes(size)


def own_directory(workdir):
    workdir.chmod(0o755)  # servers that root starts give up their user
    return pathlib.Path(tempfile.mkdtemp(dir=workdir))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(ready, process):
    deadline = time.monotonic() + HANG_LIMIT_S
    while not ready():
        if process.poll() is not None:
            raise Failure(f"the server ended at once with status {process.returncode}")
        if time.monotonic() > deadline:
            raise Failure("the server does not listen")
        time.sleep(0.01)


def wait_until_it_listens(port, process):
    def listens():
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return True

    wait_until(listens, process)


@contextlib.contextmanager
def serving(argv, directory, end_by, **more):
    session = Session(None, NATIVE, argv, directory, **more)
    try:
        yield session.process
        session.process.send_signal(end_by)
        result = session.finish()
        if result.status != 0:
            raise Failure(f"{argv[0]} beside it ended with status {result.status}:\n{result.stderr}")
    except BaseException:
        session.kill()
        raise


# --- nginx -----------------------------------------------------------------------------------------------------------------

NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
thread_pool disk threads=16;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_timeout 1h; aio threads=disk; sendfile_max_chunk 64k; output_buffers 2 32k;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port};
    location /sent/ {{ alias {site}/; sendfile on; }}
    location /read/ {{ alias {site}/; sendfile off; }}
    location /status {{ stub_status; }}
  }}
}}
"""


def make_site(directory):
    """In nginx's and Apache's directory; each names the files by their sizes."""
    site = directory / "site"
    site.mkdir()
    for size in SIZES:
        (site / str(size)).write_bytes(content(size))
    return site


def nginx_command(port, directory):
    (directory / "nginx.conf").write_text(NGINX.format(port=port, site=make_site(directory)))
    return [installed("nginx"), "-p", directory, "-e", "stderr", "-c", directory / "nginx.conf"]


@contextlib.contextmanager
def web_server(workdir):
    """With what curl is to download, by ways to write this machine's address that only libc's resolver knows: curl asks it in threads."""
    port, directory = free_port(), own_directory(workdir)
    addresses = [f"{first}.{rest}" for first in ("127", "0177", "0x7f") for rest in ("1", "01", "0x1", "0.1")]
    downloads = ["no-progress-meter", "create-dirs", 'noproxy = "*"', *(f'connect-to = "host-{address}::{address}:"' for address in addresses)]
    with open(workdir / "sums", "w") as sums:
        for address, place, size in itertools.product(addresses, PLACES, SIZES):
            downloads += [f'url = "http://host-{address}:{port}/{place}/{size}"', f'output = "got/{address}/{place}/{size}"']
            print(f"{hashlib.sha256(content(size)).hexdigest()}  got/{address}/{place}/{size}", file=sums)
    (workdir / "downloads").write_text("\n".join(downloads) + "\n")
    with serving(nginx_command(port, directory), directory, signal.SIGTERM) as process:
        wait_until_it_listens(port, process)
        yield {"port": port}


# --- PostgreSQL ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def postgres(workdir):
    """It refuses to run as root, so nobody runs it then."""
    programs = max(pathlib.Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda path: int(path.parent.name), default=None)
    if not programs:
        raise Failure("PostgreSQL is not installed: run scripts/install-deps.sh test")
    user = "nobody" if os.geteuid() == 0 else None
    directory = own_directory(workdir)
    if user:
        shutil.chown(directory, user)

    def must(*argv, **more):
        result = Session(None, NATIVE, argv, own_directory(workdir), **more).finish()
        if result.status != 0:
            raise Failure(f"{argv[0]} ended with status {result.status}:\n{result.stderr}")

    must(programs / "initdb", "-D", directory / "data", "-U", "weft", "-A", "trust", "--no-sync", user=user)
    settings = {"listen_addresses": "", "unix_socket_directories": directory, "fsync": "off", "max_connections": 50}
    server = [programs / "postgres", "-D", directory / "data", *(f"--{name}={value}" for name, value in settings.items())]
    with serving(server, own_directory(workdir), signal.SIGINT, user=user) as process:
        wait_until(lambda: subprocess.run([programs / "pg_isready", "-q", "-h", directory]).returncode == 0, process)
        must(programs / "pgbench", "-i", "-q", "-h", directory, "-U", "weft", "postgres")
        yield {"postgres": programs, "socket": directory}
