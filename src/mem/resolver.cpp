// SPDX-License-Identifier: BSL-1.0
#include "mem/resolver.hpp"

#include <dlfcn.h>
#include <netdb.h>
#include <resolv.h>

#include "arch/thread_pointer.hpp"
#include "mem/thread_block.hpp"

namespace weft::engine::mem {

namespace {
constinit std::size_t state_place = 0;    // above the thread pointer
constinit std::size_t pointer_place = 0;  // of libc's thread-local pointer, from the thread pointer (it wraps: it lies below)

res_state* pointer_of_this_thread() noexcept { return static_cast<res_state*>(::dlsym(RTLD_DEFAULT, "__resp")); }

/// On a kernel thread that libc has started: how far its state is above the thread pointer. 0: cannot tell.
std::size_t place_on_this_thread() noexcept {
  const res_state* pointer = pointer_of_this_thread();
  if (pointer == nullptr) return 0;
  const std::size_t place = reinterpret_cast<std::uintptr_t>(*pointer) - arch::thread_pointer();
  const bool inside = place >= sizeof(void*) && place <= pthread_bytes() && pthread_bytes() - place >= sizeof(struct __res_state);
  return inside ? place : 0;
}
}  // namespace

int find_resolver(int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*), int (*join)(pthread_t, void**)) noexcept {
  pthread_t handle;
  const int error = create(&handle, nullptr, [](void*) { return reinterpret_cast<void*>(place_on_this_thread()); }, nullptr);
  if (error != 0) return error;
  void* place = nullptr;
  const res_state* pointer = pointer_of_this_thread();
  if (join(handle, &place) != 0 || place == nullptr || pointer == nullptr) return 0;
  pointer_place = reinterpret_cast<std::uintptr_t>(pointer) - arch::thread_pointer();
  state_place = reinterpret_cast<std::size_t>(place);
  return 0;
}

void begin_resolver() noexcept {
  h_errno = 0;
  if (state_place == 0) return;
  const std::uintptr_t me = arch::thread_pointer();
  *reinterpret_cast<res_state*>(me + pointer_place) = reinterpret_cast<res_state>(me + state_place);
}

void end_resolver() noexcept {
  if (state_place == 0) return;
  auto* state = reinterpret_cast<res_state>(arch::thread_pointer() + state_place);
  if (state->options == 0) return;  // never used
  res_nclose(state);
  *state = {};
}

}  // namespace weft::engine::mem
