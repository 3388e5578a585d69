// SPDX-License-Identifier: BSL-1.0
#include "mem/malloc_cache.hpp"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "arch/thread_pointer.hpp"
#include "mem/thread_block.hpp"
#include "os/memory.hpp"
#include "os/syscall.hpp"

namespace weft::engine::mem {

namespace {

constexpr std::size_t bins = 64;
constexpr std::uint16_t full = 0xffff;  // a bin with so many chunks takes no more: free() goes to the heap

struct cached_chunk {
  std::uintptr_t next;  // xored with the chunk's own page number
  std::uintptr_t key;   // not zero: it lies in a cache
};
struct malloc_cache {
  std::uint16_t counts[bins];
  cached_chunk* chunks[bins];
};

enum class knowledge : std::uint8_t { none, found, not_needed };
constinit knowledge known = knowledge::none;
constinit std::size_t below = 0;  // the pointer to the cache, below the thread pointer

malloc_cache*& cache_of(std::uintptr_t pointer) noexcept { return *reinterpret_cast<malloc_cache**>(pointer - below); }

cached_chunk* next_of(const cached_chunk* chunk) noexcept {
  return reinterpret_cast<cached_chunk*>(reinterpret_cast<std::uintptr_t>(chunk) >> 12 ^ chunk->next);
}

/// The chunks of a bin that nobody else looks at any more.
void free_chunks(cached_chunk* chunk) noexcept {
  while (chunk != nullptr) {
    cached_chunk* next = next_of(chunk);
    chunk->key = 0;
    ::free(chunk);
    chunk = next;
  }
}

/// The compiler must neither elide our calls of malloc nor know what they return.
cached_chunk* allocate() noexcept {
  void* chunk = ::malloc(sizeof(cached_chunk));
  asm volatile("" : "+r"(chunk) : : "memory");
  return static_cast<cached_chunk*>(chunk);
}
void release(cached_chunk* chunk) noexcept {
  asm volatile("" : "+r"(chunk) : : "memory");
  ::free(chunk);
  asm volatile("" : : : "memory");
}

/// Does the cache that this word points to, if it does, behave as we think?
bool behaves(std::uintptr_t word) noexcept {
  if (word == 0 || word % 16 != 0 || !os::can_read(word) || !os::can_read(word + sizeof(malloc_cache) - 8)) return false;
  auto* cache = reinterpret_cast<malloc_cache*>(word);
  cached_chunk* one = allocate();
  cached_chunk* two = allocate();
  if (one == nullptr || two == nullptr) return false;
  const std::uint16_t before = cache->counts[0];
  release(one);
  release(two);
  bool good = cache->counts[0] == before + 2 && cache->chunks[0] == two && next_of(two) == one && two->key != 0 && one->key == two->key;
  if (!good) return false;
  one = allocate();
  good = one == two && one->key == 0 && cache->counts[0] == before + 1;
  const std::uint16_t count = cache->counts[0];
  cached_chunk* const first = cache->chunks[0];
  cache->counts[0] = full;
  release(one);
  good = good && cache->counts[0] == full && cache->chunks[0] == first;
  cache->counts[0] = count;
  return good;
}

int search_libc(dl_phdr_info* info, std::size_t, void* libc_address) {
  const std::uintptr_t me = arch::thread_pointer();
  const ElfW(Phdr)* storage = nullptr;
  bool is_it = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type == PT_TLS) storage = &segment;
    const std::uintptr_t low = info->dlpi_addr + segment.p_vaddr;
    is_it |= segment.p_type == PT_LOAD && reinterpret_cast<std::uintptr_t>(libc_address) - low < segment.p_memsz;
  }
  if (!is_it) return 0;
  const std::size_t distance = storage == nullptr ? 0 : static_place(*info);
  if (distance == 0 || storage->p_memsz > distance) return 1;
  for (std::uintptr_t place = me - distance; place + 8 <= me - distance + storage->p_memsz; place += 8) {
    if (!behaves(*reinterpret_cast<std::uintptr_t*>(place))) continue;
    below = me - place;
    known = knowledge::found;
  }
  return 1;
}

}  // namespace

void probe_malloc_cache() noexcept {
  void* libc = ::dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  void* theirs = libc == nullptr ? nullptr : ::dlsym(libc, "malloc");
  if (libc != nullptr) ::dlclose(libc);
  if (theirs == nullptr) return;
  if (::dlsym(RTLD_DEFAULT, "malloc") != theirs) {
    known = knowledge::not_needed;
    return;
  }
  // One chunk of each bin that we look at in the cache, so that there is one.
  cached_chunk* const one = allocate();
  cached_chunk* const two = allocate();
  release(one);
  release(two);
  ::dl_iterate_phdr(search_libc, theirs);
}

bool malloc_cache_known() noexcept { return known != knowledge::none; }

void shed_malloc_cache() noexcept {
  if (known != knowledge::found) return;
  malloc_cache* cache = cache_of(arch::thread_pointer());
  if (cache == nullptr) return;
  for (std::size_t i = 0; i < bins; ++i) {
    cached_chunk* chunk = cache->chunks[i];
    cache->chunks[i] = nullptr;
    cache->counts[i] = full;
    free_chunks(chunk);
  }
  ::free(cache);  // still the calling thread's: so its own chunk, too, goes to the heap
  cache_of(arch::thread_pointer()) = nullptr;
}

void* take_malloc_cache(std::uintptr_t pointer) noexcept {
  if (known != knowledge::found) return nullptr;
  malloc_cache* cache = cache_of(pointer);
  cache_of(pointer) = nullptr;
  return cache;
}

void free_malloc_cache(void* raw) noexcept {
  auto* cache = static_cast<malloc_cache*>(raw);
  if (cache == nullptr) return;
  for (cached_chunk* chunk : cache->chunks) free_chunks(chunk);
  ::free(cache);
}

}  // namespace weft::engine::mem
