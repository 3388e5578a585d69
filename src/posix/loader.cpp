// SPDX-License-Identifier: BSL-1.0
// Libraries loaded and unloaded while threads live. A library may want static thread-local storage (initial-exec): libc
// fills in the images for the threads that it knows, and we for ours. Dynamic thread-locals come by themselves.
#include <dlfcn.h>

#include "core/section.hpp"
#include "mem/thread_block.hpp"
#include "posix/exported.hpp"
#include "posix/registry.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {

/// Gives every thread that lived before the load (created up to `last`) the images that were not there before.
void spread_new_images(std::uint64_t last) noexcept {
  mem::tls_images fresh;
  std::uint32_t version = 0;
  if (!mem::collect_images(fresh, version)) return;
  user_thread& me = self();
  const section in(me);
  const mem::tls_images added = mem::adopt_images(fresh, version);
  if (added.count == 0) return;
  threads.find([&](user_thread& t) {
    // main is on libc's list, unlike the rest; a newer thread was made with the images.
    if (&t != &runtime.main && t.number <= last) mem::copy_images(t.thread_pointer, added);
    return false;
  });
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT void* dlopen(const char* file, int flags) {
  if (native() || runtime.now != stage::running) {
    void* handle = libc.dlopen(file, flags);
    if (runtime.now != stage::native) mem::modules_changed();
    return handle;
  }
  const std::uint64_t last = threads.created();
  void* handle = libc.dlopen(file, flags);
  mem::modules_changed();
  if (handle != nullptr) spread_new_images(last);
  return handle;
}

WEFT_EXPORT int dlclose(void* handle) {
  touch();
  const int result = libc.dlclose(handle);
  mem::modules_changed();
  return result;
}
