// SPDX-License-Identifier: BSL-1.0
#include "mem/thread_block.hpp"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>

#include "arch/thread_pointer.hpp"
#include "base/atomic.hpp"
#include "base/spinlock.hpp"
#include "mem/malloc_cache.hpp"
#include "mem/resolver.hpp"
#include "os/memory.hpp"
#include "os/syscall.hpp"

namespace weft::engine::mem {

namespace {

struct library {
  const char* refusal = "the engine has not been started";
  void* (*allocate_tls)(void*) = nullptr;
  void (*ctype_init)() = nullptr;
  void (*call_tls_dtors)() = nullptr;
  std::size_t bytes = 0, alignment = 64, pthread_bytes = 0;
  std::size_t tid_offset = 0, robust_offset = 0, cancel_offset = 0, list_offset = 0;
  std::size_t module_offset = 0;  // of a loaded module's distance below the thread pointer, in libc's link_map
};
constinit library glibc;

template <class T>
T& at(std::uintptr_t pointer, std::size_t offset) noexcept {
  return *reinterpret_cast<T*>(pointer + offset);
}

template <class F>
bool find(F*& function, const char* name) noexcept {
  function = reinterpret_cast<F*>(::dlsym(RTLD_DEFAULT, name));
  return function != nullptr;
}

const char* find_functions() noexcept {
  if (!find(glibc.allocate_tls, "_dl_allocate_tls")) return "glibc has no _dl_allocate_tls";
  if (!find(glibc.ctype_init, "__ctype_init")) return "glibc has no __ctype_init";
  if (!find(glibc.call_tls_dtors, "__call_tls_dtors")) return "glibc has no __call_tls_dtors";
  void (*static_info)(std::size_t*, std::size_t*) = nullptr;
  if (!find(static_info, "_dl_get_tls_static_info")) return "glibc has no _dl_get_tls_static_info";
  static_info(&glibc.bytes, &glibc.alignment);
  if (glibc.alignment < 64) glibc.alignment = 64;
  return nullptr;
}

/// glibc describes its struct pthread for debuggers: {size in bits, count, offset} per field.
const char* find_offsets() noexcept {
  const auto* bytes = static_cast<const std::uint32_t*>(::dlsym(RTLD_DEFAULT, "_thread_db_sizeof_pthread"));
  const auto* tid = static_cast<const std::uint32_t*>(::dlsym(RTLD_DEFAULT, "_thread_db_pthread_tid"));
  const auto* cancel = static_cast<const std::uint32_t*>(::dlsym(RTLD_DEFAULT, "_thread_db_pthread_cancelhandling"));
  const auto* list = static_cast<const std::uint32_t*>(::dlsym(RTLD_DEFAULT, "_thread_db_pthread_list"));
  if (bytes == nullptr || tid == nullptr || cancel == nullptr || list == nullptr) return "glibc does not describe struct pthread";
  glibc.pthread_bytes = *bytes;
  glibc.tid_offset = tid[2];
  glibc.cancel_offset = cancel[2];
  glibc.list_offset = list[2];
  const auto* module = static_cast<const std::uint32_t*>(::dlsym(RTLD_DEFAULT, "_thread_db_link_map_l_tls_offset"));
  if (module == nullptr) return "glibc does not describe its modules";
  glibc.module_offset = module[2];
  void* robust_head = nullptr;
  std::size_t robust_bytes = 0;
  if (os::raw_syscall(SYS_get_robust_list, 0, os::arg(&robust_head), os::arg(&robust_bytes)) != 0)
    return "the kernel does not tell the robust list";
  glibc.robust_offset = reinterpret_cast<std::uintptr_t>(robust_head) - arch::thread_pointer();
  return nullptr;
}

/// Compares what we believe with the running thread's own block.
const char* check_running_thread() noexcept {
  const std::uintptr_t me = arch::thread_pointer();
  using o = arch::tcb_offsets;
  if (at<std::uintptr_t>(me, o::tcb) != me || at<std::uintptr_t>(me, o::self) != me) return "unknown layout of glibc's tcb";
  if (glibc.pthread_bytes < 512 || glibc.pthread_bytes > 16384 || glibc.bytes < glibc.pthread_bytes)
    return "unknown size of glibc's struct pthread";
  if (glibc.tid_offset + 4 > glibc.pthread_bytes || thread_id(me) != os::raw_syscall(SYS_gettid))
    return "unknown place of glibc's thread id";
  if (glibc.robust_offset + 24 > glibc.pthread_bytes) return "unknown place of glibc's robust list";
  return nullptr;
}

/// The parts of every block that all threads share, copied from the running thread.
void fill_common(std::uintptr_t pointer) noexcept {
  using o = arch::tcb_offsets;
  const std::uintptr_t me = arch::thread_pointer();
  at<std::uintptr_t>(pointer, o::tcb) = pointer;
  at<std::uintptr_t>(pointer, o::self) = pointer;
  at<int>(pointer, o::multiple_threads) = 1;
  at<std::uintptr_t>(pointer, o::stack_guard) = at<std::uintptr_t>(me, o::stack_guard);
  at<std::uintptr_t>(pointer, o::pointer_guard) = at<std::uintptr_t>(me, o::pointer_guard);
}

/// A list node that is in no list: libc's fork takes it out of "its" list in the child.
void link_to_itself(std::uintptr_t pointer) noexcept {
  at<std::uintptr_t>(pointer, glibc.list_offset) = pointer + glibc.list_offset;
  at<std::uintptr_t>(pointer, glibc.list_offset + 8) = pointer + glibc.list_offset;
}

void mark_rseq_unregistered(std::uintptr_t pointer) noexcept {
  // libc then asks the kernel for the CPU instead of reading the area.
  if (__rseq_size != 0)
    at<struct rseq>(pointer, static_cast<std::size_t>(__rseq_offset)).cpu_id = static_cast<std::uint32_t>(RSEQ_CPU_ID_UNINITIALIZED);
}

// -- which modules have static thread-locals, and what their initial images are --

constinit tls_images images{};
constinit atomic<std::uint32_t> images_seen{0}, modules_now{1};
constinit spinlock images_lock;

bool is_libc(const char* path) noexcept {
  const char* slash = ::strrchr(path, '/');
  const char* name = slash == nullptr ? path : slash + 1;
  return ::strncmp(name, "libc.so", 7) == 0 || ::strncmp(name, "libc-", 5) == 0 || ::strncmp(name, "ld-linux", 8) == 0;
}

int note_module(dl_phdr_info* info, std::size_t, void* raw) {
  auto& found = *static_cast<tls_images*>(raw);
  if (info->dlpi_tls_modid == 0 || is_libc(info->dlpi_name)) return 0;
  const std::size_t below = static_place(*info);
  if (below == 0) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_TLS || found.count == tls_images::most) continue;
    found.list[found.count++] = {below, reinterpret_cast<const void*>(info->dlpi_addr + segment.p_vaddr),
                                 segment.p_filesz, segment.p_memsz};
  }
  return 0;
}

