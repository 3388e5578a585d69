// SPDX-License-Identifier: BSL-1.0
// A program that uses all of the standard's threading interface, in the namespace `sut`: namespace std here, namespace weft there. What it saw
// is text, which must be the same. Its includer defines `namespace sut = ...` before it, and PORT, a name for the function.
#include <functional>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "port_result.hpp"

namespace {

using namespace std::chrono_literals;

template <class F>
void note_error(std::ostream& out, const char* what, F f) {
  out << what << ": ";
  try {
    f();
    out << "nothing";
  } catch (const std::future_error& e) {
    out << "future_error " << e.code().value();
  } catch (const std::system_error& e) {
    out << "system_error " << e.code().value();
  } catch (const std::exception& e) {
    out << "exception " << e.what();
  }
  out << '\n';
}

void use_threads(std::ostream& out) {
  int sum = 0;
  sut::thread t([&sum](int a, std::unique_ptr<int> b, const std::string& c) { sum = a + *b + std::stoi(c); }, 1, std::make_unique<int>(2), "3");
  out << "joinable " << t.joinable() << (t.get_id() == sut::thread::id()) << (t.get_id() == sut::this_thread::get_id());
  sut::thread u(std::move(t));
  out << t.joinable() << u.joinable();
  swap(t, u);
  t.join();
  out << t.joinable() << " sum " << sum << '\n';
  note_error(out, "join of none", [&] { t.join(); });
  note_error(out, "detach of none", [&] { t.detach(); });
  sut::thread([] {}).detach();
  out << "concurrency " << (sut::thread::hardware_concurrency() > 0) << " hash "
      << (std::hash<sut::thread::id>()(sut::thread::id()) == std::hash<sut::thread::id>()(u.get_id())) << '\n';
  int stops = 0;
  {
    sut::jthread j([&stops](sut::stop_token stop, int n) {
      sut::stop_callback note(stop, [&stops, n] { stops += n; });
      while (!stop.stop_requested()) sut::this_thread::yield();
    }, 5);
    out << "jthread " << j.joinable() << j.get_stop_token().stop_possible() << j.get_stop_source().stop_requested();
    sut::jthread k = std::move(j);
    out << j.joinable() << k.request_stop() << k.request_stop();
    k.swap(j);
  }
  out << " stops " << stops << '\n';
  const auto start = std::chrono::steady_clock::now();
  sut::this_thread::sleep_for(2ms);
  sut::this_thread::sleep_until(std::chrono::system_clock::now() + 2ms);
  out << "slept " << (std::chrono::steady_clock::now() - start >= 4ms) << '\n';
}

template <class M>
void use_mutex(std::ostream& out, const char* name) {
  M m;
  int count = 0;
  {
    std::vector<sut::jthread> all;
    for (int i = 0; i < 4; ++i)
      all.emplace_back([&] {
        for (int n = 0; n < 100; ++n) {
          sut::lock_guard<M> hold(m);
          ++count;
        }
      });
  }
  sut::unique_lock<M> held(m);
  bool other_has_it = true;
  sut::thread([&] { other_has_it = sut::unique_lock<M>(m, sut::try_to_lock).owns_lock(); }).join();
  out << name << ' ' << count << other_has_it;
  if constexpr (requires { m.try_lock_for(1ms); }) {
    sut::thread([&] { other_has_it = m.try_lock_for(1ms) || m.try_lock_until(std::chrono::system_clock::now() + 1ms); }).join();
    out << other_has_it;
  }
  if constexpr (requires { m.lock_shared(); }) {
    held.unlock();
    const sut::shared_lock<M> reader(m);
    sut::thread([&] {
      const sut::shared_lock<M> second(m, sut::defer_lock);
      const sut::shared_lock<M> third(m);
      other_has_it = m.try_lock();
      out << second.owns_lock() << third.owns_lock() << other_has_it;
    }).join();
  }
  out << '\n';
}

void use_several_locks(std::ostream& out) {
  sut::mutex a;
  sut::recursive_timed_mutex b;
  {
    const sut::scoped_lock both(a, b);
    out << "recursive " << b.try_lock();
    b.unlock();
  }
  sut::lock(a, b);
  const sut::lock_guard<sut::mutex> ga(a, sut::adopt_lock);
  const sut::lock_guard<sut::recursive_timed_mutex> gb(b, sut::adopt_lock);
  sut::thread([&] { out << " try_lock " << sut::try_lock(b, a) << '\n'; }).join();
}

void use_conditions(std::ostream& out) {
  sut::mutex m;
  sut::condition_variable c;
  sut::condition_variable_any any;
  int stage = 0;
  sut::thread t([&] {
    sut::unique_lock<sut::mutex> hold(m);
    c.wait(hold, [&] { return stage == 1; });
    stage = 2;
    any.notify_all();
  });
  sut::unique_lock<sut::mutex> hold(m);
  out << "conditions " << (c.wait_for(hold, 1ms) == sut::cv_status::timeout) << c.wait_until(hold, std::chrono::steady_clock::now() + 1ms, [] { return false; });
  stage = 1;
  c.notify_one();
  any.wait(hold, [&] { return stage == 2; });
  sut::stop_source stop;
  out << any.wait_for(hold, stop.get_token(), 1ms, [] { return false; });
  hold.unlock();
  sut::thread stopper([&] { stop.request_stop(); });
  hold.lock();
  out << any.wait(hold, stop.get_token(), [] { return false; }) << hold.owns_lock() << '\n';
  hold.unlock();
  stopper.join();
  t.join();
}

void use_coordination(std::ostream& out) {
  sut::counting_semaphore<10> tokens(1);
  sut::binary_semaphore binary(0);
  tokens.acquire();
  out << "semaphores " << tokens.try_acquire() << tokens.try_acquire_for(1ms) << (tokens.max() >= 10);
  sut::thread([&] {
    tokens.release(2);
    binary.release();
  }).join();
  binary.acquire();
  out << tokens.try_acquire() << tokens.try_acquire_until(std::chrono::steady_clock::now()) << tokens.try_acquire() << '\n';

  sut::latch l(3);
  std::string order;
  auto note = [&order]() noexcept { order += '|'; };
  sut::barrier b(2, note);
  {
    sut::jthread x([&] {
      l.arrive_and_wait();
      b.arrive_and_wait();
      b.arrive_and_drop();
    });
    sut::jthread y([&] {
      l.count_down();
      l.wait();
      auto token = b.arrive();
      b.wait(std::move(token));
      b.arrive_and_wait();
      b.arrive_and_wait();
    });
    out << "latch " << l.try_wait();
    l.count_down();
    l.wait();
    out << l.try_wait();
  }
  out << " barrier " << order << '\n';

  sut::once_flag once;
  int calls = 0;
#if !defined(__SANITIZE_THREAD__)  // its pthread_once, on which std::call_once is built, hangs after an exception
  note_error(out, "once", [&] { sut::call_once(once, [&] { ++calls, throw std::runtime_error("first"); }); });
#endif
  sut::call_once(once, [&](int n) { calls += n; }, 10);
  sut::call_once(once, [&](int n) { calls += n; }, 100);
  out << "calls " << calls << '\n';
}

void use_futures(std::ostream& out) {
  sut::promise<std::string> p;
  sut::future<std::string> f = p.get_future();
  note_error(out, "second future", [&] { (void)p.get_future(); });
  out << "wait " << (f.wait_for(1ms) == sut::future_status::timeout);
  sut::thread([&] { p.set_value_at_thread_exit("value"); }).join();
  out << f.get() << f.valid() << '\n';
  note_error(out, "second value", [&] { p.set_value("again"); });
  note_error(out, "moved from", [&] {
    sut::promise<std::string> q(std::move(p));
    p.set_value("none");
  });
  note_error(out, "broken", [&] {
    auto broken = std::make_unique<sut::promise<void>>();
    auto bf = broken->get_future();
    broken.reset();
    bf.get();
  });
  int object = 3;
  sut::promise<int&> r;
  sut::shared_future<int&> rf = r.get_future().share();
  r.set_value(object);
  out << "reference " << (&rf.get() == &object) << (&rf.get() == &object);
  sut::packaged_task task([](int a, int b) {
    if (b == 0) throw std::runtime_error("by zero");
    return a / b;
  });
  auto tf = task.get_future();
  sut::thread([&] { task(6, 3); }).join();
  out << " task " << tf.get() << '\n';
  note_error(out, "second call", [&] { task(1, 1); });
  task.reset();
  auto failing = task.get_future();
  task.make_ready_at_thread_exit(1, 0);  // the caller is a thread of the test's, and ends
  sut::thread([&, kept = std::move(failing)]() mutable { (void)kept.wait_for(0ms); }).join();
  auto a = sut::async(sut::launch::async, [](std::vector<int> v) { return std::accumulate(v.begin(), v.end(), 0); }, std::vector<int>{1, 2, 3});
  auto d = sut::async(sut::launch::deferred, [] { return sut::this_thread::get_id(); });
  out << "async " << a.get() << (d.wait_for(0s) == sut::future_status::deferred) << (d.get() == sut::this_thread::get_id()) << '\n';
  note_error(out, "async that throws", [] { sut::async([]() -> int { throw std::runtime_error("async"); }).get(); });
}

}  // namespace

std::string PORT() {
  std::ostringstream out;
  sut::thread all([&] {
    use_threads(out);
    use_mutex<sut::mutex>(out, "mutex");
    use_mutex<sut::timed_mutex>(out, "timed_mutex");
    use_mutex<sut::recursive_mutex>(out, "recursive_mutex");
    use_mutex<sut::recursive_timed_mutex>(out, "recursive_timed_mutex");
    use_mutex<sut::shared_mutex>(out, "shared_mutex");
    use_mutex<sut::shared_timed_mutex>(out, "shared_timed_mutex");
    use_several_locks(out);
    use_conditions(out);
    use_coordination(out);
    use_futures(out);
  });
  all.join();
  return out.str();
}
