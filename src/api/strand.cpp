// SPDX-License-Identifier: BSL-1.0
// The life of strands: memory, start, join, end.
#include "api/strand.hpp"

#include <errno.h>
#include <string.h>

#include <new>
#include <system_error>

#include "api/runtime.hpp"
#include "api/runtimes.hpp"
#include "api/stopping.hpp"
#include "arch/context.hpp"
#include "arch/thread_pointer.hpp"
#include "core/thread_memory.hpp"
#include "mem/malloc_cache.hpp"
#include "mem/resolver.hpp"
#include "os/signal_mask.hpp"
#include "sync/generation.hpp"
#include "sync/wait.hpp"
#include "weft/detail/strand.hpp"
#include "weft/detail/sync.hpp"

namespace weft::engine::api {

namespace {

/// Beyond what the program asked for: the frame of a preempting signal (with all vector registers) may need it.
constexpr std::size_t signal_room = os::page_size;
constexpr std::size_t default_stack = 256 * 1024, default_fiber_stack = 64 * 1024;
constexpr std::size_t least_stack = 8 * 1024, biggest_stack = std::size_t{1} << 40;
constinit atomic<std::uint64_t> next_number{1};

strand* from(detail::strand_handle* s) noexcept { return reinterpret_cast<strand*>(s); }
const strand* from(const detail::strand_handle* s) noexcept { return reinterpret_cast<const strand*>(s); }

void run_exit_actions(strand& me) noexcept {
  while (detail::exit_action* a = me.at_exit) {
    me.at_exit = a->next;
    a->run(a);
  }
}

/// [section] Its mapping goes back to the pool, as prepare_thread_block expects it.
void release(strand& s) noexcept {
  s.alive.store(false, memory_order::relaxed);  // relaxed: see strand
  if (s.thread_pointer == 0) {
    s.thread_pointer = mem::thread_pointer_below(&s);
    if (!s.block_built) s.abandoned = true;  // a fiber's stack lay where a block would be
  }
  give_thread_memory(s);
}

[[noreturn]] void end(strand& me) noexcept {
  if (me.thread_pointer != 0) {
    mem::run_thread_local_destructors();
    mem::end_resolver();
    if (mem::stacks.crowded(me.top.size_class)) {  // its memory will hardly be needed again soon
      mem::forget_dynamic_blocks(me.thread_pointer);
      mem::shed_malloc_cache();
      free_leftovers(me);
    }
  }
  run_exit_actions(me);
  const section in(me);
  me.on->home->retire(me, me.life.claim_parked_joiner());
}

/// The first function on a new stack.
void strand_entry(void* raw) noexcept {
  auto& me = *static_cast<strand*>(raw);
  me.on->home->finish_switch(me);
  if (me.no_preempt.lower() == 0 && me.pending.load(memory_order::relaxed) != 0) attend(me);  // relaxed: same thread
  if (me.thread_pointer != 0) mem::begin_on_block();
  me.run(me.callable);
  end(me);
}

void reset(strand& t, const spawn_options& options) noexcept {
  t.life.begin_anew(options.detached);
  t.started_here = true;
  t.at_exit = nullptr;
  t.number = new_number();
  t.alive.store(true, memory_order::relaxed);  // relaxed: see strand
  t.waits.what.store(waiting_for::kind::nothing, memory_order::relaxed);  // relaxed: see waiting_for
  const std::size_t length = options.name.size() < sizeof t.name - 1 ? options.name.size() : sizeof t.name - 1;
  if (length != 0) ::memcpy(t.name, options.name.data(), length);  // an empty name may point nowhere
  t.name[length] = '\0';
  t.pinned = options.pinned_to;
  t.about = {};
  t.about.who = &t;
  t.about.number = t.number;
  t.about.name = t.name;
  t.about.weight = options.weight;
  t.due_after = options.deadline.count();
  t.deadline.store(never, memory_order::relaxed);  // relaxed: published by its start, as the next
  t.own_priority = options.priority;
  t.urgency.store(options.priority, memory_order::relaxed);  // relaxed: as above
}

/// Throws if `options` ask for what cannot be.
void check(const spawn_options& options, const runtime_state* in, bool alone) {
  const auto refuse = [](const char* why) { throw std::system_error(EINVAL, std::generic_category(), why); };
  if (options.weight == 0) refuse("weft: spawn_options.weight is 0");
  if (options.deadline.count() < 0) refuse("weft: spawn_options.deadline is negative");
  if (options.pinned_to < -1) refuse("weft: spawn_options.pinned_to is negative");
  if (in != nullptr && in->generation != sync::generation) refuse("weft: the runtime was the parent process's");
  if (options.pinned_to < 0 || alone) return;
  const scheduler& home = scheduler_of(in);
  if (home.ordered()) refuse("weft: spawn_options.pinned_to needs a runtime whose order is stealing");
  if (static_cast<std::uint32_t>(options.pinned_to) >= home.slot_count()) refuse("weft: spawn_options.pinned_to is beyond the runtime's parallelism");
}

/// Of `bytes` below `top`.
void* room_below(std::uintptr_t top, std::size_t bytes, std::size_t alignment) noexcept {
  if (alignment < 16) alignment = 16;
  return reinterpret_cast<void*>((top - bytes) / alignment * alignment);
}

strand* prepare_user_level(const spawn_options& options, bool fiber, std::size_t bytes, std::size_t alignment, void*& place) noexcept {
  strand& me = self();
  const bool own_storage = !fiber && own_storage_works();
  std::size_t stack = options.stack_size != 0 ? options.stack_size : fiber ? default_fiber_stack : default_stack;
  if (stack > biggest_stack) return nullptr;
  if (stack < least_stack) stack = least_stack;
  std::size_t whole = os::round_up(stack + bytes + alignment, os::page_size) + os::page_size;
  whole += own_storage ? os::round_up(mem::thread_block_bytes() + sizeof(strand), os::page_size) + signal_room : 0;
  strand* t = take_thread_memory<strand>(me, whole);
  if (t == nullptr) return nullptr;
  t->thread_pointer = mem::thread_pointer_below(t);
  std::uintptr_t stack_top = reinterpret_cast<std::uintptr_t>(t);
  if (own_storage || t->block_built) stack_top = mem::thread_block_low(t->thread_pointer);
  if (own_storage && !prepare_thread_block(me, *t)) {
    const section in(me);
    give_thread_memory(*t);
    return nullptr;
  }
  if (!own_storage) t->thread_pointer = 0;
  place = t->callable = room_below(stack_top, bytes, alignment);
  if (t->kind != thread_kind::user) t->kind = thread_kind::user;  // one that forked; who looks for deadlocks reads the others'
  t->stack_low = t->top.low + os::page_size;
  t->stack_bytes = static_cast<std::size_t>(static_cast<char*>(place) - t->stack_low);
  return t;
}

// -- strands on kernel threads of their own, and kernel threads of the program's --

spinlock free_lock;
constinit strand* free_kernel_strands = nullptr;
constinit atomic<strand*> made_kernel_strands{nullptr};

/// One whose kernel thread has ended. Null: none. The lock is an engine's: a thread that is preempted must not hold it.
strand* take_free_kernel_strand() noexcept {
  const locked hold(free_lock);
  strand* s = free_kernel_strands;
  if (s != nullptr) free_kernel_strands = s->next_free;
  return s;
}
/// Its memory is never unmapped: who wakes it may look late.
strand* new_kernel_strand() noexcept {
  auto* s = new (std::nothrow) strand;
  if (s == nullptr) return nullptr;
  s->kind = thread_kind::foreign;  // for good: who looks for deadlocks reads it
  s->next_made = made_kernel_strands.load(memory_order::relaxed);  // relaxed: the exchange decides
  // [made-1] release: who walks the list (acquire) finds whole strands, and their links. Nobody ever leaves it.
  while (!made_kernel_strands.compare_exchange_weak(s->next_made, s, memory_order::release, memory_order::relaxed)) {  // relaxed: retry
  }
  return s;
}
void give_kernel_strand(strand& s) noexcept {
  s.alive.store(false, memory_order::relaxed);  // relaxed: see strand
  const locked hold(free_lock);
  s.next_free = free_kernel_strands;
  free_kernel_strands = &s;
}

void become_foreign(strand& s) noexcept {
  s.no_preempt.set(0);
  s.thread_pointer = arch::thread_pointer();
}

strand* prepare_kernel_thread(std::size_t bytes, std::size_t alignment, void*& place) noexcept {
  strand& me = self();
  strand* t = nullptr;
  {
    const section in(me);
    t = take_free_kernel_strand();
  }
  if (t == nullptr) t = new_kernel_strand();
  if (t == nullptr) return nullptr;
  t->callable = place = ::operator new(bytes, std::align_val_t{alignment < 16 ? 16 : alignment}, std::nothrow);
  t->stack_bytes = alignment < 16 ? 16 : alignment;  // for operator delete
  if (place != nullptr) return t;
  const section in(me);
  give_kernel_strand(*t);
  return nullptr;
}

constinit pthread_key_t end_key{};

/// libc calls it for a key's value, which it does after the thread_local destructors, as the end of a thread must come after them. What other
/// keys' destructors do with locks afterwards is another strand's doing.
void end_kernel_strand(void* raw) noexcept {
  auto& me = *static_cast<strand*>(raw);
  run_exit_actions(me);
  current_thread = nullptr;
  if (!me.started_here) return give_kernel_strand(me);
  me.no_preempt.set(1);  // as a section: we are about to touch what belongs to others
  strand_retired(me);
}

void end_with_kernel_thread(strand& me) noexcept {
  if (::pthread_setspecific(end_key, &me) != 0) misuse("no memory for a kernel thread that uses weft");
}

void* kernel_thread_entry(void* raw) noexcept {
  auto& me = *static_cast<strand*>(raw);
  current_thread = &me;
  become_foreign(me);
  end_with_kernel_thread(me);
  void* const callable = me.callable;
  me.run(callable);
  ::operator delete(callable, std::align_val_t{me.stack_bytes});
  return nullptr;
}

int start_kernel_thread(strand& t) noexcept {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  const int error = ::pthread_create(&t.kernel_thread, &attributes, kernel_thread_entry, &t);
  ::pthread_attr_destroy(&attributes);
  return error;
}

void release_any(strand& s) noexcept {
  if (s.kind == thread_kind::foreign) {
    give_kernel_strand(s);
  } else {
    release(s);
  }
}

}  // namespace

void begin_strands_anew() noexcept { free_lock.reset(); }

strand* first_kernel_strand() noexcept { return made_kernel_strands.load(memory_order::acquire); }  // [made-1]

std::uint64_t new_number() noexcept { return next_number.fetch_add(1, memory_order::relaxed); }  // relaxed: only uniqueness matters

void watch_ends_of_kernel_threads() noexcept {
  if (::pthread_key_create(&end_key, end_kernel_strand) != 0) misuse("no key (pthread_key_create) for the ends of kernel threads");
}

strand& adopt_kernel_thread() noexcept {
  strand* s = take_free_kernel_strand();
  if (s == nullptr) s = new_kernel_strand();
  if (s == nullptr) misuse("no memory for a kernel thread that uses weft");
  become_foreign(*s);
  s->started_here = false;
  s->alive.store(true, memory_order::relaxed);  // relaxed: see strand
  s->number = new_number();
  current_thread = s;
  end_with_kernel_thread(*s);
  return *s;
}

void strand_retired(thread& raw) noexcept {
  auto& t = static_cast<strand&>(raw);
  t.alive.store(false, memory_order::relaxed);  // relaxed: see strand
  runtime_state* const in = t.in;
  if (t.life.finish()) release_any(t);
  leave_runtime(in);
}

}  // namespace weft::engine::api

