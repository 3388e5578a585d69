// SPDX-License-Identifier: BSL-1.0
// Waiting on words: what C++20 builds on the kernel's futex (atomic wait, latch, barrier, counting_semaphore), and the call itself with all
// that it can be asked, by a thousand threads and more. Each must park a thread, not the kernel thread below it.
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <climits>
#include <latch>
#include <semaphore>
#include <thread>
#include <vector>

#include "check.h"

namespace {

constexpr int crowd = 1000;

template <class Body>
void run_all(int threads, Body body) {
  std::vector<std::thread> all;
  all.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) all.emplace_back(body, i);
  for (std::thread& each : all) each.join();
}

void standard_library() {
  std::atomic<int> gate{0}, passed{0};
  std::latch done(crowd);
  std::thread opener([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    gate.store(1);
    gate.notify_all();
  });
  run_all(crowd, [&](int) {
    gate.wait(0);
    passed.fetch_add(1);
    done.arrive_and_wait();
    CHECK_EQ(passed.load(), crowd);
  });
  opener.join();
  printf("atomic wait and latch: %d\n", passed.load());

  // Token by token round a ring.
  std::vector<std::atomic<int>> ring(crowd);
  run_all(crowd, [&](int i) {
    for (int round = 1; round <= 3; ++round) {
      if (i != 0) {
        while (ring[static_cast<std::size_t>(i)].load() < round) ring[static_cast<std::size_t>(i)].wait(round - 1);
      }
      const std::size_t next = static_cast<std::size_t>((i + 1) % crowd);
      ring[next].store(round);
      ring[next].notify_one();
      if (i == 0)
        while (ring[0].load() < round) ring[0].wait(round - 1);
    }
  });
  printf("ring of atomics: %d\n", ring[0].load());

  int rounds = 0;
  std::barrier meeting(200, [&]() noexcept { ++rounds; });
  run_all(200, [&](int) {
    for (int i = 0; i < 20; ++i) {
      meeting.arrive_and_wait();
      CHECK(rounds > i);
    }
  });
  printf("barrier: %d rounds\n", rounds);

  std::counting_semaphore<> places(4);
  std::atomic<int> inside{0}, most{0};
  run_all(crowd, [&](int i) {
    places.acquire();
    const int now = inside.fetch_add(1) + 1;
    CHECK(now <= 4);
    int seen = most.load();
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
    if (i % 4 == 0) std::this_thread::yield();
    inside.fetch_sub(1);
    places.release();
  });
  std::binary_semaphore never(0);
  CHECK(!never.try_acquire_for(std::chrono::milliseconds(20)));
  printf("semaphores: %d inside in the end\n", inside.load());
}

long futex(void* word, int operation, unsigned value, const void* timeout = nullptr, void* second = nullptr, unsigned third = 0) {
  return syscall(SYS_futex, word, operation, value, timeout, second, third);
}
const void* count(long n) { return reinterpret_cast<const void*>(n); }

