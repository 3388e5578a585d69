# SPDX-License-Identifier: BSL-1.0
"""Eight threads write to one SQLite database (write-ahead log, waiting for each other by busy_timeout); nothing is lost."""
import sqlite3
import tempfile
import threading

WRITERS = 8
ROUNDS = 50


def write(path, me, failures):
    try:
        database = sqlite3.connect(path, timeout=100, isolation_level=None)
        database.execute("pragma synchronous=off")
        for i in range(ROUNDS):
            database.execute("begin immediate")
            database.execute("insert into rows values(?, ?)", (me, i))
            database.execute("update total set n = n + 1")
            database.execute("commit")
            if database.execute("select count(*) from rows where writer = ?", (me,)).fetchone()[0] != i + 1:
                failures.append(f"writer {me} does not see its own row {i}")
        database.close()
    except sqlite3.Error as error:
        failures.append(f"writer {me}: {error}")


with tempfile.TemporaryDirectory() as directory:
    path, failures = directory + "/database", []
    database = sqlite3.connect(path)
    database.execute("pragma journal_mode=wal")
    database.execute("create table rows(writer int, i int)")
    database.execute("create table total(n int)")
    database.execute("insert into total values(0)")
    database.commit()
    threads = [threading.Thread(target=write, args=(path, me, failures)) for me in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(failures)
    print(*database.execute("select count(*), sum(i) from rows"), *database.execute("select n from total"), *database.execute("pragma integrity_check"))
    database.close()
