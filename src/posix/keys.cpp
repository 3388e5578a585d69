// SPDX-License-Identifier: BSL-1.0
#include "posix/keys.hpp"

#include <limits.h>

#include "posix/exported.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {
struct key {
  atomic<bool> used{false};
  atomic<void (*)(void*)> destructor{nullptr};
};
constinit key keys[PTHREAD_KEYS_MAX];
constinit atomic<unsigned> highest{0};  // one above the highest key ever used

void note(pthread_key_t k, void (*destructor)(void*)) noexcept {
  if (k >= PTHREAD_KEYS_MAX) return;
  keys[k].destructor.store(destructor, memory_order::relaxed);  // relaxed: published by `used`
  // [keys-1] release, against the acquire at a thread's end: whoever sees the key in use sees its destructor too.
  keys[k].used.store(true, memory_order::release);
  unsigned seen = highest.load(memory_order::relaxed);  // relaxed: the exchange decides
  while (seen < k + 1 &&
         !highest.compare_exchange_weak(seen, k + 1, memory_order::relaxed)) {  // relaxed: a bound that only grows
  }
}

void forget(pthread_key_t k) noexcept {
  if (k < PTHREAD_KEYS_MAX) keys[k].used.store(false, memory_order::relaxed);  // relaxed: POSIX leaves the race to the caller
}
}  // namespace

void run_key_destructors() noexcept {
  const unsigned bound = highest.load(memory_order::relaxed);  // relaxed: keys made later hold nothing of ours
  for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS; ++round) {
    bool again = false;
    for (unsigned k = 0; k < bound; ++k) {
      void* value = ::pthread_getspecific(k);
      if (value == nullptr) continue;
      ::pthread_setspecific(k, nullptr);
      // [keys-1] acquire: see note().
      auto destructor = keys[k].used.load(memory_order::acquire) ? keys[k].destructor.load(memory_order::relaxed) : nullptr;  // relaxed: after used
      if (destructor == nullptr) continue;
      destructor(value);
      again = true;
    }
    if (!again) return;
  }
  for (unsigned k = 0; k < bound; ++k)
    if (::pthread_getspecific(k) != nullptr) ::pthread_setspecific(k, nullptr);
}

}  // namespace weft::engine::posix

using namespace weft::engine::posix;

WEFT_EXPORT int pthread_key_create(pthread_key_t* k, void (*destructor)(void*)) {
  touch();
  const int error = libc.pthread_key_create(k, destructor);
  if (error == 0) note(*k, destructor);
  return error;
}

WEFT_EXPORT int pthread_key_delete(pthread_key_t k) {
  touch();
  forget(k);
  return libc.pthread_key_delete(k);
}

WEFT_EXPORT int tss_create(tss_t* k, tss_dtor_t destructor) {
  touch();
  const int result = libc.tss_create(k, destructor);
  if (result == thrd_success) note(*k, destructor);
  return result;
}

WEFT_EXPORT void tss_delete(tss_t k) {
  touch();
  forget(k);
  libc.tss_delete(k);
}
