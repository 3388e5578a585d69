// SPDX-License-Identifier: BSL-1.0
// What a parked thread's deadline looks like in a timer queue, and where such nodes lie.
//
// Not in the threads: each of those has pages of its own, and to sort a hundred thousand deadlines is to visit them all
// again and again. Side by side they fit into the cache. They come from chunks that are never unmapped, each bigger than
// the one before; when the system has no memory for one, the thread's own node serves.
// I1  A node is in its slot's queue, or free, or (a thread's own) unused.
// I2  A node may be looked at for ever, under the slot's timer lock. It is still a thread's if owner and wait say so:
//     no thread has two waits with one ticket.
#pragma once
#include <new>

#include "core/wait_word.hpp"
#include "os/memory.hpp"
#include "time/timer_queue.hpp"

namespace weft::engine {

struct thread;

struct deadline_node : timer_node {
  thread* owner = nullptr;
  ticket wait{};
  void* unused[2] = {};  // one cache line each: chunks begin with a page
};
static_assert(sizeof(deadline_node) == 64);

/// Under the slot's timer lock, all of it.
class deadline_nodes {
 public:
  /// Null: no memory.
  deadline_node* take() noexcept {
    if (free_ != nullptr) {
      deadline_node* node = free_;
      free_ = static_cast<deadline_node*>(node->next);
      return node;
    }
    if (fresh_ == fresh_end_ && !add_chunk()) return nullptr;
    return new (fresh_++) deadline_node;
  }
  void put(deadline_node& node) noexcept {
    node.owner = nullptr;
    node.next = free_;
    free_ = &node;
  }

 private:
  bool add_chunk() noexcept {
    auto* memory = static_cast<deadline_node*>(os::map(chunk_ * sizeof(deadline_node)));
    if (memory == nullptr) return false;
    fresh_ = memory;
    fresh_end_ = memory + chunk_;
    chunk_ *= 2;
    return true;
  }

  deadline_node* free_ = nullptr;
  deadline_node* fresh_ = nullptr;
  deadline_node* fresh_end_ = nullptr;
  std::size_t chunk_ = 64;
};

}  // namespace weft::engine
