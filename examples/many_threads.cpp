// SPDX-License-Identifier: BSL-1.0
// So many threads alive at once that kernel threads run out: each counts itself in, waits until all are there, and leaves. The
// kernel stops at pid_max (32,768 as a rule); user-level threads do not notice. No Weft header; std::thread cannot choose a
// stack size, so run it with small stacks:  weft run --stack-size=64K -- many_threads
//
//   many_threads [THREADS]      default 100000; exits 1 when the system gives fewer
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  const long wanted = argc > 1 ? std::atol(argv[1]) : 100000;
  if (wanted < 1 || wanted > 10'000'000) {
    std::fprintf(stderr, "usage: many_threads [THREADS]   (1 to 10000000)\n");
    return 2;
  }
  std::mutex mutex;
  std::condition_variable all_here, may_leave;
  long alive = 0, most_alive = 0, started = 0;
  bool leave = false;

  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(wanted));
  try {
    for (; started < wanted; ++started)
      threads.emplace_back([&] {
        std::unique_lock lock{mutex};
        most_alive = ++alive;
        all_here.notify_one();  // only the main thread waits here
        may_leave.wait(lock, [&] { return leave; });
        --alive;
      });
  } catch (const std::system_error& e) {
    std::fprintf(stderr, "many_threads: no thread after %ld: %s\n", started, e.what());
  }
  {
    std::unique_lock lock{mutex};
    all_here.wait(lock, [&] { return alive == started; });
    leave = true;
    may_leave.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("%ld threads were alive at once, %ld are left\n", most_alive, alive);
  return most_alive == wanted ? EXIT_SUCCESS : EXIT_FAILURE;
}
