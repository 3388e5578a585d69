// SPDX-License-Identifier: BSL-1.0
// Who holds a mutex is as urgent as the most urgent one that waits for it, and so on along the chain: or somebody in between would keep both
// waiting. Only in runtimes with priorities; others pay one look at detail::watchers for each lock and unlock.
//
// Who is about to wait makes a donation, on its own stack. It lies in its holder's list, or among the orphans while nobody holds the mutex
// (that a look could tell). One lock guards all lists.
// I1  A strand's urgency is the greatest of its own and its donors', whenever the lock is free.
// I2  No donation is in the list of a strand that has let go of the mutex, or will be:
//       waiter (lock)                            holder
//       o = owner                                owner = null
//       into the list of o, or the orphans       (lock) own list's, for this mutex -> orphans
//     If the holder's turn with the lock comes first, the waiter sees null. If it comes second, it takes the donation along.
// I3  No donation stays an orphan while the mutex has a holder: who takes the mutex writes itself down as the owner, then adopts.
//     The same two orders.
// A donation ends with its wait, by its waiter, which may be the new holder.
#pragma once
#include "api/strand.hpp"
#include "weft/detail/sync.hpp"

namespace weft::engine::api {

class donation {
 public:
  /// [not in a section] `from` is about to wait for `to`. Does nothing where nobody inherits.
  donation(strand& from, const detail::mutex_state& to) noexcept;
  ~donation();
  donation(const donation&) = delete;
  donation& operator=(const donation&) = delete;

 private:
  friend struct donations;
  strand& from_;
  const detail::mutex_state& to_;
  strand* holder_ = nullptr;
  donation* next_ = nullptr;
  bool given_ = false;
};

/// `me` has just become the owner: what its other waiters give is its own.
void adopt_donations(strand& me, const detail::mutex_state& m) noexcept;
/// `me` is the owner no longer, but has not let go yet: what was given for this mutex is gone. True if it was given anything.
bool shed_donations(strand& me, const detail::mutex_state& m) noexcept;
/// In a forked child, by its only strand.
void begin_inheritance_anew(strand& me) noexcept;
/// [section] The strand's own priority.
void change_priority(strand& me, int priority) noexcept;

}  // namespace weft::engine::api
