// SPDX-License-Identifier: BSL-1.0
// How this program starts its threads and how they wait for each other at the start. When the system has no thread left to
// give there is nothing sensible to go on with, so that is one line and the end.
#pragma once

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace connections {

template <class F>
std::thread start_thread(F&& body) try {
  return std::thread{std::forward<F>(body)};
} catch (const std::system_error& e) {
  std::fprintf(stderr, "connections: cannot start one more thread: %s (limits: pid_max, ulimit -u, max_map_count)\n", e.what());
  std::_Exit(EXIT_FAILURE);
}

/// Opens for all when the last one has arrived. A mutex and a condition variable: std::latch would wait in a bare futex call.
class gate {
 public:
  explicit gate(std::size_t expected) : missing_{expected} {}
  void arrive() {
    const std::lock_guard lock{mutex_};
    if (--missing_ == 0) open_.notify_all();
  }
  void arrive_and_wait() {
    std::unique_lock lock{mutex_};
    if (--missing_ == 0) open_.notify_all();
    open_.wait(lock, [this] { return missing_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable open_;
  std::size_t missing_;
};

}  // namespace connections
