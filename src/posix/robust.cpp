// SPDX-License-Identifier: BSL-1.0
#include "posix/robust.hpp"

#include <errno.h>

#include <cstdint>

namespace weft::engine::posix {

namespace {

enum class state : std::uintptr_t {
  good = 0,
  owner_died = 1,       ///< Free; the next locker is told.
  inconsistent = 2,     ///< Held by one who was told.
  not_recoverable = 3,  ///< Unlocked without having been made consistent.
};
constexpr std::uintptr_t state_bits = 3;  // a mutex is aligned to more

std::uintptr_t packed(const mutex_data& m) noexcept { return std::uintptr_t{m.robust_high} << 32 | m.robust_low; }
state state_of(const mutex_data& m) noexcept { return static_cast<state>(packed(m) & state_bits); }
mutex_data* next_of(const mutex_data& m) noexcept { return reinterpret_cast<mutex_data*>(packed(m) & ~state_bits); }

void set(mutex_data& m, state s, mutex_data* next) noexcept {
  const std::uintptr_t both = reinterpret_cast<std::uintptr_t>(next) | static_cast<std::uintptr_t>(s);
  m.robust_low = static_cast<unsigned>(both);
  m.robust_high = static_cast<unsigned>(both >> 32);
}

}  // namespace

int robust_taken(user_thread& me, mutex_data& m) noexcept {
  const state before = state_of(m);
  if (before == state::not_recoverable) return ENOTRECOVERABLE;
  const bool told = before == state::owner_died;
  set(m, told ? state::inconsistent : state::good, static_cast<mutex_data*>(me.robust_held));
  me.robust_held = &m;
  return told ? EOWNERDEAD : 0;
}

void robust_let_go(user_thread& me, mutex_data& m) noexcept {
  auto* at = static_cast<mutex_data*>(me.robust_held);
  if (at == &m) {
    me.robust_held = next_of(m);
  } else {
    while (at != nullptr && next_of(*at) != &m) at = next_of(*at);
    if (at != nullptr) set(*at, state_of(*at), next_of(m));
  }
  set(m, state_of(m) == state::inconsistent ? state::not_recoverable : state::good, nullptr);
}

bool make_consistent(mutex_data& m) noexcept {
  if (state_of(m) != state::inconsistent) return false;
  set(m, state::good, next_of(m));
  return true;
}

void leave_robust_mutexes(user_thread& me) noexcept {
  while (auto* m = static_cast<mutex_data*>(me.robust_held)) {
    me.robust_held = next_of(*m);
    set(*m, state::owner_died, nullptr);
    m->owner = 0;
    m->count = 0;
    if (!m->word.unlock_fast()) m->word.unlock_slow(m->list);
  }
}

}  // namespace weft::engine::posix
