// SPDX-License-Identifier: BSL-1.0
#include "mem/stack_pool.hpp"

#include <bit>
#include <new>

#include "base/annotate.hpp"
#include "os/features.hpp"
#include "os/memory.hpp"

namespace weft::engine::mem {

constinit stack_pool stacks;

namespace {
constexpr std::size_t smallest = 16 * 1024;

bool install_guard(char* low, std::size_t bytes = os::page_size) noexcept {
  switch (os::machine.guard) {
    case os::guard_method::advice:
      if (os::raw_syscall(SYS_madvise, os::arg(low), static_cast<long>(bytes), os::advice_guard_install) == 0) return true;
      [[fallthrough]];  // memory that is locked (mlockall) takes no advice
    case os::guard_method::protect:
      return os::raw_syscall(SYS_mprotect, os::arg(low), static_cast<long>(bytes), PROT_NONE) == 0;
    case os::guard_method::none:
      return false;
  }
  return false;
}

stack_top* top_of(char* low, std::size_t stride) noexcept {
  return reinterpret_cast<stack_top*>(low + stride - sizeof(stack_top));
}
}  // namespace

bool widen_guard(stack_top& s, std::size_t bytes) noexcept {
  return install_guard(s.low + os::page_size, bytes) || os::machine.guard == os::guard_method::none;
}

void narrow_guard(stack_top& s, std::size_t bytes) noexcept {
  char* low = s.low + os::page_size;
  if (os::machine.guard == os::guard_method::advice)
    os::raw_syscall(SYS_madvise, os::arg(low), static_cast<long>(bytes), os::advice_guard_remove);
  if (os::machine.guard != os::guard_method::none)  // also where no advice was taken
    os::raw_syscall(SYS_mprotect, os::arg(low), static_cast<long>(bytes), PROT_READ | PROT_WRITE);
}

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

stack_top* stack_pool::pop_warm_locked(size_list& list) noexcept {
  stack_top* s = list.warm;
  if (s == nullptr) return nullptr;
  list.warm = s->next_free;
  const std::uint32_t left = list.count.load(memory_order::relaxed) - 1;  // relaxed: under the lock
  list.count.store(left, memory_order::relaxed);                          // relaxed: others only take a hint
  if (left < list.low_water) list.low_water = left;
  return s;
}

stack_top* stack_pool::take(std::size_t bytes) noexcept {
  const int c = class_of(bytes);
  if (c >= classes) return nullptr;
  size_list& list = lists_[c];
  char* low = nullptr;
  {
    locked hold(lock_);
    if (stack_top* s = pop_warm_locked(list)) return s;
    if (stack_top* s = list.cool) {
      list.cool = s->next_free;
      return s;
    }
    low = take_bare_locked(list, bytes_of(c));
  }
  return low == nullptr ? nullptr : build(list, c, low);
}

/// Outside the lock: it asks the kernel, and touches a page. A guard that is there already is installed again.
stack_top* stack_pool::build(size_list& list, int size_class, char* low) noexcept {
  const bool guarded = install_guard(low);
  if (!guarded && os::machine.guard != os::guard_method::none) {  // out of mappings: not a stack without
    locked hold(lock_);
    put_bare_locked(list, low);
    return nullptr;
  }
  const std::size_t stride = bytes_of(size_class);
  auto* s = new (top_of(low, stride)) stack_top;
  s->low = low;
  s->bytes = stride;
  s->size_class = static_cast<std::uint32_t>(size_class);
  s->guarded = guarded;
  tell_valgrind_of_stack(low, stride);
  return s;
}

char* stack_pool::take_bare_locked(size_list& list, std::size_t stride) noexcept {
  if (list.slab_with_bare != 0) {
    slab& from = slabs_[list.slab_with_bare - 1];
    const std::uint32_t index = from.bare - 1;
    from.bare = from.bare_next[index];
    if (from.bare == 0) list.slab_with_bare = from.next_with_bare;
    return from.low + index * stride;
  }
  if (list.fresh == list.fresh_end && !add_slab_locked(list, stride)) return nullptr;
  char* low = list.fresh;
  list.fresh += stride;
  return low;
}

void stack_pool::put_bare_locked(size_list& list, char* low) noexcept {
  auto& to = const_cast<slab&>(*slab_of(low));
  if (to.bare == 0) {
    to.next_with_bare = list.slab_with_bare;
    list.slab_with_bare = static_cast<std::uint32_t>(&to - slabs_) + 1;
  }
  const auto index = static_cast<std::uint32_t>(static_cast<std::size_t>(low - to.low) / to.stride);
  to.bare_next[index] = to.bare;
  to.bare = index + 1;
}

bool stack_pool::add_slab_locked(size_list& list, std::size_t stride) noexcept {
  const std::uint32_t n = slab_count_.load(memory_order::relaxed);  // relaxed: under the lock
  if (n == most_slabs) return false;
  std::size_t count = list.stacks < 2 ? 1 : list.stacks / 2;
  char* memory = nullptr;
  const auto links = [&] { return os::round_up(count * sizeof(std::uint32_t), os::page_size); };
  for (;; count /= 2) {  // where address space is short, a smaller slab may still fit
    if (count == 0) return false;
    memory = static_cast<char*>(os::map(stride * count + links()));
    if (memory != nullptr) break;
  }
  // Huge pages would make every stack resident as a whole.
  os::raw_syscall(SYS_madvise, os::arg(memory), static_cast<long>(stride * count + links()), MADV_NOHUGEPAGE);
  list.stacks += count;
  list.fresh = memory;
  list.fresh_end = memory + stride * count;
  slabs_[n] = {.low = memory, .bytes = stride * count, .stride = stride,
               .bare_next = reinterpret_cast<std::uint32_t*>(memory + stride * count), .bare = 0, .next_with_bare = 0};
  // [slab-1] release: who reads the count sees the slab's place and size. They never change, so readers need no lock.
  slab_count_.store(n + 1, memory_order::release);
  return true;
}

bool stack_pool::put(stack_top& s) noexcept {
  s.used_before = true;
  size_list& list = lists_[s.size_class];
  locked hold(lock_);
  s.next_free = list.warm;
  list.warm = &s;
  const std::uint32_t count = list.count.load(memory_order::relaxed) + 1;  // relaxed: under the lock
  list.count.store(count, memory_order::relaxed);                          // relaxed: others only take a hint
  return count == most_warm + 1;
}

bool stack_pool::begin_trim() noexcept {
  bool crowded = false;
  locked hold(lock_);
  for (size_list& list : lists_) {
    list.to_trim = list.low_water > most_warm ? list.low_water - most_warm : 0;
    list.low_water = list.count.load(memory_order::relaxed);  // relaxed: under the lock
    crowded |= list.low_water > most_warm;
  }
  return crowded;
}

bool stack_pool::trim_some(strip_function strip) noexcept {
  std::uint32_t left = trimmed_at_once;
  for (size_list& list : lists_) {
    for (; list.to_trim != 0; --list.to_trim) {
      if (left-- == 0) return true;
      stack_top* s = nullptr;
      {
        locked hold(lock_);
        if (list.count.load(memory_order::relaxed) > most_warm) s = pop_warm_locked(list);  // relaxed: under the lock
      }
      if (s == nullptr) {  // they are in use again
        list.to_trim = 0;
        break;
      }
      char* low = s->low;
      const std::size_t keep = strip(*s);
      char* end = low + s->bytes - os::round_up(keep, os::page_size);
      if (end > low + os::page_size) os::discard(low + os::page_size, static_cast<std::size_t>(end - low) - os::page_size);
      locked hold(lock_);
      if (keep == 0) {
        put_bare_locked(list, low);
      } else {
        s->next_free = list.cool;
        list.cool = s;
      }
    }
  }
  return false;
}

void stack_pool::begin_anew() noexcept {
  lock_.reset();
  for (size_list& list : lists_) new (&list) size_list;
  const std::uint32_t n = slab_count_.load(memory_order::relaxed);  // relaxed: the child has one thread
  for (std::uint32_t i = 0; i < n; ++i) slabs_[i].bare = 0;
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

}  // namespace weft::engine::mem
