// SPDX-License-Identifier: BSL-1.0
#include "io/descriptors.hpp"

#include <new>

#include "os/memory.hpp"
#include "os/syscall.hpp"

namespace weft::engine::io {

namespace {
constexpr unsigned per_chunk = 256;
constexpr unsigned most_chunks = 4096;
constinit atomic<descriptor*> chunks[most_chunks];

descriptor* make_chunk(unsigned index) noexcept {
  constexpr std::size_t bytes = os::round_up(per_chunk * sizeof(descriptor), os::page_size);
  auto* fresh = static_cast<descriptor*>(os::map(bytes));
  if (fresh == nullptr) return nullptr;
  for (unsigned i = 0; i < per_chunk; ++i) new (&fresh[i]) descriptor;
  descriptor* present = nullptr;
  // [chunk-1] release: whoever finds the chunk (acquire) finds its records constructed.
  if (chunks[index].compare_exchange_strong(present, fresh, memory_order::acq_rel, memory_order::acquire)) return fresh;
  os::unmap(fresh, bytes);
  return present;
}
}  // namespace

void descriptor::push_back(waiter& w) noexcept {
  w.next = nullptr;
  w.prev = last;
  (last != nullptr ? last->next : first) = &w;
  last = &w;
}

void descriptor::remove(waiter& w) noexcept {
  (w.prev != nullptr ? w.prev->next : first) = w.next;
  (w.next != nullptr ? w.next->prev : last) = w.prev;
}

descriptor* record_if_any(int fd) noexcept {
  const auto number = static_cast<unsigned>(fd);
  if (number >= per_chunk * most_chunks) return nullptr;
  descriptor* chunk = chunks[number / per_chunk].load(memory_order::acquire);  // [chunk-1]
  return chunk != nullptr ? &chunk[number % per_chunk] : nullptr;
}

descriptor* record_of(int fd) noexcept {
  if (descriptor* d = record_if_any(fd)) [[likely]] return d;
  const auto number = static_cast<unsigned>(fd);
  if (number >= per_chunk * most_chunks) return nullptr;
  descriptor* chunk = make_chunk(number / per_chunk);
  return chunk != nullptr ? &chunk[number % per_chunk] : nullptr;
}

void for_each_record(unsigned first, unsigned last, void (*visit)(int, descriptor&)) noexcept {
  for (unsigned c = first / per_chunk; c < most_chunks && c <= last / per_chunk; ++c) {
    descriptor* chunk = chunks[c].load(memory_order::acquire);  // [chunk-1]
    if (chunk == nullptr) continue;
    for (unsigned i = 0; i < per_chunk; ++i) {
      const unsigned number = c * per_chunk + i;
      if (number >= first && number <= last) visit(static_cast<int>(number), chunk[i]);
    }
  }
}

void forget_all_waiters() noexcept {
  for_each_record(0, ~0u, [](int fd, descriptor& d) {
    d.lock.reset();
    if (d.lent) os::raw_syscall(SYS_close, fd);
    d.armed = d.taken = 0;
    d.known_to_back_end = d.refused = d.lent = false;
    d.first = d.last = nullptr;
  });
}

}  // namespace weft::engine::io
