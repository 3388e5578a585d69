// SPDX-License-Identifier: BSL-1.0
// Stacks: mappings of a few sizes, lazily committed, each with a guard page at its low end, pooled newest first.
//
// I1  A stack belongs to exactly one of: a thread; one class's warm or cool list; its slab's list of bare stacks; the
//     uncut rest of a slab; the trimmer, for a moment.
// I2  A stack is never unmapped and never changes its class: what lies at its top (a thread and its thread block) may be
//     looked at for ever. But once it is bare, all of it reads as zeros.
// I3  Free stacks beyond the `most_warm` newest of a class that lie unused for a whole trimming interval give their pages
//     back: all of them (bare), or, where something at the top must stay, those below (cool).
// Stacks are cut from slabs, each half as big as all of its class before it: a million stacks are a few dozen mappings
// (where guards cost none), and whoever looks an address up, newest slab first, finds it after a few steps.
//
// Giving back is not the business of whoever ends a thread: put() only says that the pool is crowded, and somebody with
// time calls trim. What is trimmed is what nobody needed since the last interval began (the low-water mark), so a
// program that starts and joins a crowd again and again keeps its crowd's stacks.
//
// Rejected: mmap and munmap per stack (9 us); one size for all (page tables: 500 MB for a million of 256 KiB); a fixed
// number of warm stacks, the rest discarded as threads end (a crowd's end pays a system call each, and each next crowd
// pays page faults).
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/atomic.hpp"
#include "base/spinlock.hpp"

namespace weft::engine::mem {

/// Stands at the very top of each stack's mapping.
struct stack_top {
  stack_top* next_free = nullptr;
  char* low = nullptr;        ///< The mapping's first byte; the guard page lies there.
  std::size_t bytes = 0;      ///< The whole mapping, guard included.
  std::uint32_t size_class = 0;
  bool used_before = false;   ///< What lies below the top was built by an earlier owner.
  bool guarded = false;
};

class stack_pool {
 public:
  /// Four sizes per doubling, from 16 KiB to 1 TiB.
  static constexpr int classes = 4 * 26;
  static constexpr std::uint32_t most_warm = 1024;
  [[nodiscard]] static int class_of(std::size_t bytes) noexcept;
  [[nodiscard]] static std::size_t bytes_of(int size_class) noexcept;

  /// A stack of at least `bytes` in all (guard and top included); `reserve` bytes at the top are the caller's, the
  /// stack_top being their last. Null when the system has no more memory, mappings or address space.
  /// Inside engine sections. Cost: 10 ns warm; a bare one its page faults and a system call; a new slab 10 to 30 us.
  stack_top* take(std::size_t bytes) noexcept;
  /// The other way. True if it has just made its class crowded: somebody should trim.
  bool put(stack_top& s) noexcept;
  /// Do more stacks of this class lie free than are kept warm for ever? A hint; takes no lock.
  [[nodiscard]] bool crowded(std::uint32_t size_class) const noexcept {
    return lists_[size_class].count.load(memory_order::relaxed) >= most_warm;  // relaxed: a hint
  }

  /// What the owner of the tops does for a stack whose pages are about to be given back: lets go of what they refer to,
  /// and returns how many bytes at the top must stay (0: none).
  using strip_function = std::size_t (*)(stack_top&);
  /// Begins an interval: what was unused during the whole last one is to be trimmed. True if some class is crowded, so
  /// that another interval should follow. One caller at a time, here and below.
  bool begin_trim() noexcept;
  /// Trims some (a millisecond's worth). True while more is to be trimmed.
  bool trim_some(strip_function strip) noexcept;

  /// Is `address` inside the guard page of one of our stacks? For the overflow report; takes no lock.
  [[nodiscard]] const stack_top* guard_hit(const void* address) const noexcept;
  /// Is `top` really the top of one of our stacks? For handles that a program passes us; takes no lock.
  [[nodiscard]] bool owns(const stack_top* top) const noexcept;

  /// Is `address` inside any of our stacks' mappings? Takes no lock.
  [[nodiscard]] bool contains(const void* address) const noexcept { return slab_of(address) != nullptr; }

  /// Calls visit(top) for every stack that was ever in use; takes no lock. Slow: a page is touched for each.
  template <class Visit>
  void for_each(Visit visit) noexcept {
    const std::uint32_t n = slab_count_.load(memory_order::acquire);  // [slab-1]
    for (std::uint32_t i = 0; i < n; ++i)
      for (std::size_t at = slabs_[i].stride; at <= slabs_[i].bytes; at += slabs_[i].stride) {
        auto* top = reinterpret_cast<stack_top*>(slabs_[i].low + at) - 1;
        if (top->low != nullptr) visit(*top);
      }
  }

  /// In a forked child: the lists may have been caught in the middle of a change. They begin empty; the stacks that lay in
  /// them cost the child nothing, since it never touches them.
  void begin_anew() noexcept;

 private:
  struct slab {
    char* low;
    std::size_t bytes, stride;
    // The bare stacks, by index + 1 (0: none). Their links lie behind the slab: a bare stack has no page to keep one in.
    std::uint32_t* bare_next;
    std::uint32_t bare;
    std::uint32_t next_with_bare;  // among the slabs of the class, by index + 1
  };
  struct size_list {
    stack_top* warm = nullptr;
    stack_top* cool = nullptr;
    atomic<std::uint32_t> count{0};    // of warm stacks
    std::uint32_t low_water = 0;       // the least count since the interval began
    std::uint32_t to_trim = 0;
    std::uint32_t slab_with_bare = 0;  // by index + 1
    std::size_t stacks = 0;            // in all slabs of the class
    char* fresh = nullptr;             // not yet cut off the newest slab
    char* fresh_end = nullptr;
  };
  static constexpr std::uint32_t most_slabs = 4096;
  static constexpr std::uint32_t trimmed_at_once = 256;

  char* take_bare_locked(size_list& list, std::size_t stride) noexcept;
  void put_bare_locked(size_list& list, char* low) noexcept;
  bool add_slab_locked(size_list& list, std::size_t stride) noexcept;
  stack_top* pop_warm_locked(size_list& list) noexcept;
  stack_top* build(size_list& list, int size_class, char* low) noexcept;
  const slab* slab_of(const void* address) const noexcept;

  spinlock lock_;
  size_list lists_[classes];
  slab slabs_[most_slabs] = {};
  atomic<std::uint32_t> slab_count_{0};
};

/// Makes the guard of a stack that a thread owns `bytes` (whole pages) wider at its inner end, and takes that back. False
/// when the system has no mapping left for it.
bool widen_guard(stack_top& s, std::size_t bytes) noexcept;
void narrow_guard(stack_top& s, std::size_t bytes) noexcept;

/// The process's pool.
extern constinit stack_pool stacks;

}  // namespace weft::engine::mem