timespec from_now(clockid_t clock, long ms) {
  timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

void errors() {
  alignas(8) unsigned word[2] = {5, 5};
  const timespec soon{0, 20'000'000}, wrong{0, 1'000'000'000}, negative{-1, 0}, past{1, 0};
  for (const int flag : {FUTEX_PRIVATE_FLAG, 0}) {
    FAILS(futex(word, FUTEX_WAIT | flag, 4), EAGAIN);
    FAILS(futex(word, FUTEX_WAIT | flag, 5, &soon), ETIMEDOUT);
    FAILS(futex(word, FUTEX_WAIT | flag, 5, &wrong), EINVAL);
    FAILS(futex(word, FUTEX_WAIT | flag, 5, &negative), EINVAL);
    FAILS(futex(word, FUTEX_WAIT_BITSET | flag, 5, &past, nullptr, 1), ETIMEDOUT);
    FAILS(futex(word, FUTEX_WAIT_BITSET | flag, 4, &past, nullptr, 1), EAGAIN);
    FAILS(futex(word, FUTEX_WAIT_BITSET | flag, 5, &past, nullptr, 0), EINVAL);
    const timespec steady = from_now(CLOCK_MONOTONIC, 20), wall = from_now(CLOCK_REALTIME, 20);
    FAILS(futex(word, FUTEX_WAIT_BITSET | flag, 5, &steady, nullptr, 1), ETIMEDOUT);
    FAILS(futex(word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME | flag, 5, &wall, nullptr, 1), ETIMEDOUT);
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    CHECK(now.tv_sec > steady.tv_sec || (now.tv_sec == steady.tv_sec && now.tv_nsec >= steady.tv_nsec));
    CHECK_EQ(futex(word, FUTEX_WAKE | flag, 1), 0);
    FAILS(futex(word, FUTEX_WAKE_BITSET | flag, 1, nullptr, nullptr, 0), EINVAL);
    FAILS(futex(word, FUTEX_CMP_REQUEUE | flag, 1, count(1), word + 1, 4), EAGAIN);
    FAILS(futex(word, FUTEX_CMP_REQUEUE | flag, UINT_MAX, count(1), word + 1, 5), EINVAL);
    CHECK_EQ(futex(word, FUTEX_CMP_REQUEUE | flag, 1, count(1), word + 1, 5), 0);
    FAILS(futex(reinterpret_cast<char*>(word) + 1, FUTEX_WAIT | flag, 5), EINVAL);
    FAILS(futex(nullptr, FUTEX_WAIT | flag, 5), EFAULT);
    FAILS(futex(word, 77 | flag, 5), ENOSYS);
  }
  printf("errors: right\n");
}

/// Threads that wait for a word to leave 0, each with its bits; main sees how many are woken when it has asked often enough.
struct waiters {
  std::atomic<unsigned> word{0}, other{0};
  std::atomic<int> woken{0};
  std::vector<std::thread> all;

  void start(int threads, int flag, unsigned bits) {
    for (int i = 0; i < threads; ++i)
      all.emplace_back([this, flag, bits] {
        CHECK_EQ(futex(&word, FUTEX_WAIT_BITSET | flag, 0, nullptr, nullptr, bits), 0);
        woken.fetch_add(1);
      });
  }
  void join() {
    for (std::thread& each : all) each.join();
    all.clear();
  }
  /// Wakes until `want` have been woken: those who come late are waited for.
  void wake(int want, int at_a_time, int flag, unsigned bits, std::atomic<unsigned>& which) {
    for (int so_far = 0; so_far < want;) {
      const int asked = at_a_time < want - so_far ? at_a_time : want - so_far;
      const long n = futex(&which, FUTEX_WAKE_BITSET | flag, static_cast<unsigned>(asked), nullptr, nullptr, bits);
      CHECK(n >= 0 && n <= asked);
      so_far += static_cast<int>(n);
      if (n == 0) std::this_thread::yield();
    }
  }
};

void by_bits(int flag) {
  waiters w;
  w.start(40, flag, 1);
  w.start(40, flag, 2);
  w.wake(40, 7, flag, 2, w.word);
  while (w.woken.load() < 40) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK_EQ(w.woken.load(), 40);
  w.wake(40, INT_MAX, flag, 3, w.word);
  w.join();
  printf("bits: %d woken\n", w.woken.load());
}

void moved(int flag) {
  waiters w;
  w.start(50, flag, ~0u);
  long done = 0;
  while (done < 50) {
    const long n = futex(&w.word, FUTEX_CMP_REQUEUE | flag, 0, count(INT_MAX), &w.other, 0);
    CHECK(n >= 0);
    done += n;
    if (n == 0) std::this_thread::yield();
  }
  CHECK_EQ(futex(&w.word, FUTEX_WAKE | flag, INT_MAX), 0);
  CHECK_EQ(futex(&w.other, FUTEX_REQUEUE | flag, 10, count(15), &w.word), 25);
  w.wake(15, INT_MAX, flag, ~0u, w.word);
  w.wake(25, INT_MAX, flag, ~0u, w.other);
  w.join();
  printf("requeue: %d woken\n", w.woken.load());
}

/// Waiters with a deadline that are moved meanwhile find their way out.
void moved_and_late() {
  std::atomic<unsigned> word{0}, other{0};
  std::atomic<int> left{200};
  std::thread mover([&] {
    while (left.load() > 0) {
      futex(&word, FUTEX_REQUEUE_PRIVATE, 0, count(INT_MAX), &other);
      futex(&other, FUTEX_REQUEUE_PRIVATE, 0, count(INT_MAX), &word);
    }
  });
  run_all(200, [&](int i) {
    const timespec soon{0, 1'000'000 + i * 10'000};
    for (int round = 0; round < 5; ++round) FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 0, &soon), ETIMEDOUT);
    left.fetch_sub(1);
  });
  mover.join();
  printf("requeue with deadlines: right\n");
}

void operations(int flag) {
  waiters first, second;
  first.start(1, flag, ~0u);
  second.start(1, flag, ~0u);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  // second was 0, becomes 3; the test "was >= 1" fails: only one of the first is woken.
  const unsigned add = static_cast<unsigned>(FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GE, 1));
  CHECK_EQ(futex(&first.word, FUTEX_WAKE_OP | flag, 1, count(1), &second.word, add), 1);
  CHECK_EQ(second.word.load(), 3);
  // 3 without bit 0, and it was 3: the second's.
  const unsigned andn = static_cast<unsigned>(FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_EQ, 3));
  CHECK_EQ(futex(&first.word, FUTEX_WAKE_OP | flag, 1, count(1), &second.word, andn), 1);
  CHECK_EQ(second.word.load(), 2);
  CHECK_EQ(futex(&first.word, FUTEX_WAKE_OP | flag, 1, count(1), &second.word,
                 static_cast<unsigned>(FUTEX_OP(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_LT, -1))),
           0);
  CHECK_EQ(second.word.load(), 18);
  FAILS(futex(&first.word, FUTEX_WAKE_OP | flag, 1, count(1), &second.word, 7u << 28), ENOSYS);
  first.join();
  second.join();
  printf("wake and change: right\n");
}

