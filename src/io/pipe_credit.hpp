// SPDX-License-Identifier: BSL-1.0
// How much can be read from a pipe, or written to it, without waiting, as far as the last look could tell.
//
// A call that cannot wait (RWF_NOWAIT) costs 75 ns more than a plain one, a look at how full the pipe is as much as a short
// read. So after some transfers in a row that went well we look once, and the next ones are plain calls, until that credit is
// used up. Threads of this process share it. Other processes, duplicates of the number and unseen changes of hands can make
// it wrong: then a call waits in the kernel, where the monitor and a cancellation find it, and nothing is lost.
// A pipe has slots of a page each. A write of up to a page goes into one of them, the last one if it fits there: two neighbouring
// slots together hold more than a page. So U bytes fill no more than U / 2048 slots, and one at each end; and what is free
// holds 2,048 bytes a slot at least.
// Rejected: plain calls after an event (one event is good for one call); poll before each (a call more).
#pragma once
#include <cstddef>

#include "io/descriptors.hpp"

namespace weft::engine::io {

class pipe_credit {
 public:
  explicit pipe_credit(descriptor& of) noexcept : d_(of) {}

  /// Takes what one plain read or write of `bytes` needs. False: there is no credit.
  [[nodiscard]] bool take_for_read(std::size_t bytes) noexcept {
    // Something is there: so much that this read does not wait.
    return has_credit() && bytes < most && d_.credit.fetch_sub(static_cast<int>(bytes), memory_order::relaxed) > 0;  // relaxed: counts only
  }
  [[nodiscard]] bool take_for_write(std::size_t bytes) noexcept {
    // Room for all of it.
    return has_credit() && bytes <= page && d_.credit.fetch_sub(static_cast<int>(bytes), memory_order::relaxed) >= static_cast<int>(bytes);  // relaxed: as above
  }
  /// A call that cannot wait has transferred all that was wanted; after a few of these we look.
  void read_all(int fd) noexcept {
    if (is_streak()) look_as_reader(fd);
  }
  void written_all(int fd) noexcept {
    if (is_streak()) look_as_writer(fd);
  }
  /// There was nothing, or no room.
  void refused() noexcept {
    d_.streak.store(0, memory_order::relaxed);  // relaxed: a hint
    d_.credit.store(0, memory_order::relaxed);  // relaxed: a hint
  }

 private:
  static constexpr std::size_t page = 4096, most = std::size_t{1} << 20;
  static constexpr int streak_before_look = 4, pause_after_poor_look = -60;

  [[nodiscard]] bool has_credit() const noexcept { return d_.credit.load(memory_order::relaxed) > 0; }  // relaxed: a hint
  bool is_streak() noexcept {
    const int now = d_.streak.load(memory_order::relaxed) + 1;  // relaxed: a hint
    d_.streak.store(now, memory_order::relaxed);                // relaxed: a hint
    return now >= streak_before_look;
  }
  void look_as_reader(int fd) noexcept;
  void look_as_writer(int fd) noexcept;
  void note(int credit, int least) noexcept;

  descriptor& d_;
};

}  // namespace weft::engine::io
