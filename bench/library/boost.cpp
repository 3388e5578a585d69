// SPDX-License-Identifier: BSL-1.0
// The questions, put to Boost.Fiber. BENCH_CARRIERS=1: its round robin and pooled stacks; 2: its work stealing on two kernel threads, and
// stacks from malloc, because its pool is for one kernel thread.
#include <boost/fiber/all.hpp>
#include <boost/version.hpp>

#include <future>
#include <string>
#include <thread>
#include <variant>

#include "questions.hpp"

namespace {

using namespace boost::fibers;

constexpr std::size_t stack_size = 64 * 1024;  // as Weft's fibers have

bool two_carriers() {
  static const bool two = [] {
    const char* carriers = std::getenv("BENCH_CARRIERS");
    return carriers != nullptr && std::atoi(carriers) == 2;
  }();
  return two;
}

class boost_strand : public fiber {
 public:
  boost_strand() = default;
  template <class F>
  explicit boost_strand(F f) : fiber(two_carriers() ? fiber(std::allocator_arg, fixedsize_stack(stack_size), f) : fiber(std::allocator_arg, pool(), f)) {}

 private:
  /// Chunks of 1,024 stacks at most, or it asks the system for more than that has.
  static pooled_fixedsize_stack& pool() {
    static pooled_fixedsize_stack stacks(stack_size, 32, 1024);
    return stacks;
  }
};

struct boost_rival {
  using strand = boost_strand;
  using mutex = boost::fibers::mutex;
  using condition = condition_variable;

  template <class T>
  class channel {
   public:
    explicit channel(std::size_t capacity) {
      if (capacity != 0) ends_.template emplace<buffered_channel<T>>(capacity);
    }
    void send(T value) {
      std::visit([&](auto& c) { c.push(std::move(value)); }, ends_);
    }
    T receive() {
      return std::visit([](auto& c) { return c.value_pop(); }, ends_);
    }

   private:
    std::variant<unbuffered_channel<T>, buffered_channel<T>> ends_;
  };

  static constexpr long most_alive = 2'000'000, slower = 5;
  static const char* version() {
    static const std::string text = "Boost.Fiber " + std::to_string(BOOST_VERSION / 100'000) + "." + std::to_string(BOOST_VERSION / 100 % 1'000);
    return text.c_str();
  }
  static void yield() { boost::this_fiber::yield(); }
  static void sleep_for(std::chrono::nanoseconds span) { boost::this_fiber::sleep_for(span); }

  template <class F>
  static void run(F f) {
    if (!two_carriers()) return f();
    std::promise<void> ready;
    std::thread([&ready] {
      use_scheduling_algorithm<algo::work_stealing>(2);
      ready.set_value();
      boost::fibers::mutex m;
      std::unique_lock hold(m);
      condition().wait(hold, [] { return false; });
    }).detach();
    use_scheduling_algorithm<algo::work_stealing>(2);
    ready.get_future().wait();
    f();
    std::fflush(stdout);
    std::_Exit(0);  // the other kernel thread goes on looking for work
  }
};

}  // namespace

int main(int argc, char** argv) { return bench::library::main_of<boost_rival>(argc, argv); }
