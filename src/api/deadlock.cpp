// SPDX-License-Identifier: BSL-1.0
#include "api/deadlock.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "api/runtime.hpp"
#include "api/runtimes.hpp"
#include "base/text.hpp"
#include "core/thread_memory.hpp"
#include "os/memory.hpp"
#include "os/task.hpp"
#include "weft/detail/sync.hpp"

namespace weft::engine::api {

namespace {

using kind = waiting_for::kind;
constexpr nanoseconds second_look = 100 * millisecond;
constexpr unsigned most_lines = 100;
constexpr unsigned longest_cycle = 64;

using line = text<300>;

bool waits(const strand& s, ticket& t) noexcept { return s.wait.current_ticket(t); }

kind kind_of(const strand& s) noexcept { return s.waits.what.load(memory_order::relaxed); }  // relaxed: see waiting_for
const void* object_of(const strand& s) noexcept { return s.waits.object.load(memory_order::relaxed); }  // relaxed: as above
bool lives(const strand& s) noexcept { return s.alive.load(memory_order::relaxed); }  // relaxed: as above

/// Where the owner of what it waits for is written; null if that has none.
const std::atomic<const void*>* owner_place(const strand& s) noexcept {
  switch (kind_of(s)) {
    case kind::mutex: return &static_cast<const detail::mutex_state*>(object_of(s))->owner;
    case kind::shared_mutex: return &static_cast<const detail::shared_mutex_state*>(object_of(s))->owner;
    default: return nullptr;
  }
}
/// Another strand's may be gone: it goes on while we look.
const strand* owner_of(const strand& s) noexcept {
  const void* owner = nullptr;
  const auto* place = owner_place(s);
#if defined(__SANITIZE_THREAD__)
  if (place != nullptr) return static_cast<const strand*>(place->load(std::memory_order_acquire));  // [owner-1] it cannot see the copy below
#endif
  return place != nullptr && os::copy_if_readable(place, &owner, sizeof owner) ? static_cast<const strand*>(owner) : nullptr;
}
const strand* owner_of_own(const strand& me) noexcept {
  return static_cast<const strand*>(owner_place(me)->load(std::memory_order_acquire));  // [owner-1]
}

line& operator<<(line& out, const strand& s) noexcept {
  out << (s.kind == thread_kind::foreign ? "kernel thread " : s.thread_pointer == 0 ? "fiber " : "thread ") << s.number;
  if (&s == main_if_adopted()) out << " (main)";
  if (s.name[0] != '\0') out << " \"" << s.name << '"';
  return out;
}

void describe(line& out, const strand& s, nanoseconds_at now) noexcept {
  out << "weft:   " << s << " waits for ";
  switch (kind_of(s)) {
    case kind::nothing: out << "something"; break;
    case kind::mutex: out << "mutex "; break;
    case kind::shared_mutex: out << "shared_mutex "; break;
    case kind::condition: out << "condition_variable "; break;
    case kind::semaphore: out << "semaphore "; break;
    case kind::end_of: out << "the end of " << *static_cast<const strand*>(object_of(s)); break;
    case kind::channel: out << "a channel, select or scope"; break;
  }
  if (kind_of(s) != kind::nothing && kind_of(s) != kind::end_of && kind_of(s) != kind::channel)
    out.hex(reinterpret_cast<std::uintptr_t>(object_of(s)));
  if (const strand* owner = owner_of(s)) out << ", held by " << *owner;
  const nanoseconds_at since = s.waits.since.load(memory_order::relaxed);  // relaxed: see waiting_for
  const nanoseconds span = since != 0 && now > since ? now - since : 0;
  out << ", for " << static_cast<std::uint64_t>(span / second) << '.' << static_cast<std::uint64_t>(span / (100 * millisecond) % 10) << " s\n";
}

/// Calls visit for every strand that lives.
template <class Visit>
void for_each_alive(Visit visit) noexcept {
  if (strand* main = main_if_adopted()) visit(*main);
  mem::stacks.for_each([&](mem::stack_top& top) {
    strand& s = *record_at<strand>(&top);
    if (lives(s)) visit(s);
  });
  for_each_kernel_strand([&](strand& s) {
    if (lives(s)) visit(s);
  });
}

/// Kernel threads of the process. The monitor has no descriptors of the program's, so this opens its own.
std::uint32_t kernel_threads() noexcept {
  DIR* tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return ~0u;
  std::uint32_t n = 0;
  while (const dirent* entry = ::readdir(tasks)) n += entry->d_name[0] != '.';
  ::closedir(tasks);
  return n;
}

struct census {
  std::uint32_t waiting = 0, running = 0, on_kernel_threads = 0;
  std::uint64_t waits_so_far = 0;
};

census count() noexcept {
  census c;
  for_each_alive([&](strand& s) {
    ticket t{};
    ++(waits(s, t) ? c.waiting : c.running);
    c.on_kernel_threads += s.kind == thread_kind::foreign;
    c.waits_so_far += static_cast<std::uint64_t>(t);
  });
  return c;
}

void say(const line& l) noexcept { os::write_to_process_stderr(l.data(), l.size()); }

void report(const census& c, nanoseconds_at now) noexcept {
  line head;
  head << "weft: deadlock: " << (c.waiting == 1 ? "the only thread waits" : "all ");
  if (c.waiting != 1) head << static_cast<std::uint64_t>(c.waiting) << " threads wait";
  head << ", and nothing can wake " << (c.waiting == 1 ? "it\n" : "them\n");
  describe_seeds(head);
  say(head);
  unsigned lines = 0;
  for_each_alive([&](strand& s) {
    if (++lines > most_lines) return;
    line l;
    describe(l, s, now);
    say(l);
  });
  if (lines > most_lines) {
    line rest;
    rest << "weft:   and " << static_cast<std::uint64_t>(lines - most_lines) << " more\n";
    say(rest);
  }
}

}  // namespace

nanoseconds_at look_for_deadlock(nanoseconds_at now) noexcept {
  static constinit std::uint64_t waits_at_last_look = 0, waits_reported = 0;
  static constinit nanoseconds_at looked_at = 0;
  const census c = count();
  if (c.waiting == 0 || c.waits_so_far == waits_reported) return now + second;
  // Ours: the carriers, this one, and the one that makes others.
  if (c.running != 0) return now + second;
  std::uint32_t ours = the_scheduler.carriers_alive() + 2;
  for (side_scheduler* s = first_side_scheduler(); s != nullptr; s = s->next) {
    if (s->engine.earliest_deadline() != never) return now + second;
    ours += s->engine.carriers_alive() + (s->as.virtual_time ? 0 : 1);  // and its monitor
  }
  if (kernel_threads() > ours + c.on_kernel_threads) return now + second;
  if (c.waits_so_far != waits_at_last_look || now - looked_at < second_look) {
    if (c.waits_so_far != waits_at_last_look) looked_at = now;
    waits_at_last_look = c.waits_so_far;
    return looked_at + second_look;
  }
  waits_reported = c.waits_so_far;
  report(c, now);
  if (chosen_options().deadlock == options::deadlock_choice::report) return now + second;
  if (::ftrylockfile(stdout) == 0) ::fflush_unlocked(stdout);
  ::_exit(2);
}

void look_for_cycle(strand& me) noexcept {
  const strand* seen[longest_cycle];
  ticket tickets[longest_cycle];
  unsigned n = 0;
  const strand* s = owner_of_own(me);
  for (; s != nullptr && s != &me && n < longest_cycle; s = owner_of(*s)) {
    if ((kind_of(*s) != kind::mutex && kind_of(*s) != kind::shared_mutex) || !waits(*s, tickets[n])) return;
    seen[n++] = s;
  }
  if (s != &me) return;
  // Once more: are they the same waits, for the same mutexes?
  s = owner_of_own(me);
  for (unsigned i = 0; i < n; ++i, s = owner_of(*s)) {
    ticket t{};
    if (s != seen[i] || !waits(*s, t) || t != tickets[i]) return;
  }
  if (s != &me) return;
  line head;
  head << "weft: deadlock: a cycle of " << static_cast<std::uint64_t>(n + 1) << " threads, each waits for a mutex that the next one holds\n";
  const auto write_out = [](const line& l) { [[maybe_unused]] const auto written = ::write(STDERR_FILENO, l.data(), l.size()); };
  write_out(head);
  const nanoseconds_at now = os::coarse_now();
  line l;
  describe(l, me, now);
  write_out(l);
  for (unsigned i = 0; i < n; ++i) {
    line other;
    describe(other, *seen[i], now);
    write_out(other);
  }
}

}  // namespace weft::engine::api
