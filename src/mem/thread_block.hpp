// SPDX-License-Identifier: BSL-1.0
// glibc's thread control block and static thread-local storage, built by us in memory of ours (x86-64, glibc >= 2.34).
//
// Layout of a block, low to high: the modules' static thread-locals, then struct pthread, to whose start the thread
// pointer points. glibc's own functions build and renew it; they are GLIBC_PRIVATE, hence looked up and checked against
// the running thread's values at start. When anything differs from what we know, probe_glibc() says what, and the
// program runs 1:1.
#pragma once
#include <cstddef>
#include <cstdint>

struct dl_phdr_info;

namespace weft::engine::mem {

/// Null once probe_glibc() has found everything; otherwise the reason, for people.
[[nodiscard]] const char* glibc_refusal() noexcept;

/// Looks up and checks. Once, on the initial thread, before any carrier. `pretend_unknown` forces the refusal (a test).
void probe_glibc(bool pretend_unknown) noexcept;

/// Bytes that one block needs at most (static storage, struct pthread, and what its alignment may cost).
[[nodiscard]] std::size_t thread_block_bytes() noexcept;
/// Where in a block's memory the thread pointer will be, given the block's end (any alignment).
/// Of libc's struct pthread, from the thread pointer on.
[[nodiscard]] std::size_t pthread_bytes() noexcept;
[[nodiscard]] std::uintptr_t thread_pointer_below(void* end) noexcept;
/// The lowest byte that a block with this thread pointer uses.
[[nodiscard]] std::uintptr_t thread_block_low(std::uintptr_t pointer) noexcept;

/// For a carrier or the monitor: enough for the engine's own thread-locals, for stack protection and for signal
/// handlers, but not for libc. Memory must be zeroed. No allocation.
void build_bare_block(std::uintptr_t pointer) noexcept;

/// For a thread: complete. Memory must be zeroed. Calls malloc (for the dtv) and takes loader locks: only outside
/// engine sections. Returns false when memory is short. 400 ns.
bool build_block(std::uintptr_t pointer) noexcept;
/// One module's initial image of its static thread-locals.
struct tls_image {
  std::size_t below;  ///< It starts this far below the thread pointer.
  const void* bytes;
  std::size_t initialised, size;
};
struct tls_images {
  static constexpr int most = 64;
  tls_image list[most] = {};
  int count = 0;
};

/// A used block is made new in three steps, so that nothing that may wait happens inside a section, and the list of
/// images, which is shared, is touched only inside one. libc's own part is left alone: malloc's per-thread cache stays
/// with the block instead of leaking.
///
/// Outside sections (takes loader locks): has the set of modules changed? Then `fresh` holds the new one to be adopted.
bool collect_images(tls_images& fresh, std::uint32_t& version) noexcept;
/// Inside a section. Returns those that were not there before.
tls_images adopt_images(const tls_images& fresh, std::uint32_t version) noexcept;
/// Inside a section: initialises these images in a block.
void copy_images(std::uintptr_t pointer, const tls_images& which) noexcept;
/// Inside a section: copies every image and resets what libc keeps of a thread's end.
void renew_block(std::uintptr_t pointer) noexcept;
/// Outside sections (calls free): drops what the last thread had of thread-locals in modules loaded by dlopen.
void forget_dynamic_blocks(std::uintptr_t pointer) noexcept;

/// A block whose pages are to be given back: what it holds of the heap (the dtv, dynamic thread-locals, malloc's cache) is
/// put aside, to be freed by somebody who may call free. The block is as if never built then. False: it must stay, since
/// it holds something that we do not understand. No allocation, no libc lock.
bool strip_block(std::uintptr_t pointer) noexcept;
/// What strip_block has put aside.
struct stripped;
[[nodiscard]] bool something_stripped() noexcept;
/// Inside a section: some of it. Outside then: frees that.
[[nodiscard]] stripped* take_stripped() noexcept;
void free_stripped(stripped* list) noexcept;
/// The set of loaded modules may have changed (dlopen, dlclose).
void modules_changed() noexcept;
/// For the new thread itself, first thing: its errno, locale and character tables.
void begin_on_block() noexcept;

/// How far below the thread pointer a module's static thread-locals begin; 0 if they are not static.
[[nodiscard]] std::size_t static_place(const dl_phdr_info& module) noexcept;

/// In a forked child: the list of images is made again.
void begin_anew() noexcept;
/// In a forked child, by its only thread, if its block is ours: libc's fork has listed the block among its own stacks.
void leave_list_of_libc(std::uintptr_t pointer) noexcept;

/// libc's mark that a thread is to be cancelled, as its own pthread_testcancel and blocking calls read it.
[[nodiscard]] bool cancel_requested(std::uintptr_t pointer) noexcept;
/// False if that had been done before.
bool request_cancel(std::uintptr_t pointer) noexcept;
/// Requested, enabled, and of the asynchronous type.
[[nodiscard]] bool cancels_at_once(std::uintptr_t pointer) noexcept;

/// The id that libc's locks take for the owner's. Unique among living threads; for a kernel thread, the kernel's.
[[nodiscard]] int thread_id(std::uintptr_t pointer) noexcept;
void set_thread_id(std::uintptr_t pointer, int id) noexcept;

/// libc's list of the robust mutexes that a thread holds, as the kernel is told of it.
[[nodiscard]] std::uintptr_t robust_list(std::uintptr_t pointer) noexcept;

/// Runs the calling thread's thread_local destructors (__cxa_thread_atexit).
void run_thread_local_destructors() noexcept;

/// Stops the kernel from writing its rseq area in the calling kernel thread's block: the block is about to move
/// between kernel threads, or to be given back.
void leave_rseq() noexcept;

}  // namespace weft::engine::mem
