// SPDX-License-Identifier: BSL-1.0
// A strand is what a weft::thread, a weft::fiber or a kernel thread of the program's own is to the engine.
//
//   kind       runs on           thread-local storage   stack                       waits
//   thread     carriers          its own                from the pool               parked
//   fiber      carriers          the carrier's          from the pool, small        parked
//   kernel     its kernel thread libc's                 libc's                      in the kernel
//
// At its end a strand that the library started destroys what it was called with, runs its thread_local destructors, and retires or, a kernel
// thread, is about to return; the rest is sync/ending.hpp.
#pragma once
#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "core/scheduler.hpp"
#include "core/section.hpp"
#include "core/thread.hpp"
#include "mem/stack_pool.hpp"
#include "os/clock.hpp"
#include "sync/ending.hpp"
#include "weft/policy.hpp"

namespace weft::detail {
struct exit_action;
struct runtime_state;
}

namespace weft::engine::api {

/// What a strand waits for, for people and for those who look for deadlocks. All relaxed: others look at it while its wait word says that
/// it waits, and look twice.
struct waiting_for {
  enum class kind : std::uint8_t { nothing, mutex, shared_mutex, condition, semaphore, end_of, channel };
  atomic<kind> what{kind::nothing};
  atomic<const void*> object{nullptr};  ///< A mutex_state, a shared_mutex_state, a strand ...
  atomic<nanoseconds_at> since{0};
};

class donation;

struct strand : thread {
  void (*run)(void* callable) = nullptr;
  void* callable = nullptr;

  sync::ending life;
  bool block_built = false;
  bool abandoned = false;
  bool started_here = false;  ///< By the library: it can be joined.
  std::uint64_t number = 0;   ///< Unique in the process, in order of creation; main is 1.
  char name[32] = {};
  char* stack_low = nullptr;
  std::size_t stack_bytes = 0;
  detail::exit_action* at_exit = nullptr;
  atomic<bool> alive{false};  ///< Between its start and its end. Relaxed: for those who look for deadlocks, who look twice.
  waiting_for waits;          ///< Its own; others look at it while its wait word says that it waits.

  // What orders other than work stealing ask for.
  detail::runtime_state* in = nullptr;  ///< Null: the default runtime.
  struct listed : schedulable {
    strand* who = nullptr;
  } about;                              ///< As its policy sees it; guarded by the queue's lock.
  nanoseconds due_after = 0;            ///< spawn_options::deadline.
  atomic<nanoseconds_at> deadline{never};
  int own_priority = 0;                 ///< See api/inheritance.hpp, also for the next three.
  atomic<int> urgency{0};
  donation* donors = nullptr;
  donation* giving = nullptr;

  pthread_t kernel_thread{};
  strand* next_free = nullptr;
  strand* next_made = nullptr;
  mem::stack_top top;
};

/// The calling strand. The first call in a process starts the runtime.
[[nodiscard]] strand& self_at_first() noexcept;
[[nodiscard]] inline strand& self() noexcept {
  if (thread* t = current()) [[likely]] return static_cast<strand&>(*t);
  return self_at_first();
}

/// The runtime runs, or cannot (then every strand is a kernel thread).
enum class stage : std::uint8_t { untouched, running, kernel_threads };
[[nodiscard]] stage start_runtime() noexcept;
/// May strands have storage of their own here? Not under sanitizers, nor on an unknown libc.
[[nodiscard]] bool own_storage_works() noexcept;

/// Scheduler hook.
void strand_retired(thread& t) noexcept;

/// Says what the caller is about to wait for, until it is over. A wait without a deadline, that is: others end by themselves.
class wait_note {
 public:
  wait_note(strand& me, waiting_for::kind what, const void* object, nanoseconds_at deadline) noexcept : me_(me) {
    me.waits.object.store(object, memory_order::relaxed);                                                        // relaxed: see waiting_for
    me.waits.since.store(os::coarse_now(), memory_order::relaxed);                                               // relaxed: as above
    me.waits.what.store(deadline == never ? what : waiting_for::kind::nothing, memory_order::relaxed);           // relaxed: as above
  }
  ~wait_note() { me_.waits.what.store(waiting_for::kind::nothing, memory_order::relaxed); }  // relaxed: as above
  wait_note(const wait_note&) = delete;
  wait_note& operator=(const wait_note&) = delete;

 private:
  strand& me_;
};

/// Calls visit(strand) for those on kernel threads of their own, ended ones included.
strand* first_kernel_strand() noexcept;
template <class Visit>
void for_each_kernel_strand(Visit visit) noexcept {
  for (strand* s = first_kernel_strand(); s != nullptr; s = s->next_made) visit(*s);
}

/// Ends the program with a line on stderr.
[[noreturn]] void misuse(const char* what, const char* detail = "") noexcept;

}  // namespace weft::engine::api
