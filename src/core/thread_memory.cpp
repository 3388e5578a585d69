// SPDX-License-Identifier: BSL-1.0
#include "core/thread_memory.hpp"

#include "core/scheduler.hpp"
#include "os/kernel_thread.hpp"

namespace weft::engine {

namespace {
constexpr int first_id = 1 << 22;  // above the kernel's greatest pid
constexpr int last_id = 1 << 28;   // below the bits that futex words and CPU clocks reserve
constexpr int ids_per_process = 8064;  // before those of the process with the next number begin

/// While stacks lie free in a crowd: what was unused for so long gives its pages back.
constexpr nanoseconds trim_interval = 200 * millisecond;

constinit atomic<int> next_id{first_id};
/// No wait of a thread whose memory was released had a greater epoch.
constinit atomic<std::uint64_t> greatest_epoch{0};
}  // namespace

void begin_thread_ids() noexcept {
  const std::int64_t first = std::int64_t{os::process_id()} * ids_per_process % (last_id - first_id);
  next_id.store(first_id + static_cast<int>(first), memory_order::relaxed);  // relaxed: only uniqueness matters
}

int new_thread_id() noexcept {
  const int id = next_id.fetch_add(1, memory_order::relaxed);  // relaxed: only uniqueness matters
  if (id < last_id) return id;
  next_id.store(first_id, memory_order::relaxed);  // relaxed: ids of 250 million threads ago are free again
  return next_id.fetch_add(1, memory_order::relaxed);  // relaxed: as above
}

void begin_epochs(thread& t) noexcept {
  t.wait.continue_after(greatest_epoch.load(memory_order::relaxed));  // relaxed: raised before the pool's lock was taken
}

void give_thread_memory(thread& t, mem::stack_top& top) noexcept {
  const std::uint64_t epoch = t.wait.epoch();
  std::uint64_t greatest = greatest_epoch.load(memory_order::relaxed);  // relaxed: the pool's lock orders
  while (epoch > greatest && !greatest_epoch.compare_exchange_weak(greatest, epoch, memory_order::relaxed)) {  // relaxed: as above
  }
  if (mem::stacks.put(top)) the_scheduler.want_tidy();
}

void free_leftovers(thread& me) noexcept {
  if (!mem::something_stripped()) [[likely]] return;
  mem::stripped* some = nullptr;
  {
    const section in(me);
    some = mem::take_stripped();
  }
  mem::free_stripped(some);
}

void renew_thread_block(thread& me, std::uintptr_t pointer) noexcept {
  mem::forget_dynamic_blocks(pointer);
  mem::tls_images fresh;
  std::uint32_t version = 0;
  const bool changed = mem::collect_images(fresh, version);
  const section in(me);
  if (changed) mem::adopt_images(fresh, version);
  mem::renew_block(pointer);
}

void preset_current_thread(thread& t) noexcept {
  const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(&current_thread) - arch::thread_pointer();
  *reinterpret_cast<thread**>(t.thread_pointer + offset) = &t;
}

nanoseconds_at trim_thread_memory(nanoseconds_at now, mem::stack_pool::strip_function strip) noexcept {
  static constinit nanoseconds_at next = 0;
  if (mem::stacks.trim_some(strip)) return now;
  if (now < next) return next;
  const bool crowded = mem::stacks.begin_trim();
  if (crowded) next = now + trim_interval;
  return crowded ? now : never;
}

}  // namespace weft::engine
