// SPDX-License-Identifier: BSL-1.0
// Where a thread lives: one mapping from the stack pool. Low to high: guard, stack, libc's thread block, the record of the face that made
// the thread. The record is the face's own type, derived from `thread`, with these members:
//
//   bool block_built, abandoned;   // there is a block; what libc keeps in it is not to be used again
//   mem::stack_top top;            // its last member, so that it stands at the top of the mapping
//
// What lies at the top is kept while the mapping waits for its next owner: that one's block is only renewed.
#pragma once
#include <cstring>
#include <new>

#include "arch/thread_pointer.hpp"
#include "core/section.hpp"
#include "core/thread.hpp"
#include "mem/stack_pool.hpp"
#include "mem/thread_block.hpp"
#include "os/memory.hpp"

namespace weft::engine {

/// Where thread ids begin in this process: processes that share locks must not have threads with the same ids. Once, and in
/// a forked child.
void begin_thread_ids() noexcept;
/// What libc's locks take for the owner: greater than the kernel's ids, unique among living threads.
[[nodiscard]] int new_thread_id() noexcept;

/// A record is made where others may have stood: its waits must not be taken for theirs, nor the other way.
void begin_epochs(thread& t) noexcept;
/// [section] The mapping goes back to the pool; nobody waits for the thread any more.
void give_thread_memory(thread& t, mem::stack_top& top) noexcept;
template <class Record>
void give_thread_memory(Record& t) noexcept {
  give_thread_memory(t, t.top);
}

/// Outside sections: frees a bit of the heap memory that trimmed stacks have left.
void free_leftovers(thread& me) noexcept;
/// Outside sections: a block that is there is made to look new; with everything but the caller's thread-locals.
void renew_thread_block(thread& me, std::uintptr_t pointer) noexcept;
/// The engine's `current_thread` in a block whose thread does not run yet.
void preset_current_thread(thread& t) noexcept;

template <class Record>
Record* record_at(mem::stack_top* top) noexcept {
  return reinterpret_cast<Record*>(reinterpret_cast<char*>(top + 1) - sizeof(Record));
}

/// A mapping with a record at its top. `bytes`: all of it. Null: no memory.
template <class Record>
Record* take_thread_memory(thread& me, std::size_t bytes) noexcept {
  const section in(me);
  mem::stack_top* top = mem::stacks.take(bytes);
  if (top == nullptr) return nullptr;
  Record* t = record_at<Record>(top);
  if (!top->used_before) {
    const mem::stack_top about = *top;
    new (t) Record;
    t->top = about;
    begin_epochs(*t);
    t->thread_pointer = mem::thread_pointer_below(t);
  }
  return t;
}

/// Outside sections: the thread block, new or made to look new, with a new id. False: no memory.
template <class Record>
bool prepare_thread_block(thread& me, Record& t) noexcept {
  free_leftovers(me);
  if (t.abandoned) {  // key values, cleanup handlers, destructors: all of the thread that ended at once
    t.block_built = t.abandoned = false;
    const std::uintptr_t low = mem::thread_block_low(t.thread_pointer);
    std::memset(reinterpret_cast<void*>(low), 0, reinterpret_cast<std::uintptr_t>(&t) - low);
  }
  if (!t.block_built) {
    t.block_built = mem::build_block(t.thread_pointer);
    if (!t.block_built) return false;
  } else {
    renew_thread_block(me, t.thread_pointer);
  }
  mem::set_thread_id(t.thread_pointer, new_thread_id());
  preset_current_thread(t);
  return true;
}

/// On the monitor: gives memory back after a crowd of threads has ended. Returns when it wants to be called again.
nanoseconds_at trim_thread_memory(nanoseconds_at now, mem::stack_pool::strip_function strip) noexcept;
template <class Record>
nanoseconds_at trim_thread_memory(nanoseconds_at now) noexcept {
  return trim_thread_memory(now, [](mem::stack_top& top) noexcept -> std::size_t {
    Record& t = *record_at<Record>(&top);
    if (t.abandoned || !t.block_built || mem::strip_block(t.thread_pointer)) return 0;
    return reinterpret_cast<std::uintptr_t>(&t + 1) - mem::thread_block_low(t.thread_pointer);
  });
}

}  // namespace weft::engine