// -- the dtv: glibc's table of dynamic thread-local blocks --

struct dtv_entry {
  std::uintptr_t value;
  void* to_free;
};
constexpr std::uintptr_t dtv_unallocated = ~std::uintptr_t{0};

void free_dynamic_blocks(dtv_entry* dtv) noexcept {
  const std::size_t count = dtv[-1].value;
  for (std::size_t i = 1; i <= count; ++i) {
    if (dtv[i].to_free == nullptr) continue;
    ::free(dtv[i].to_free);
    dtv[i] = {dtv_unallocated, nullptr};
  }
}

}  // namespace

/// (The address that dl_iterate_phdr tells is null until the calling thread has touched the module.)
std::size_t static_place(const dl_phdr_info& info) noexcept {
  for (const link_map* l = _r_debug.r_map; l != nullptr; l = l->l_next) {
    if (l->l_addr != info.dlpi_addr || ::strcmp(l->l_name, info.dlpi_name) != 0) continue;
    const auto place = at<std::size_t>(reinterpret_cast<std::uintptr_t>(l), glibc.module_offset);
    return place < glibc.bytes ? place : 0;  // beyond: libc's mark for "dynamic for ever"
  }
  return 0;
}

void forget_dynamic_blocks(std::uintptr_t pointer) noexcept {
  free_dynamic_blocks(at<dtv_entry*>(pointer, arch::tcb_offsets::dtv));
}

// -- what stripped blocks leave --

