// SPDX-License-Identifier: BSL-1.0
// The seam between the scheduler and whatever tells it of events in the kernel (io/ plugs in a reactor): an idle carrier
// sleeps *in* the event source instead of on its futex.
//
// Who looks at it
//   a carrier that runs dry, before it gives its slot up, and every 61st slice of a busy one: poll()
//   one sleeping carrier (the watcher) while a slot is idle: wait(). Its events find a slot, or go to the global queue.
//   the monitor, at each of its looks, when no carrier watches. It does not doze while threads wait for events and nobody
//   watches [watch-1].
// Rejected: a kernel thread of its own that waits for events. Each event would cost two switches between kernel threads
// while the carriers are busy and would have found it by themselves soon.
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "base/fifo.hpp"
#include "core/thread.hpp"

namespace weft::engine {

/// Threads that were claimed for an event and are to be made ready.
using ready_list = fifo<thread, &thread::next>;

struct event_source {
  /// Collects what has happened, without waiting. Any kernel thread of the engine; several at a time.
  void (*poll)(ready_list& ready) = nullptr;
  /// The same, but waits for the first event, an interrupt(), a signal, or `until`. One kernel thread at a time.
  void (*wait)(ready_list& ready, nanoseconds_at until) = nullptr;
  /// Ends the wait() that goes on, or the next one if none does. Any context inside the engine; never waits.
  void (*interrupt)() = nullptr;
  /// Threads that wait for events. Nobody looks while it is 0.
  atomic<std::uint32_t> waiting{0};

  // [watch-1] relaxed: who begins to wait counts itself, passes the light fence of tell_monitor and looks whether the
  // monitor dozes; the monitor says that it dozes, calls the heavy fence, and looks at this count.
  [[nodiscard]] bool anybody() const noexcept { return waiting.load(memory_order::relaxed) != 0; }
};

}  // namespace weft::engine
