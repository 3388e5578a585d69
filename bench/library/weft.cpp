// SPDX-License-Identifier: BSL-1.0
// The questions, put to Weft's own threads and fibers: weft fiber|thread QUESTION [DIVISOR]
#include <weft/channel.hpp>
#include <weft/condition_variable.hpp>
#include <weft/fiber.hpp>
#include <weft/mutex.hpp>
#include <weft/thread.hpp>

#include "questions.hpp"

namespace {

template <class Strand>
struct weft_rival {
  using strand = Strand;
  using mutex = weft::mutex;
  using condition = weft::condition_variable;
  template <class T>
  class channel : weft::channel<T> {
   public:
    using weft::channel<T>::channel;
    void send(T value) { (void)weft::channel<T>::send(std::move(value)); }
    T receive() { return *weft::channel<T>::receive(); }
  };
  static constexpr long most_alive = 2'000'000, slower = 1;
  static const char* version() { return "Weft"; }
  static void yield() { weft::this_thread::yield(); }
  static void sleep_for(std::chrono::nanoseconds span) { weft::this_thread::sleep_for(span); }
  template <class F>
  static strand at(int place, F f) {
    return strand({.pinned_to = place % static_cast<int>(strand::hardware_concurrency())}, f);
  }
  template <class F>
  static void run(F f) {
    strand(f).join();
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 1 ? argv[1] : "";
  if (kind == "fiber") return bench::library::main_of<weft_rival<weft::fiber>>(argc - 1, argv + 1);
  if (kind == "thread") return bench::library::main_of<weft_rival<weft::thread>>(argc - 1, argv + 1);
  std::fputs("usage: weft fiber|thread QUESTION [DIVISOR]\n", stderr);
  return 2;
}