std::atomic<int> handled{0};

void interrupted(bool restart) {
  struct sigaction action = {};
  action.sa_handler = [](int) { handled.fetch_add(1); };
  action.sa_flags = restart ? SA_RESTART : 0;
  CHECK_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  std::atomic<unsigned> word{0};
  std::atomic<int> result{0}, timed_result{0};
  const int before = handled.load();
  std::thread endless([&] { result = futex(&word, FUTEX_WAIT_PRIVATE, 0) == 0 ? -1 : errno; });
  std::thread timed([&] {
    const timespec late{60, 0};
    timed_result = futex(&word, FUTEX_WAIT_PRIVATE, 0, &late) == 0 ? -1 : errno;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  pthread_kill(endless.native_handle(), SIGUSR1);
  pthread_kill(timed.native_handle(), SIGUSR1);
  while (handled.load() < before + 2) std::this_thread::yield();
  timed.join();
  if (restart) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK_EQ(result.load(), 0);
    while (futex(&word, FUTEX_WAKE_PRIVATE, 1) == 0) std::this_thread::yield();
  }
  endless.join();
  printf("interrupted, %s: endless %s, timed %s\n", restart ? "restarting" : "not restarting", result == EINTR ? "EINTR" : "woken",
         timed_result == EINTR ? "EINTR" : "woken");
}

/// Between processes: the child answers, ten threads on each side.
void between_processes() {
  struct board {
    std::atomic<unsigned> ping[10], pong[10];
  };
  auto* b = static_cast<board*>(mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  CHECK(b != MAP_FAILED);
  const auto play = [b](bool serves) {
    run_all(10, [b, serves](int i) {
      std::atomic<unsigned>&mine = serves ? b->ping[i] : b->pong[i], &theirs = serves ? b->pong[i] : b->ping[i];
      for (unsigned round = 1; round <= 20; ++round) {
        if (serves) {
          theirs.store(round);
          futex(&theirs, FUTEX_WAKE, 1);
        }
        while (mine.load() < round) futex(&mine, FUTEX_WAIT, round - 1);
        if (!serves) {
          theirs.store(round);
          futex(&theirs, FUTEX_WAKE, 1);
        }
      }
    });
  };
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    play(false);
    _exit(0);
  }
  play(true);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  printf("between processes: %u\n", b->pong[0].load());
}

void identities() {
  std::atomic<int> wrong{0}, got{0};
  struct sigaction action = {};
  static std::atomic<long> receiver{0};
  action.sa_handler = [](int) { receiver.store(syscall(SYS_gettid)); };
  CHECK_EQ(sigaction(SIGUSR2, &action, nullptr), 0);
  run_all(20, [&](int) {
    const long id = syscall(SYS_gettid);
    for (int i = 0; i < 10; ++i) {
      std::this_thread::yield();
      if (syscall(SYS_gettid) != id) ++wrong;
    }
    if (syscall(SYS_tgkill, getpid(), id, 0) != 0) ++wrong;
    ++got;
  });
  std::thread one([&] {
    receiver.store(0);
    const long id = syscall(SYS_gettid);
    CHECK_EQ(syscall(SYS_tgkill, getpid(), id, SIGUSR2), 0);
    CHECK_EQ(receiver.load(), id);
  });
  one.join();
  CHECK_EQ(syscall(SYS_gettid), getpid());
  CHECK(syscall(SYS_tgkill, getpid(), INT_MAX, 0) == -1 && errno == ESRCH);
  CHECK(syscall(SYS_getppid) == getppid() && syscall(99999) == -1 && errno == ENOSYS);
  printf("ids: %d threads, %d wrong\n", got.load(), wrong.load());
}

}  // namespace

int main() {
  std::thread([] {}).join();
  errors();
  std::thread(errors).join();
  standard_library();
  for (const int flag : {FUTEX_PRIVATE_FLAG, 0}) {
    by_bits(flag);
    moved(flag);
    operations(flag);
  }
  moved_and_late();
  interrupted(false);
  interrupted(true);
  identities();
  between_processes();
  // Without the flag, but in memory of this process alone.
  waiters many;
  many.start(crowd, 0, ~0u);
  many.wake(crowd, 1, 0, ~0u, many.word);
  many.join();
  printf("a crowd without the private flag: %d woken\n", many.woken.load());
}
