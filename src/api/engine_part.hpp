// SPDX-License-Identifier: BSL-1.0
// The engine's object in the room that a public header leaves for it.
#pragma once

namespace weft::engine::api {

template <class Engine, class State>
Engine& engine_part(State& s) noexcept {
  static_assert(sizeof(Engine) <= sizeof(State) && alignof(Engine) <= alignof(State));
  return reinterpret_cast<Engine&>(s);
}

}  // namespace weft::engine::api