/// Laid over a dtv that no thread uses any more: its first two entries' `to_free` are unused by glibc.
struct stripped {
  std::uintptr_t count;
  stripped* next;
  std::uintptr_t generation;
  void* malloc_cache;
};

namespace {
constinit spinlock stripped_lock;
constinit atomic<stripped*> stripped_list{nullptr};
constexpr int stripped_at_once = 64;  // freeing them is somebody's pthread_create: let that be microseconds
}  // namespace

bool strip_block(std::uintptr_t pointer) noexcept {
  if (!malloc_cache_known()) return false;
  auto* dtv = at<dtv_entry*>(pointer, arch::tcb_offsets::dtv);
  auto* s = reinterpret_cast<stripped*>(dtv - 1);
  s->malloc_cache = take_malloc_cache(pointer);
  at<dtv_entry*>(pointer, arch::tcb_offsets::dtv) = nullptr;
  locked hold(stripped_lock);
  s->next = stripped_list.load(memory_order::relaxed);  // relaxed: under the lock
  stripped_list.store(s, memory_order::relaxed);        // relaxed: others take it under the lock
  return true;
}

bool something_stripped() noexcept { return stripped_list.load(memory_order::relaxed) != nullptr; }  // relaxed: a hint

stripped* take_stripped() noexcept {
  locked hold(stripped_lock);
  stripped* first = stripped_list.load(memory_order::relaxed);  // relaxed: under the lock
  stripped* last = first;
  for (int i = 1; i < stripped_at_once && last != nullptr && last->next != nullptr; ++i) last = last->next;
  if (last == nullptr) return nullptr;
  stripped_list.store(last->next, memory_order::relaxed);  // relaxed: under the lock
  last->next = nullptr;
  return first;
}

void free_stripped(stripped* list) noexcept {
  while (list != nullptr) {
    stripped* next = list->next;
    free_dynamic_blocks(reinterpret_cast<dtv_entry*>(list) + 1);
    free_malloc_cache(list->malloc_cache);
    ::free(list);
    list = next;
  }
}

const char* glibc_refusal() noexcept { return glibc.refusal; }

void probe_glibc(bool pretend_unknown) noexcept {
  glibc.refusal = find_functions();
  if (glibc.refusal == nullptr) glibc.refusal = find_offsets();
  if (glibc.refusal == nullptr) glibc.refusal = check_running_thread();
  if (pretend_unknown) glibc.refusal = "unknown glibc layout (asked for by glibc=unknown)";
}

std::size_t thread_block_bytes() noexcept { return glibc.bytes + glibc.alignment; }
std::size_t pthread_bytes() noexcept { return glibc.pthread_bytes; }
std::uintptr_t thread_pointer_below(void* end) noexcept {
  return (reinterpret_cast<std::uintptr_t>(end) - glibc.pthread_bytes) & ~(glibc.alignment - 1);
}
std::uintptr_t thread_block_low(std::uintptr_t pointer) noexcept {
  return pointer - (glibc.bytes - glibc.pthread_bytes);
}

void build_bare_block(std::uintptr_t pointer) noexcept {
  fill_common(pointer);
  mark_rseq_unregistered(pointer);
}

bool build_block(std::uintptr_t pointer) noexcept {
  if (glibc.allocate_tls(reinterpret_cast<void*>(pointer)) == nullptr) return false;
  build_bare_block(pointer);
  link_to_itself(pointer);
  // libc's own list of robust mutexes starts empty, that is, pointing at itself.
  at<std::uintptr_t>(pointer, glibc.robust_offset) = pointer + glibc.robust_offset;
  at<std::uintptr_t>(pointer, glibc.robust_offset + 8) =
      at<std::uintptr_t>(arch::thread_pointer(), glibc.robust_offset + 8);
  at<std::uintptr_t>(pointer, glibc.robust_offset - 8) = pointer + glibc.robust_offset;
  return true;
}

bool collect_images(tls_images& fresh, std::uint32_t& version) noexcept {
  version = modules_now.load(memory_order::acquire);                       // [modules-1] the change precedes its number
  if (images_seen.load(memory_order::relaxed) == version) return false;    // relaxed: adopted under images_lock
  fresh.count = 0;
  ::dl_iterate_phdr(note_module, &fresh);
  return true;
}

