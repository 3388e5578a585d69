// SPDX-License-Identifier: BSL-1.0
// pthread_spin_lock. The word is libc's (1 is free, less is taken; init, trylock and unlock are libc's own), so spin locks
// may be shared between processes. Only the waiting differs: the holder may be a thread that was preempted, or parked,
// and waits for this very carrier.
#include <pthread.h>
#include <sched.h>

#include "base/atomic.hpp"
#include "base/pause.hpp"
#include "base/spinlock.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "sync/wait.hpp"

namespace weft::engine::posix {

namespace {

constexpr int free_value = 1;
constexpr int spins = 100;

atomic<int>& word_of(pthread_spinlock_t* lock) noexcept {
  return *reinterpret_cast<atomic<int>*>(const_cast<int*>(lock));
}

bool try_lock(atomic<int>& word) noexcept {
  int seen = free_value;
  // [spin_lock-1] acquire: what the last holder wrote before libc's pthread_spin_unlock, a plain store, which is a release.
  return word.load(memory_order::relaxed) == free_value &&  // relaxed: the exchange decides
         word.compare_exchange_strong(seen, 0, memory_order::acquire, memory_order::relaxed);  // relaxed: refused
}

void wait_a_while(const atomic<int>& word) noexcept {
  if (the_scheduler.slot_count() > 1) {
    for (int i = 0; i < spins; ++i) {
      if (word.load(memory_order::relaxed) == free_value) return;  // relaxed: a hint
      pause_cpu();
    }
  }
  ::sched_yield();    // to threads of ours
  give_cpu_away();    // to kernel threads: the holder's carrier, or another process
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int pthread_spin_lock(pthread_spinlock_t* lock) {
  if (native() || runtime.now != stage::running) return libc.pthread_spin_lock(lock);
  atomic<int>& word = word_of(lock);
  // [spin_lock-1] as above
  while (!try_lock(word)) wait_a_while(word);
  return 0;
}
