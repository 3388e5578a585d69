// SPDX-License-Identifier: BSL-1.0
// The questions, put to std::thread. The standard has no channel: a mutex, two condition variables and a queue make one, as people write it.
#include <sched.h>

#include <condition_variable>
#include <deque>
#include <thread>

#include "questions.hpp"

namespace {

struct std_rival {
  using strand = std::thread;
  using mutex = std::mutex;
  using condition = std::condition_variable;

  template <class T>
  class channel {
   public:
    explicit channel(std::size_t capacity) : capacity_(capacity) {}
    void send(T value) {
      std::unique_lock hold(mutex_);
      not_full_.wait(hold, [this] { return values_.size() < std::max(capacity_, std::size_t{1}); });
      values_.push_back(std::move(value));
      const std::uint64_t mine = ++sent_;
      not_empty_.notify_one();
      if (capacity_ == 0) taken_.wait(hold, [this, mine] { return received_ >= mine; });
    }
    T receive() {
      std::unique_lock hold(mutex_);
      not_empty_.wait(hold, [this] { return !values_.empty(); });
      T value = std::move(values_.front());
      values_.pop_front();
      ++received_;
      if (capacity_ == 0) taken_.notify_all();
      not_full_.notify_one();
      return value;
    }

   private:
    const std::size_t capacity_;
    mutex mutex_;
    condition not_empty_, not_full_, taken_;
    std::deque<T> values_;
    std::uint64_t sent_ = 0, received_ = 0;
  };

  // The usual pid_max is 32,768, and the rest of the machine wants some.
  static constexpr long most_alive = 20'000, slower = 20;
  static const char* version() { return "std::thread"; }
  static void yield() { std::this_thread::yield(); }
  static void sleep_for(std::chrono::nanoseconds span) { std::this_thread::sleep_for(span); }
  template <class F>
  static strand at(int place, F f) {
    return strand([=] {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(place, &one);
      (void)::sched_setaffinity(0, sizeof one, &one);  // refused: then it is not pinned
      f();
    });
  }
  template <class F>
  static void run(F f) {
    f();
  }
};

}  // namespace

int main(int argc, char** argv) { return bench::library::main_of<std_rival>(argc, argv); }