tls_images adopt_images(const tls_images& fresh, std::uint32_t version) noexcept {
  tls_images added;
  locked hold(images_lock);
  for (int i = 0; i < fresh.count; ++i) {
    bool known = false;
    for (int k = 0; k < images.count; ++k) known |= images.list[k].bytes == fresh.list[i].bytes;
    if (!known) added.list[added.count++] = fresh.list[i];
  }
  images = fresh;
  images_seen.store(version, memory_order::relaxed);  // relaxed: under images_lock
  return added;
}

void copy_images(std::uintptr_t pointer, const tls_images& which) noexcept {
  for (int i = 0; i < which.count; ++i) {
    const tls_image& image = which.list[i];
    auto* to = reinterpret_cast<char*>(pointer - image.below);
    ::memcpy(to, image.bytes, image.initialised);
    ::memset(to + image.initialised, 0, image.size - image.initialised);
  }
}

void renew_block(std::uintptr_t pointer) noexcept {
  at<int>(pointer, glibc.cancel_offset) = 0;
  locked hold(images_lock);
  copy_images(pointer, images);
}

void modules_changed() noexcept {
  // [modules-1] release: who sees the new number finds the new modules in dl_iterate_phdr. They were loaded, or
  // unloaded, by the caller before.
  modules_now.fetch_add(1, memory_order::release);
}

void begin_on_block() noexcept {
  errno = 0;
  begin_resolver();
  ::uselocale(LC_GLOBAL_LOCALE);
  glibc.ctype_init();
  // The end of the last thread on this block has disabled them.
  ::pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, nullptr);
  ::pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
}

void begin_anew() noexcept {
  images_lock.reset();
  stripped_lock.reset();
  stripped_list.store(nullptr, memory_order::relaxed);  // relaxed: the child has one thread; they may be half linked
  images_seen.store(0, memory_order::relaxed);  // relaxed: the child has one thread
}

void leave_list_of_libc(std::uintptr_t pointer) noexcept {
  const auto next = at<std::uintptr_t>(pointer, glibc.list_offset);
  const auto prev = at<std::uintptr_t>(pointer, glibc.list_offset + 8);
  at<std::uintptr_t>(prev, 0) = next;
  at<std::uintptr_t>(next, 8) = prev;
  link_to_itself(pointer);
}

namespace {
// glibc >= 2.34: nptl/descr.h
constexpr int disabled_bit = 1, asynchronous_bit = 2, canceled_bit = 8, exiting_bit = 16;
}

bool cancel_requested(std::uintptr_t pointer) noexcept {
  // relaxed: a request that is seen a little later is seen at the next cancellation point
  return (at<atomic<int>>(pointer, glibc.cancel_offset).load(memory_order::relaxed) & canceled_bit) != 0;
}

bool cancels_at_once(std::uintptr_t pointer) noexcept {
  const int bits = at<atomic<int>>(pointer, glibc.cancel_offset).load(memory_order::relaxed);  // relaxed: as above
  return (bits & (disabled_bit | asynchronous_bit | canceled_bit | exiting_bit)) == (asynchronous_bit | canceled_bit);
}

bool request_cancel(std::uintptr_t pointer) noexcept {
  const int before = at<atomic<int>>(pointer, glibc.cancel_offset).fetch_or(canceled_bit, memory_order::relaxed);  // relaxed: as above
  return (before & canceled_bit) == 0;
}

int thread_id(std::uintptr_t pointer) noexcept { return at<int>(pointer, glibc.tid_offset); }
void set_thread_id(std::uintptr_t pointer, int id) noexcept { at<int>(pointer, glibc.tid_offset) = id; }

std::uintptr_t robust_list(std::uintptr_t pointer) noexcept { return pointer + glibc.robust_offset; }

void run_thread_local_destructors() noexcept { glibc.call_tls_dtors(); }

void leave_rseq() noexcept {
  if (__rseq_size == 0) return;
  const std::uintptr_t me = arch::thread_pointer();
  auto& area = at<struct rseq>(me, static_cast<std::size_t>(__rseq_offset));
  os::raw_syscall(SYS_rseq, os::arg(&area), 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
  mark_rseq_unregistered(me);
}

}  // namespace weft::engine::mem
