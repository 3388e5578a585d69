# SPDX-License-Identifier: BSL-1.0
"""Twenty threads download what the file `sums` lists, from the server named on the command line, and check the sums."""
import concurrent.futures
import hashlib
import sys
import urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def download(line):
    expected, path = line.split()
    place, size = path.split("/")[-2:]
    with opener.open(f"http://{sys.argv[1]}/{place}/{size}") as response:
        return path, hashlib.sha256(response.read()).hexdigest() == expected


with open("sums") as sums, concurrent.futures.ThreadPoolExecutor(20) as pool:
    verdicts = list(pool.map(download, sums))
for path, right in verdicts:
    print(path, right)
print(sum(right for _, right in verdicts), "files are right")
sys.exit(not all(right for _, right in verdicts))
