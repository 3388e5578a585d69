// SPDX-License-Identifier: BSL-1.0
// Stacks: mappings of a few sizes, lazily committed, each with a guard page at its low end, pooled newest first.
//
// I1  A stack belongs to exactly one of: a thread, one class's list of free stacks.
// I2  A stack is never unmapped and never changes its class: what lies at its top (a thread and its thread block) may be
//     looked at for ever. Its lower pages are given back to the kernel when too many stacks lie free.
// I3  At most `most_warm` free stacks of a class keep the pages that their last thread touched.
// Stacks are cut from slabs, so that a million of them are a few dozen mappings (where guards cost none).
//
// Rejected: mmap and munmap per stack (9 us); one size for all (page tables: 500 MB for a million of 256 KiB).
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/spinlock.hpp"

namespace weft::mem {

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
  [[nodiscard]] static int class_of(std::size_t bytes) noexcept;
  [[nodiscard]] static std::size_t bytes_of(int size_class) noexcept;

  /// A stack of at least `bytes` in all (guard and top included); `reserve` bytes at the top are the caller's, the
  /// stack_top being their last. Null when the system has no more memory, mappings or address space.
  /// Inside engine sections. Cost: 10 ns warm; a new slab 10 to 30 us.
  stack_top* take(std::size_t bytes) noexcept;
  /// The other way. `keep` bytes at the top keep their contents; the rest may be given back to the kernel.
  void put(stack_top& s, std::size_t keep) noexcept;

  /// Is `address` inside the guard page of one of our stacks? For the overflow report; takes no lock.
  [[nodiscard]] const stack_top* guard_hit(const void* address) const noexcept;
  /// Is `top` really the top of one of our stacks? For handles that a program passes us; takes no lock.
  [[nodiscard]] bool owns(const stack_top* top) const noexcept;

  /// Is `address` inside any of our stacks' mappings? Takes no lock.
  [[nodiscard]] bool contains(const void* address) const noexcept { return slab_of(address) != nullptr; }

  /// In a forked child: the lists may have been caught in the middle of a change. They begin empty; the stacks that lay in
  /// them cost the child nothing, since it never touches them.
  void begin_anew() noexcept {
    lock_.reset();
    for (size_list& list : lists_) list = {};
  }

 private:
  struct slab {
    char* low;
    std::size_t bytes, stride;
  };
  struct size_list {
    stack_top* free = nullptr;
    std::uint32_t count = 0;
    std::uint32_t slab_stacks = 1;  // doubles with each slab, so that few threads cost little and many few mappings
    char* fresh = nullptr;          // not yet cut off the newest slab
    char* fresh_end = nullptr;
  };
  static constexpr std::uint32_t most_slabs = 4096;
  static constexpr std::uint32_t most_warm = 4096;

  stack_top* cut(size_list& list, int size_class) noexcept;
  bool add_slab(size_list& list, std::size_t stride) noexcept;
  const slab* slab_of(const void* address) const noexcept;

  spinlock lock_;
  size_list lists_[classes];
  slab slabs_[most_slabs] = {};
  atomic<std::uint32_t> slab_count_{0};
};

/// The process's pool.
extern constinit stack_pool stacks;

}  // namespace weft::mem
