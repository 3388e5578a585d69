// SPDX-License-Identifier: BSL-1.0
// main as a thread: it may call pthread_exit while others go on.
//
// libc's start code ends a main thread that called pthread_exit by ending its kernel thread, which for us is a carrier.
// So main runs inside a frame of ours that catches its end.
#include <dlfcn.h>
#include <stdlib.h>

#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "posix/thread_life.hpp"

namespace weft::engine::posix {

namespace {

using main_function = int(int, char**, char**);

constinit main_function* program_main = nullptr;

struct main_call {
  int argc;
  char** argv;
  char** environment;
  int result;
};

void* call_main(void* raw) {
  auto& c = *static_cast<main_call*>(raw);
  c.result = program_main(c.argc, c.argv, c.environment);
  return nullptr;
}

int main_as_thread(int argc, char** argv, char** environment) {
  main_call c{argc, argv, environment, 0};
  void* ignored = nullptr;
  if (!run_until_exit(call_main, &c, &ignored)) return c.result;
  user_thread& me = self();
  if (runtime.now != stage::running) ::exit(0);  // nobody else is there
  end_thread(me);
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine::posix;

WEFT_EXPORT int __libc_start_main(main_function* main, int argc, char** argv, void (*init)(), void (*fini)(),
                                  void (*loader_fini)(), void* stack_end) {
  const auto start = reinterpret_cast<decltype(&__libc_start_main)>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  if (native()) return start(main, argc, argv, init, fini, loader_fini, stack_end);
  program_main = main;
  return start(main_as_thread, argc, argv, init, fini, loader_fini, stack_end);
}