namespace weft::detail {

using namespace weft::engine;
using namespace weft::engine::api;

prepared prepare(const spawn_options& options, bool fiber, std::size_t bytes, std::size_t alignment) {
  const stage now = start_runtime();
  prepared p;
  const bool alone = now == stage::kernel_threads || (options.by == carried::alone && !fiber);
  runtime_state* const in = runtime_for(options, self());
  check(options, in, alone);
  strand* t = alone ? prepare_kernel_thread(bytes, alignment, p.place) : prepare_user_level(options, fiber, bytes, alignment, p.place);
  if (t == nullptr) return {};
  reset(*t, options);
  enter_runtime(*t, in);
  p.strand = reinterpret_cast<strand_handle*>(t);
  return p;
}

void start(strand_handle* s, void (*run)(void*)) {
  strand& t = *from(s);
  t.run = run;
  if (t.kind == thread_kind::foreign) {
    if (const int error = start_kernel_thread(t); error != 0) throw_start_failed(error);
    return;
  }
  strand& me = self();
  t.signal_mask = me.kind == thread_kind::user ? me.signal_mask : os::signal_mask() & ~os::unblockable;
  t.on = nullptr;
  t.no_preempt.set(1);
  t.pending.store(0, memory_order::relaxed);  // relaxed: published by start_thread
  t.cpu_time.store(0, memory_order::relaxed);  // relaxed: as above
  t.stack.created(t.stack_low, t.stack_bytes);
  t.context = arch::make_context(t.callable, strand_entry, &t);
  switch_point();
  const section in(me);
  scheduler_of(t.in).start_thread(t);
}

void abandon(strand_handle* s) noexcept {
  strand& t = *from(s);
  if (t.kind == thread_kind::foreign) ::operator delete(t.callable, std::align_val_t{t.stack_bytes});
  runtime_state* const runtime = t.in;
  const section in(self());
  release_any(t);
  leave_runtime(runtime);
}

bool join(strand_handle* s, patience p) noexcept {
  strand& t = *from(s);
  strand& me = self();
  const wait_note note(me, waiting_for::kind::end_of, &t, p.when);
  const stop_watch watch(me, p.stop);
  const section in(me);
  for (;;) {
    const bool stopped = watch.requested();
    const wake_reason why = t.life.wait(me, stopped ? 0 : p.when);
    if (why == wake_reason::owner) break;
    if (stopped || why == wake_reason::deadline) return false;
  }
  release_any(t);
  return true;
}

void detach(strand_handle* s) noexcept {
  strand& t = *from(s);
  const section in(self());
  bool release = false;
  {
    const locked hold(t.life.lock);
    t.life.detached = true;
    release = t.life.ended;
  }
  if (release) release_any(t);
}

std::uint64_t number_of(const strand_handle* s) noexcept { return from(s)->number; }
std::uint64_t own_number() noexcept { return self().number; }
bool is_caller(const strand_handle* s) noexcept { return from(s) == &self(); }

void yield() noexcept {
  strand& me = self();
  if (me.kind == thread_kind::foreign) return give_cpu_away();
  const section in(me);
  me.on->home->yield(me);
}

bool sleep_until(patience p) noexcept {
  strand& me = self();
  const stop_watch watch(me, p.stop);
  const section in(me);
  while (!watch.requested()) {
    const ticket t = me.wait.prepare();
    if (sync::park(me, t, p.when) == wake_reason::deadline) return true;
  }
  return false;
}

void at_exit_of_caller(exit_action& a) noexcept {
  strand& me = self();
  a.next = me.at_exit;
  me.at_exit = &a;
}

void begin_blocking() noexcept {
  strand& me = self();
  if (me.kind == thread_kind::foreign) return;
  const section in(me);
  me.on->home->hand_off(me);
}
void end_blocking() noexcept { const section in(self()); }

}  // namespace weft::detail
