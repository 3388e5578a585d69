// SPDX-License-Identifier: BSL-1.0
// pthread_once and call_once. The control is a single int: waiters wait by its address.
//
// States: 0 never, done 2 (as libc, whose own code may look at a control that we finished), in progress: 1 | generation,
// where the generation counts forks: what another thread had in progress at a fork begins anew in the child.
//
// A routine that throws, or that calls pthread_exit, leaves its control as if never called. The library has no exception
// support of its own (it must not load libgcc_s), so the frame that calls the routine has a personality function that
// does the one thing needed when an unwinder passes, and catches nothing.
#include "posix/once.hpp"

#include <pthread.h>
#include <threads.h>

#include "core/section.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "sync/address_lot.hpp"

namespace weft::engine::posix {

namespace {

constexpr int done = 2, in_progress = 1, generation_step = 4;
constinit int generation = 0;

atomic<int>& word_of(pthread_once_t* control) noexcept { return *reinterpret_cast<atomic<int>*>(control); }

void leave(user_thread& me, int state) noexcept {
  const once_in_progress* mine = me.once;
  atomic<int>& word = word_of(mine->control);
  me.once = mine->outer;
  // [once-1] release: who sees `done` by an acquire, without any lock, sees all that the routine did; who sees the word
  // free again after the routine was left early sees how far it came.
  word.store(state, memory_order::release);
  const section in(me);
  sync::wake_address(word);
}

}  // namespace

void once_after_fork() noexcept { generation += generation_step; }

extern "C" {

/// Calls f; the frame's personality is weft_once_personality (arch/*/once.S).
void weft_call_undoable(void (*f)());

/// The unwinder's question to that frame. Phase 2 (cleanup, also of a forced unwind): undo the innermost once.
int weft_once_personality(int /*version*/, int actions, unsigned long /*exception_class*/, void* /*exception*/,
                          void* /*context*/) {
  constexpr int cleanup_phase = 2, continue_unwind = 8;
  if ((actions & cleanup_phase) != 0) leave(self(), 0);
  return continue_unwind;
}

}  // extern "C"

namespace {
int once_slow(pthread_once_t* control, void (*routine)()) noexcept(false) {
  atomic<int>& word = word_of(control);
  user_thread& me = self();
  const int ours = in_progress | generation;
  for (;;) {
    int seen = word.load(memory_order::acquire);  // [once-1]
    if (seen == done) return 0;
    if (seen == ours) {
      const section in(me);
      sync::wait_on_address(me, word, ours);
      continue;
    }
    // Never begun, or begun in a process that is not ours.
    if (!word.compare_exchange_strong(seen, ours, memory_order::acquire, memory_order::relaxed)) continue;  // [once-1] relaxed: look again
    once_in_progress entry{me.once, control};
    me.once = &entry;
    weft_call_undoable(routine);
    leave(me, done);
    return 0;
  }
}
}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int pthread_once(pthread_once_t* control, void (*routine)()) {
  if (native()) return libc.pthread_once(control, routine);
  if (word_of(control).load(memory_order::acquire) == done) return 0;  // [once-1]
  return once_slow(control, routine);
}

WEFT_EXPORT void call_once(once_flag* flag, void (*routine)()) {
  static_assert(sizeof(once_flag) == sizeof(pthread_once_t));
  pthread_once(reinterpret_cast<pthread_once_t*>(flag), routine);
}
