// SPDX-License-Identifier: BSL-1.0
// The locks of the C++ library: the engine's words and lists, with checks for misuse.
#include <errno.h>

#include "api/deadlock.hpp"
#include "api/engine_part.hpp"
#include "api/inheritance.hpp"
#include "api/stopping.hpp"
#include "api/strand.hpp"
#include "sync/condition.hpp"
#include "sync/mutex.hpp"
#include "sync/rwlock.hpp"
#include "sync/semaphore.hpp"
#include "weft/detail/strand.hpp"
#include "weft/detail/sync.hpp"

namespace weft::detail {

using namespace weft::engine;
using api::engine_part;
using api::misuse;
using api::self;
using api::strand;

namespace {

sync::mutex_word& word_of(mutex_state& m) noexcept { return engine_part<sync::mutex_word>(m.word); }
sync::wait_list& list_of(engine_object<16>& o) noexcept { return engine_part<sync::wait_list>(o); }
sync::condition& of(condition_state& c) noexcept { return engine_part<sync::condition>(c); }
sync::semaphore_word& word_of(semaphore_state& s) noexcept { return engine_part<sync::semaphore_word>(s.word); }
sync::rwlock_word& word_of(shared_mutex_state& m) noexcept { return engine_part<sync::rwlock_word>(m.word); }
sync::rwlock_queues queues_of(shared_mutex_state& m) noexcept {
  return {list_of(m.readers), list_of(m.writers), sync::prefers::writers_strictly};
}

using what = api::waiting_for::kind;

/// Tries as long as it is interrupted without a reason. True unless the time was up or stop was requested.
template <class Attempt>
bool until_not_interrupted(strand& me, what kind, const void* object, patience p, Attempt attempt) noexcept {
  const api::wait_note note(me, kind, object, p.when);
  const api::stop_watch watch(me, p.stop);
  // Who waits for a while only gets out by itself: its note says nothing, and it is in no cycle.
  if (p.when == no_deadline && (kind == what::mutex || kind == what::shared_mutex)) api::look_for_cycle(me);
  for (;;) {
    const section in(me);
    if (watch.requested()) return false;
    const int error = attempt();
    if (error != EINTR) return error == 0;
  }
}

}  // namespace

const void* caller() noexcept { return &self(); }
void destroyed_in_use(const char* what) noexcept { misuse("destroyed while it is locked or waited for: a ", what); }

// -- mutex --

namespace {
void owned_by(strand& me, mutex_state& m) noexcept {
  // [owner-1] Who holds the lock asks only whether it is itself. Release is for those who look at the owner for a deadlock or a priority (acquire):
  // they find a whole strand.
  m.owner.store(&me, std::memory_order_release);
  if (watched()) [[unlikely]]
    api::adopt_donations(me, m);
}
}  // namespace

bool try_lock(mutex_state& m) noexcept {
  switch_point();
  if (!word_of(m).try_lock()) return false;
  owned_by(self(), m);
  return true;
}

bool lock_until(mutex_state& m, patience p) noexcept {
  switch_point();
  strand& me = self();
  if (!word_of(m).try_lock()) {
    if (m.owner.load(std::memory_order_relaxed) == &me && p.when == no_deadline && p.stop == nullptr)  // relaxed: as above
      misuse("a thread locks a mutex that it holds");
    unsigned losses = 0;
    const api::donation gift(me, m);
    if (!until_not_interrupted(me, what::mutex, &m, p, [&] { return word_of(m).lock_slow(me, list_of(m.waiting), p.when, losses); })) return false;
  }
  owned_by(me, m);
  return true;
}

void lock(mutex_state& m) noexcept { (void)lock_until(m, no_deadline); }

namespace {
[[gnu::noinline]] void unlock_slow(strand& me, mutex_state& m) noexcept {
  const section in(me);
  word_of(m).unlock_slow(list_of(m.waiting));
}
[[gnu::noinline]] void unlock_watched(strand& me, mutex_state& m) noexcept {
  const bool less_urgent = api::shed_donations(me, m);
  if (!word_of(m).unlock_fast()) unlock_slow(me, m);
  // In the middle of a wait for a condition others have their turn in any case.
  if (less_urgent && !me.no_preempt.raised()) yield();
  switch_point();
}
}  // namespace

void unlock(mutex_state& m) noexcept {
  strand& me = self();
  if (m.owner.load(std::memory_order_relaxed) != &me) misuse("a mutex is unlocked by one that does not hold it");  // relaxed: as above
  m.owner.store(nullptr, std::memory_order_relaxed);  // relaxed: before the word is freed
  if (watched()) [[unlikely]] return unlock_watched(me, m);
  if (!word_of(m).unlock_fast()) [[unlikely]] unlock_slow(me, m);
}

// -- condition --

bool wait(condition_state& c, mutex_state& m, patience p) noexcept {
  strand& me = self();
  wake_reason why = wake_reason::none;
  if (m.owner.load(std::memory_order_relaxed) != &me) misuse("a thread waits on a condition with a mutex that it does not hold");  // relaxed: as above
  {
    const api::wait_note note(me, what::condition, &c, p.when);
    const api::stop_watch watch(me, p.stop);
    const section in(me);
    if (watch.requested()) return false;
    why = of(c).wait(me, p.when, [&]() noexcept { unlock(m); });
  }
  lock(m);
  return why != wake_reason::deadline && (why != wake_reason::interrupt || !p.stopped());
}
void notify_one(condition_state& c) noexcept {
  switch_point();
  if (!of(c).anybody()) return;
  const section in(self());
  of(c).signal();
}
void notify_all(condition_state& c) noexcept {
  switch_point();
  if (!of(c).anybody()) return;
  const section in(self());
  of(c).broadcast();
}
void end_condition(condition_state& c) noexcept {
  for (;; yield()) {  // those whose deadline passed at the same time still have to unlink themselves (condition.hpp, I3)
    const section in(self());
    // Asked under the list's lock, which the last one who left or notified has let go of then.
    if (!of(c).anybody_inside()) return;
    if (of(c).anybody_waits()) destroyed_in_use("condition_variable");
  }
}

// -- semaphore --

bool try_acquire(semaphore_state& s) noexcept {
  switch_point();
  return word_of(s).try_wait();
}
bool acquire_until(semaphore_state& s, patience p) noexcept {
  switch_point();
  if (word_of(s).try_wait()) return true;
  strand& me = self();
  return until_not_interrupted(me, what::semaphore, &s, p, [&] { return word_of(s).wait_slow(me, list_of(s.waiting), p.when); });
}
void release(semaphore_state& s, std::ptrdiff_t count) noexcept {
  for (; count > 0; --count) {
    bool overflow = false;
    if (!word_of(s).post_fast(overflow)) {
      const section in(self());
      word_of(s).post_slow(list_of(s.waiting), overflow);
    }
    if (overflow) misuse("a semaphore is released beyond its greatest value");
  }
  switch_point();
}

// -- shared mutex --

bool try_lock(shared_mutex_state& m) noexcept {
  switch_point();
  strand& me = self();
  if (!word_of(m).try_write()) return false;
  m.owner.store(&me, std::memory_order_release);  // [owner-1]
  return true;
}
bool lock_until(shared_mutex_state& m, patience p) noexcept {
  switch_point();
  strand& me = self();
  if (!word_of(m).try_write()) {
    if (m.owner.load(std::memory_order_relaxed) == &me && p.when == no_deadline && p.stop == nullptr)  // relaxed: as for a mutex
      misuse("a thread locks a shared_mutex that it holds");
    if (!until_not_interrupted(me, what::shared_mutex, &m, p, [&] { return word_of(m).write_slow(me, queues_of(m), p.when); })) return false;
  }
  m.owner.store(&me, std::memory_order_release);  // [owner-1]
  return true;
}
void unlock(shared_mutex_state& m) noexcept {
  strand& me = self();
  if (m.owner.load(std::memory_order_relaxed) != &me) misuse("a shared_mutex is unlocked by one that does not hold it");  // relaxed: as for a mutex
  m.owner.store(nullptr, std::memory_order_relaxed);  // relaxed: as for a mutex
  if (!word_of(m).unlock_write_fast()) {
    const section in(me);
    word_of(m).unlock_write_slow(queues_of(m));
  }
  switch_point();
}
bool try_lock_shared(shared_mutex_state& m) noexcept {
  switch_point();
  return word_of(m).try_read() == 0;
}
bool lock_shared_until(shared_mutex_state& m, patience p) noexcept {
  switch_point();
  if (word_of(m).try_read() == 0) return true;
  strand& me = self();
  if (m.owner.load(std::memory_order_relaxed) == &me && p.when == no_deadline && p.stop == nullptr)  // relaxed: as for a mutex
    misuse("a thread locks for reading a shared_mutex that it holds for writing");
  return until_not_interrupted(me, what::shared_mutex, &m, p, [&] { return word_of(m).read_slow(me, queues_of(m), p.when); });
}
void unlock_shared(shared_mutex_state& m) noexcept {
  if (!word_of(m).is_held() || word_of(m).has_writer()) misuse("a shared_mutex is unlocked for reading, which nobody has locked so");
  if (!word_of(m).unlock_read_fast()) {
    const section in(self());
    word_of(m).unlock_read_slow(queues_of(m));
  }
  switch_point();
}

}  // namespace weft::detail
