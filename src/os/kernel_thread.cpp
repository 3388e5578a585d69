// SPDX-License-Identifier: BSL-1.0
#include "os/kernel_thread.hpp"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#include <new>

#include "base/fifo.hpp"
#include "base/spinlock.hpp"
#include "os/futex.hpp"
#include "os/signal_mask.hpp"
#include "os/syscall.hpp"

extern "C" long weft_clone(unsigned long flags, void* stack_top, weft::engine::atomic<std::int32_t>* tid,
                           std::uintptr_t thread_pointer, void (*entry)(void*), void* argument) noexcept;

namespace weft::engine::os {

#if WEFT_KERNEL_THREADS_ARE_LIBCS

// pthread_create calls malloc, whose lock may be held by the very thread that waits for a kernel thread to run on. So those who
// ask only write their request down, and a kernel thread of libc's own makes what is wanted. It waits for malloc's lock if it must: who
// holds that is running, since threads are not preempted there (preempt/preempt.hpp, spare_code).

namespace {
struct request {
  void (*entry)(void*);
  void* argument;
  atomic<std::int32_t>* tid;
  void (*refused)(void*);
  request* next;
};
constinit spinlock lock;
constinit fifo<request, &request::next> requests;
constinit atomic<std::uint32_t> wanted{0};
constinit atomic<bool> made{false};
thread_local jmp_buf end_of_kernel_thread;

void* run_request(void* raw) {
  const request r = *static_cast<request*>(raw);
  r.tid->store(kernel_thread_id(), memory_order::relaxed);  // relaxed: nobody takes the record for free meanwhile, see carriers
  if (setjmp(end_of_kernel_thread) == 0) r.entry(r.argument);
  set_signal_stack(nullptr, 0);
  // [carrier-1] For the kernel, which clears the id of a kernel thread without libc: nothing of the request is used any more.
  r.tid->store(0, memory_order::release);
  return nullptr;
}

void make(request& r) noexcept {
  pthread_t handle;
  if (pthread_create(&handle, nullptr, run_request, &r) != 0) return r.refused(r.argument);
  pthread_detach(handle);
}

void* make_what_is_wanted(void*) {
  for (;;) {
    wanted.store(0, memory_order::seq_cst);  // [wanted-1] We clear it, then look; who asks writes its request, then sets it: one of us sees the other
    request* r = nullptr;
    {
      const locked hold(lock);
      r = requests.pop();
    }
    if (r != nullptr) {
      make(*r);
    } else {
      futex_wait(wanted, 0, -1);
    }
  }
}

int start_maker() noexcept {
  if (made.exchange(true, memory_order::relaxed)) return 0;  // relaxed: only the first asks
  const std::uint64_t mask = signal_mask();
  set_signal_mask(~std::uint64_t{0});  // inherited: no handler runs on it, nor on what it makes before that has its own mask
  pthread_t handle;
  const int error = pthread_create(&handle, nullptr, make_what_is_wanted, nullptr);
  set_signal_mask(mask);
  if (error != 0) made.store(false, memory_order::relaxed);  // relaxed: as above
  if (error == 0) pthread_detach(handle);
  return error;
}
}  // namespace

int start_kernel_thread(void (*entry)(void*), void* argument, void* stack_top, std::uintptr_t, atomic<std::int32_t>& tid,
                        void (*refused)(void*)) noexcept {
  if (const int error = start_maker(); error != 0) return error;
  auto* r = new (static_cast<char*>(stack_top) - sizeof(request)) request{entry, argument, &tid, refused, nullptr};
  {
    const locked hold(lock);
    requests.push(*r);
  }
  wanted.store(1, memory_order::seq_cst);  // [wanted-1]
  futex_wake(wanted, 1);
  return 0;
}

[[noreturn]] void end_kernel_thread() noexcept { longjmp(end_of_kernel_thread, 1); }

void begin_anew_in_child() noexcept {
  lock.reset();
  requests.clear();
  made.store(false, memory_order::relaxed);  // relaxed: the child has one thread
}

#else

int start_kernel_thread(void (*entry)(void*), void* argument, void* stack_top, std::uintptr_t thread_pointer,
                        atomic<std::int32_t>& tid, void (*)(void*)) noexcept {
  constexpr unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                                  CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  const long result = weft_clone(flags, stack_top, &tid, thread_pointer, entry, argument);
  return result < 0 ? static_cast<int>(-result) : 0;
}

[[noreturn]] void end_kernel_thread() noexcept {
  for (;;) raw_syscall(SYS_exit, 0);
}

void begin_anew_in_child() noexcept {}

#endif

void signal_kernel_thread(std::int32_t tid, int signal) noexcept {
  raw_syscall(SYS_tgkill, raw_syscall(SYS_getpid), tid, signal);
}

void set_signal_stack(void* low, std::size_t bytes) noexcept {
  const stack_t stack{.ss_sp = low, .ss_flags = low != nullptr ? 0 : SS_DISABLE, .ss_size = bytes};
  raw_syscall(SYS_sigaltstack, arg(&stack), 0);
}

std::int32_t process_id() noexcept { return static_cast<std::int32_t>(raw_syscall(SYS_getpid)); }
std::int32_t kernel_thread_id() noexcept { return static_cast<std::int32_t>(raw_syscall(SYS_gettid)); }

}  // namespace weft::engine::os
