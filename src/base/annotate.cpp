// SPDX-License-Identifier: BSL-1.0
#include "base/annotate.hpp"

#if defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <pthread.h>

namespace weft::engine {

void stack_annotation::adopted() noexcept {
  pthread_attr_t attributes;
  void* low = nullptr;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &low, &bytes);
    pthread_attr_destroy(&attributes);
  }
  bottom = low;
}

}  // namespace weft::engine
#endif
