// SPDX-License-Identifier: BSL-1.0
#include "mem/stack_pool.hpp"

#include <bit>
#include <new>

#include "os/features.hpp"
#include "os/memory.hpp"

namespace weft::mem {

constinit stack_pool stacks;

namespace {
constexpr std::size_t smallest = 16 * 1024;
constexpr std::size_t biggest_slab = 64 << 20;

bool install_guard(char* low) noexcept {
  switch (os::machine.guard) {
    case os::guard_method::advice:
      return os::raw_syscall(SYS_madvise, os::arg(low), os::page_size, os::advice_guard_install) == 0;
    case os::guard_method::protect:
      return os::raw_syscall(SYS_mprotect, os::arg(low), os::page_size, PROT_NONE) == 0;
    case os::guard_method::none:
      return false;
  }
  return false;
}

stack_top* top_of(char* low, std::size_t stride) noexcept {
  return reinterpret_cast<stack_top*>(low + stride - sizeof(stack_top));
}
}  // namespace

int stack_pool::class_of(std::size_t bytes) noexcept {
  if (bytes <= smallest) return 0;
  // Class 4k+j holds smallest * 2^k * (1 + j/4).
  const std::size_t units = (bytes + smallest - 1) / smallest;
  for (int c = 4 * (static_cast<int>(std::bit_width(units - 1)) - 1); c < classes; ++c)
    if (bytes_of(c) >= bytes) return c;
  return classes;
}

std::size_t stack_pool::bytes_of(int size_class) noexcept {
  const std::size_t base = smallest << (size_class / 4);
  return base + base / 4 * static_cast<std::size_t>(size_class % 4);
}

stack_top* stack_pool::take(std::size_t bytes) noexcept {
  const int c = class_of(bytes);
  if (c >= classes) return nullptr;
  locked hold(lock_);
  size_list& list = lists_[c];
  if (stack_top* s = list.free) {
    list.free = s->next_free;
    --list.count;
    return s;
  }
  return cut(list, c);
}

stack_top* stack_pool::cut(size_list& list, int size_class) noexcept {
  const std::size_t stride = bytes_of(size_class);
  if (list.fresh == list.fresh_end && !add_slab(list, stride)) return nullptr;
  char* low = list.fresh;
  const bool guarded = install_guard(low);
  if (!guarded && os::machine.guard != os::guard_method::none) return nullptr;  // out of mappings: not a stack without
  list.fresh += stride;
  auto* s = new (top_of(low, stride)) stack_top;
  s->low = low;
  s->bytes = stride;
  s->size_class = static_cast<std::uint32_t>(size_class);
  s->guarded = guarded;
  return s;
}

bool stack_pool::add_slab(size_list& list, std::size_t stride) noexcept {
  const std::uint32_t n = slab_count_.load(memory_order::relaxed);  // relaxed: under the lock
  if (n == most_slabs) return false;
  std::size_t count = list.slab_stacks;
  auto* memory = static_cast<char*>(os::map(stride * count));
  while (memory == nullptr && count > 1) {  // where address space is short, a smaller slab may still fit
    count /= 2;
    memory = static_cast<char*>(os::map(stride * count));
  }
  if (memory == nullptr) return false;
  // Huge pages would make every stack resident as a whole.
  os::raw_syscall(SYS_madvise, os::arg(memory), static_cast<long>(stride * count), MADV_NOHUGEPAGE);
  if (stride * list.slab_stacks < biggest_slab || list.slab_stacks < 256) list.slab_stacks *= 2;
  list.fresh = memory;
  list.fresh_end = memory + stride * count;
  slabs_[n] = {memory, stride * count, stride};
  // [slab-1] release: who reads the count sees the slab's entry. Entries never change, so readers need no lock.
  slab_count_.store(n + 1, memory_order::release);
  return true;
}

void stack_pool::put(stack_top& s, std::size_t keep) noexcept {
  s.used_before = true;
  size_list& list = lists_[s.size_class];
  const auto push = [&] {
    s.next_free = list.free;
    list.free = &s;
    ++list.count;
  };
  {
    locked hold(lock_);
    if (list.count < most_warm) return push();
  }
  char* bottom = s.low + os::page_size;
  char* top = s.low + s.bytes - os::round_up(keep, os::page_size);
  if (top > bottom) os::discard(bottom, static_cast<std::size_t>(top - bottom));
  locked hold(lock_);
  push();
}

const stack_pool::slab* stack_pool::slab_of(const void* address) const noexcept {
  const auto* a = static_cast<const char*>(address);
  const std::uint32_t n = slab_count_.load(memory_order::acquire);  // [slab-1]
  for (std::uint32_t i = n; i-- > 0;)
    if (a >= slabs_[i].low && a < slabs_[i].low + slabs_[i].bytes) return &slabs_[i];
  return nullptr;
}

const stack_top* stack_pool::guard_hit(const void* address) const noexcept {
  const slab* in = slab_of(address);
  if (in == nullptr) return nullptr;
  const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - in->low);
  const std::size_t index = offset / in->stride;
  if (offset % in->stride >= os::page_size) return nullptr;
  return top_of(in->low + index * in->stride, in->stride);
}

bool stack_pool::owns(const stack_top* top) const noexcept {
  const slab* in = slab_of(top);
  if (in == nullptr) return false;
  const auto offset = static_cast<std::size_t>(reinterpret_cast<const char*>(top + 1) - in->low);
  return offset % in->stride == 0;
}

}  // namespace weft::mem
