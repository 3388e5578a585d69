// SPDX-License-Identifier: BSL-1.0
// Making carriers: the first from the kernel thread that runs main, the others by clone when a slot needs one.
//
// A carrier's memory, low to high: guard page, stack, guard-less signal stack, bare thread block, the carrier itself.
// It is never unmapped; records of carriers that ended are used again.
#include <errno.h>

#include <cstring>

#include "arch/thread_pointer.hpp"
#include "base/assert.hpp"
#include "core/scheduler.hpp"
#include "core/section.hpp"
#include "core/thread_memory.hpp"
#include "os/features.hpp"
#include "os/futex.hpp"
#include "os/kernel_thread.hpp"
#include "os/memory.hpp"
#include "os/signal_mask.hpp"
#include "os/thread_pointer.hpp"
#include "mem/thread_block.hpp"

namespace weft::engine {

constinit scheduler the_scheduler;

namespace {
constexpr std::size_t stack_bytes = 32 * 1024;
constexpr std::size_t signal_stack_bytes = 32 * 1024;

std::size_t record_bytes() noexcept {
  return os::round_up(os::page_size + stack_bytes + signal_stack_bytes + mem::thread_block_bytes() + sizeof(carrier),
                      os::page_size);
}
char* low_of(carrier& c) noexcept {
  return reinterpret_cast<char*>(&c + 1) - record_bytes();
}
void* stack_top(carrier& c) noexcept { return low_of(c) + os::page_size + stack_bytes; }

/// Where the counterpart of the caller's thread-local `mine` lies in the storage that `pointer` names.
template <class T>
T* counterpart(T* mine, std::uintptr_t pointer) noexcept {
  return reinterpret_cast<T*>(pointer + (reinterpret_cast<std::uintptr_t>(mine) - arch::thread_pointer()));
}
}  // namespace

carrier* scheduler::make_carrier_record() noexcept {
  locked hold(carriers_lock_);
  for (carrier** link = &free_carriers_; *link != nullptr; link = &(*link)->next_free) {
    carrier* c = *link;
    if (c->tid.load(memory_order::acquire) != 0) continue;  // [carrier-1] the kernel still stands on its stack
    *link = c->next_free;
    return c;
  }
  const std::uint32_t made = carriers_made_.load(memory_order::relaxed);  // relaxed: under the lock
  if (made == options_.most_carriers) return nullptr;
  auto* memory = static_cast<char*>(os::map(record_bytes()));
  if (memory == nullptr) return nullptr;
  if (os::machine.guard == os::guard_method::advice)
    os::raw_syscall(SYS_madvise, os::arg(memory), os::page_size, os::advice_guard_install);
  else
    os::raw_syscall(SYS_mprotect, os::arg(memory), os::page_size, PROT_NONE);
  auto* c = new (memory + record_bytes() - sizeof(carrier)) carrier;
  c->index = made;
  c->home = this;
  c->signal_stack = memory + os::page_size + stack_bytes;
  c->thread_pointer = mem::thread_pointer_below(c);
  c->stack.created(memory + os::page_size, stack_bytes);
  mem::build_bare_block(c->thread_pointer);
  *counterpart(&current_carrier, c->thread_pointer) = c;
  learn_storage(*c);
  table_[made] = c;
  // [carriers-1] release: the monitor, which reads the table without the lock, finds a whole carrier below the count.
  carriers_made_.store(made + 1, memory_order::release);
  return c;
}

void scheduler::learn_storage(carrier& c) noexcept {
  if constexpr (!threads_may_borrow) return;
  c.shown = counterpart(&current_thread, c.thread_pointer);
  if (hooks_.exceptions == nullptr) return;
  exception_state* mine = hooks_.exceptions();
  const std::uintptr_t below = arch::thread_pointer() - reinterpret_cast<std::uintptr_t>(mine);
  // Not in static storage (a C++ runtime that came by dlopen): then it is known only for the caller's own.
  if (below < mem::thread_block_bytes() || c.thread_pointer == arch::thread_pointer()) c.exceptions = counterpart(mine, c.thread_pointer);
}

void scheduler::carrier_start(void* raw) noexcept {
  auto& c = *static_cast<carrier*>(raw);
  if constexpr (os::kernel_threads_are_libcs) {
    c.thread_pointer = arch::thread_pointer();
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    mem::leave_rseq();
#endif
    c.stack.adopted();
    current_carrier = &c;
    c.home->learn_storage(c);
  }
  os::set_signal_stack(c.signal_stack, signal_stack_bytes);
  c.home->loop(c);
}

void scheduler::loop_entry(void* raw) noexcept {
  auto& c = *static_cast<carrier*>(raw);
  current_carrier = &c;
  c.home->loop(c);
}

/// With a slot to run with, or without one: then it goes to sleep at once.
carrier* scheduler::new_carrier(slot* s) noexcept {
  carrier* c = make_carrier_record();
  if (c == nullptr) {
    carriers_refused.fetch_add(1, memory_order::relaxed);  // relaxed: a statistic
    return nullptr;
  }
  c->kernel_mask = mask_unknown;
  c->previous = nullptr;
  c->bound.store(false, memory_order::relaxed);  // relaxed: clone orders
  c->cpu_seen.store(0, memory_order::relaxed);   // relaxed: clone orders
  c->cpu_ahead.store(0, memory_order::relaxed);  // relaxed: clone orders
  const thread* maker = current();
  const carrier* from = maker != nullptr ? maker->on : current_carrier;
  if (from != nullptr)
    c->credentials.store(from->credentials.load(memory_order::relaxed), memory_order::relaxed);  // relaxed: clone orders
  c->wake_word.store(0, memory_order::relaxed);  // relaxed: clone orders
  if (s != nullptr) hand(*c, *s);
  const std::uint32_t alive = carriers_alive_.fetch_add(1, memory_order::relaxed) + 1;  // relaxed: a statistic
  if (alive > carriers_most_.load(memory_order::relaxed))                               // relaxed: a statistic
    carriers_most_.store(alive, memory_order::relaxed);                                 // relaxed: a statistic
  if (os::start_kernel_thread(carrier_start, c, stack_top(*c), c->thread_pointer, c->tid, carrier_refused) == 0) return c;

  carriers_alive_.fetch_sub(1, memory_order::relaxed);   // relaxed: a statistic
  carriers_refused.fetch_add(1, memory_order::relaxed);  // relaxed: a statistic
  if (s != nullptr) (void)c->claim.release();
  c->holding = nullptr;
  locked hold(carriers_lock_);
  c->next_free = free_carriers_;
  free_carriers_ = c;
  return nullptr;
}

/// The kernel thread that was to become this carrier could not be had after all.
void scheduler::carrier_refused(void* raw) noexcept {
  auto& c = *static_cast<carrier*>(raw);
  scheduler& home = *c.home;
  home.carriers_alive_.fetch_sub(1, memory_order::relaxed);   // relaxed: a statistic
  home.carriers_refused.fetch_add(1, memory_order::relaxed);  // relaxed: a statistic
  slot* s = c.holding;
  c.holding = nullptr;
  if (s != nullptr && c.claim.release()) {
    s->holder.store(nullptr, memory_order::relaxed);  // relaxed: a hint
    home.idle_.put_slot(*s);
    home.tell_monitor();  // which tries again as long as there is work
  }
  locked hold(home.carriers_lock_);
  c.next_free = home.free_carriers_;
  home.free_carriers_ = &c;
}

void scheduler::recycle_carrier(carrier& c) noexcept {
  os::set_signal_mask(~std::uint64_t{0});  // no handler may start on a stack that is about to be given back
  carriers_alive_.fetch_sub(1, memory_order::relaxed);  // relaxed: a statistic
  c.urgent = false;  // as the next kernel thread will be
  {
    locked hold(carriers_lock_);
    c.next_free = free_carriers_;
    free_carriers_ = &c;
  }
  // [carrier-1] The kernel is the other side: it clears c.tid as the last thing that it does for this kernel thread, when
  // nobody stands on the stack any more. Whoever reads 0 (acquire) may use the record and its stack again.
  os::end_kernel_thread();
}

/// The thread that had it for itself is over. What it changed about its kernel thread cannot always be undone (a nice value,
/// a filter of system calls), so nobody else shall have it.
void scheduler::end_bound(carrier& c) noexcept {
  if (c.tid.load(memory_order::relaxed) != os::process_id()) recycle_carrier(c);  // relaxed: does not change
  // The process's first kernel thread: without it the process would look dead (/proc). It stays, and hears only the
  // engine's signal, by which carriers change their credentials.
  os::set_signal_mask(~os::signal_bit(os::preempt_signal));
  c.wake_word.store(0, memory_order::relaxed);  // relaxed: nobody else knows this carrier
  for (;;) os::futex_wait(c.wake_word, 0, -1);
}

int scheduler::adopt_kernel_thread(thread& me) noexcept {
  carrier* c = make_carrier_record();
  if (c == nullptr) return ENOMEM;
  c->tid.store(os::kernel_thread_id(), memory_order::relaxed);  // relaxed: no other carrier exists yet
  me.signal_mask = os::signal_mask() & ~os::unblockable;
  os::set_thread_mask(me.signal_mask);
  c->kernel_mask = me.signal_mask;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  c->thread_pointer = arch::thread_pointer();  // the sanitizer's state lives there
  learn_storage(*c);
#else
  if constexpr (os::kernel_threads_are_libcs) {  // storage for those that borrow it
    c->thread_pointer = mem::thread_pointer_below(c);  // in a forked child the record was another carrier's
    const std::uintptr_t low = mem::thread_block_low(c->thread_pointer);
    std::memset(reinterpret_cast<void*>(low), 0, reinterpret_cast<std::uintptr_t>(c) - low);
    if (!mem::build_block(c->thread_pointer)) return ENOMEM;
    mem::set_thread_id(c->thread_pointer, new_thread_id());
    const std::uintptr_t mine = arch::thread_pointer();
    os::set_thread_pointer_slowly(c->thread_pointer);
    mem::begin_on_block();
    os::set_thread_pointer_slowly(mine);
    learn_storage(*c);
  }
#endif
  c->context = arch::make_context(stack_top(*c), loop_entry, c);
  c->current.store(&me, memory_order::relaxed);  // relaxed: as above
  os::set_signal_stack(c->signal_stack, signal_stack_bytes);
  hand(*c, slots_[0]);
  carriers_alive_.store(1, memory_order::relaxed);  // relaxed: as above
  if (carriers_most_.load(memory_order::relaxed) == 0) carriers_most_.store(1, memory_order::relaxed);  // relaxed: as above
  me.kind = thread_kind::user;
  me.home = this;
  me.placed = false;
  me.pinned = -1;
  me.on = c;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  me.thread_pointer = 0;
#else
  me.thread_pointer = arch::thread_pointer();
#endif
  me.stack.adopted();
  for (std::uint32_t i = 1; i < options_.parallelism; ++i) idle_.put_slot(slots_[i]);
  keep_a_spare();
  return 0;
}

int scheduler::map_tables(const scheduler_options& options, const scheduler_hooks& hooks) noexcept {
  options_ = options;
  hooks_ = hooks;
  const std::size_t slots_bytes = os::round_up(sizeof(slot) * options.parallelism, os::page_size);
  const std::size_t table_bytes = os::round_up(sizeof(carrier*) * options.most_carriers, os::page_size);
  auto* slots = static_cast<char*>(os::map(slots_bytes));
  auto* table = static_cast<carrier**>(os::map(table_bytes));
  if (slots == nullptr || table == nullptr) {
    if (slots != nullptr) os::unmap(slots, slots_bytes);
    if (table != nullptr) os::unmap(table, table_bytes);
    return ENOMEM;
  }
  slots_ = reinterpret_cast<slot*>(slots);
  for (std::uint32_t i = 0; i < options.parallelism; ++i) new (&slots_[i]) slot;
  table_ = table;
  return 0;
}

int scheduler::start(thread& main, const scheduler_options& options, const scheduler_hooks& hooks) noexcept {
  const int error = map_tables(options, hooks);
  return error != 0 ? error : adopt_kernel_thread(main);
}

int scheduler::start_beside(const scheduler_options& options, const scheduler_hooks& hooks) noexcept {
  if (const int error = map_tables(options, hooks); error != 0) return error;
  global_.use(options.order);
  if (options.order != nullptr && options.order->time_is_virtual()) begin_virtual_time();
  for (std::uint32_t i = 0; i < options_.parallelism; ++i) idle_.put_slot(slots_[i]);
  return new_carrier(nullptr) != nullptr ? 0 : EAGAIN;
}

void scheduler::begin_virtual_time() noexcept {
  constexpr nanoseconds_at first_instant = second;                  // always the same, and not 0
  virtual_now_.store(first_instant, memory_order::relaxed);  // relaxed: the first thread's start orders
}

int scheduler::start_again_in_child(thread& me) noexcept {
  for (std::uint32_t i = 0; i < options_.parallelism; ++i) {
    const std::uint64_t switches = slots_[i].switches.load(memory_order::relaxed);  // relaxed: the child has one thread
    new (&slots_[i]) slot;
    slots_[i].switches.store(switches, memory_order::relaxed);  // relaxed: as above
  }
  idle_.reset();
  global_.reset();
  carriers_lock_.reset();
  searching_.store(0, memory_order::relaxed);       // relaxed: as above
  monitor_word.store(0, memory_order::relaxed);     // relaxed: as above
  monitor_lookout.store(0, memory_order::relaxed);  // relaxed: as above
  monitor_dozes.store(0, memory_order::relaxed);    // relaxed: as above
  // Every carrier's kernel thread is gone; their records serve again, but for the one whose kernel thread we are: a new
  // record becomes ours, and the old one is free like the rest. Their stacks hold nothing that anybody returns to.
  free_carriers_ = nullptr;
  for (std::uint32_t i = 0; i < carriers_made(); ++i) {
    carrier& c = *table_[i];
    new (&c.claim) slot_claim;
    c.holding = nullptr;
    c.previous = nullptr;
    c.bound.store(false, memory_order::relaxed);      // relaxed: as above
    c.cpu_seen.store(0, memory_order::relaxed);       // relaxed: as above
    c.cpu_ahead.store(0, memory_order::relaxed);      // relaxed: as above
    c.current.store(nullptr, memory_order::relaxed);  // relaxed: as above
    c.tid.store(0, memory_order::relaxed);            // relaxed: as above
    c.asleep = false;
    c.arrived.store(false, memory_order::relaxed);    // relaxed: as above
    c.watches.store(false, memory_order::relaxed);    // relaxed: as above
    c.next_free = free_carriers_;
    free_carriers_ = &c;
  }
  return adopt_kernel_thread(me);
}

std::uint32_t scheduler::carriers_made() const noexcept {
  return carriers_made_.load(memory_order::acquire);  // [carriers-1]
}
carrier* scheduler::carrier_at(std::uint32_t index) noexcept { return table_[index]; }
std::uint32_t scheduler::carriers_most() const noexcept {
  return carriers_most_.load(memory_order::relaxed);  // relaxed: a statistic
}

std::uint64_t scheduler::switches() const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; slots_ != nullptr && i < options_.parallelism; ++i)
    sum += slots_[i].switches.load(memory_order::relaxed);  // relaxed: a statistic
  return sum;
}

}  // namespace weft::engine
