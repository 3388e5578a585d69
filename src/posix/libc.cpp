// SPDX-License-Identifier: BSL-1.0
#include "posix/libc.hpp"

#include <dlfcn.h>

namespace weft::engine::posix {

libc_functions libc;

namespace {
template <class F>
void find(F*& function, const char* name, const char* version = nullptr) noexcept {
  void* found = version == nullptr ? nullptr : ::dlvsym(RTLD_NEXT, name, version);
  if (found == nullptr) found = ::dlsym(RTLD_NEXT, name);
  function = reinterpret_cast<F*>(found);
}
}  // namespace

void look_up_libc() noexcept {
#define WEFT_FIND(result, name, parameters) find(libc.name, #name);
  WEFT_LIBC_FUNCTIONS(WEFT_FIND)
  WEFT_LIBC_BLOCKING_FUNCTIONS(WEFT_FIND)
  WEFT_LIBC_DESCRIPTOR_FUNCTIONS(WEFT_FIND)
#undef WEFT_FIND
#define WEFT_FIND(result, name, parameters) find(libc.name, #name, "GLIBC_2.3.2");
  WEFT_LIBC_CONDITION_FUNCTIONS(WEFT_FIND)
#undef WEFT_FIND
  find(libc.pthread_cond_clockwait, "pthread_cond_clockwait");
}

}  // namespace weft::engine::posix
