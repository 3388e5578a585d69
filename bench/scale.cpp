// SPDX-License-Identifier: BSL-1.0
// Question: what do very many threads cost, and is it given back? Three parts; without a name all of them at full size.
//
//   scale parked [THREADS]   1,000,000 parked threads with 64 KiB stacks: memory with page tables, mappings, and what creating
//                            a thread costs from one tenth of them to the next. Needs 10 GiB.
//   scale cycles [THREADS]   10,000,000 threads created and ended, by one creator, by two that join each other's, detached:
//                            resident memory after a tenth of them and at the end.
//   scale peak [THREADS]     200,000 threads at once, each with 16 KiB of touched stack and heap used: memory at the peak, and
//                            how much of it is left 1, 2 and 3 s after the last has ended; then without what malloc keeps of
//                            what the program has freed (malloc_trim), which is no thread's memory.
//
// Rival: kernel threads, which end at pid_max: compare at 10,000.
#include "bench.hpp"

#include <atomic>
#include <string>

#include <malloc.h>
#include <semaphore.h>
#include <unistd.h>

namespace {
constexpr std::size_t stack_size = 64 * 1024;

/// A figure of /proc/self/status, in MiB.
double status_mib(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) bench::must(1, "/proc/self/status");
  char line[256];
  double kib = 0;
  while (std::fgets(line, sizeof line, file) != nullptr)
    if (std::strncmp(line, field, std::strlen(field)) == 0) kib = std::atof(line + std::strlen(field));
  std::fclose(file);
  return kib / 1024;
}
double memory_mib() { return status_mib("VmRSS:") + status_mib("VmPTE:"); }

long mappings() {
  std::FILE* file = std::fopen("/proc/self/maps", "r");
  if (file == nullptr) bench::must(1, "/proc/self/maps");
  long lines = 0;
  for (int c; (c = std::fgetc(file)) != EOF;) lines += c == '\n';
  std::fclose(file);
  return lines;
}

pthread_attr_t small_stacks(int detach_state = PTHREAD_CREATE_JOINABLE) {
  pthread_attr_t attributes;
  bench::must(pthread_attr_init(&attributes), "pthread_attr_init");
  bench::must(pthread_attr_setstacksize(&attributes, stack_size), "pthread_attr_setstacksize");
  bench::must(pthread_attr_setdetachstate(&attributes, detach_state), "pthread_attr_setdetachstate");
  return attributes;
}

sem_t gate;

void* wait_at_gate(void*) {
  while (sem_wait(&gate) != 0) {
  }
  sem_post(&gate);
  return nullptr;
}

/// The gate opens for one, and everybody lets the next one through.
void let_go(const std::vector<pthread_t>& threads) {
  sem_post(&gate);
  for (const pthread_t thread : threads) bench::join(thread);
}

void parked(long count) {
  sem_init(&gate, 0, 0);
  const pthread_attr_t attributes = small_stacks();
  std::vector<pthread_t> threads;
  threads.reserve(static_cast<std::size_t>(count));
  const long tenth = count < 10 ? 1 : count / 10;
  std::int64_t begin = bench::now_ns(), first = 0, last = 0;
  for (long i = 1; i <= count; ++i) {
    threads.push_back(bench::start(wait_at_gate, nullptr, &attributes));
    if (i % tenth != 0) continue;
    last = bench::now_ns() - begin;
    if (first == 0) first = last;
    begin += last;
  }
  usleep(100'000);  // the last ones reach the gate
  bench::report("scale_parked_memory", memory_mib(), "MiB");
  bench::report("scale_parked_page_tables", status_mib("VmPTE:"), "MiB");
  bench::report("scale_parked_mappings", static_cast<double>(mappings()), "mappings");
  bench::report("scale_parked_create_first", static_cast<double>(first) / static_cast<double>(tenth), "ns");
  bench::report("scale_parked_create_last", static_cast<double>(last) / static_cast<double>(tenth), "ns");
  const std::int64_t end = bench::now_ns();
  let_go(threads);
  bench::report("scale_parked_end", static_cast<double>(bench::now_ns() - end) / static_cast<double>(count), "ns");
}

void* use_heap(void*) {
  free(malloc(100));
  return nullptr;
}

void* post_and_end(void* semaphore) {
  free(malloc(100));
  sem_post(static_cast<sem_t*>(semaphore));
  return nullptr;
}

void create_and_join(long count) {
  for (long i = 0; i < count; ++i) bench::join(bench::start(use_heap, nullptr));
}

void create_detached(long count) {
  static const pthread_attr_t attributes = small_stacks(PTHREAD_CREATE_DETACHED);
  sem_t ended;
  sem_init(&ended, 0, 0);
  for (long i = 0; i < count; ++i) {
    (void)bench::start(post_and_end, &ended, &attributes);
    while (sem_wait(&ended) != 0) {
    }
  }
  usleep(10'000);  // the last one may still stand in its sem_post
}

/// Two creators hand their threads to each other to be joined.
void create_and_exchange(long count) {
  struct side {
    long count;
    std::atomic<pthread_t> given{0};
    side* other = nullptr;
  };
  static side sides[2];
  for (int i = 0; i < 2; ++i) {
    sides[i].count = count / 2;
    sides[i].other = &sides[1 - i];
  }
  const auto creator = [](void* raw) -> void* {
    auto& me = *static_cast<side*>(raw);
    for (long i = 0; i < me.count; ++i) {
      const pthread_t mine = bench::start(use_heap, nullptr);
      me.given.store(mine);
      pthread_t theirs;
      while ((theirs = me.other->given.exchange(0)) == 0) sched_yield();
      bench::join(theirs);
      while (me.given.load() != 0) sched_yield();
    }
    return nullptr;
  };
  const pthread_t one = bench::start(creator, &sides[0]), two = bench::start(creator, &sides[1]);
  bench::join(one);
  bench::join(two);
}

void cycle(const char* name, void (*create)(long), long count) {
  create(count / 10);
  const double early = memory_mib();
  const std::int64_t begin = bench::now_ns();
  create(count - count / 10);
  const double late = memory_mib();
  const std::string prefix = std::string("scale_cycles_") + name;
  bench::report((prefix + "_each").c_str(), static_cast<double>(bench::now_ns() - begin) / static_cast<double>(count - count / 10), "ns");
  bench::report((prefix + "_tenth").c_str(), early, "MiB");
  bench::report((prefix + "_growth").c_str(), 100 * (late - early) / early, "%");
}

void cycles(long count) {
  cycle("joined", create_and_join, count);
  cycle("exchanged", create_and_exchange, count);
  cycle("detached", create_detached, count);
}

[[gnu::noinline]] void touch_stack() {
  volatile char deep[16 * 1024];
  for (std::size_t i = 0; i < sizeof deep; i += 1024) deep[i] = 1;
}

void* use_memory(void*) {
  touch_stack();
  void* blocks[8];
  for (std::size_t i = 0; i < 8; ++i) blocks[i] = malloc(24 + 16 * i);
  for (void* block : blocks) free(block);
  return wait_at_gate(nullptr);
}

void peak(long count) {
  sem_init(&gate, 0, 0);
  const pthread_attr_t attributes = small_stacks();
  std::vector<pthread_t> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (long i = 0; i < count; ++i) threads.push_back(bench::start(use_memory, nullptr, &attributes));
  usleep(100'000);
  const double most = memory_mib();
  let_go(threads);
  const double at_once = memory_mib();
  double after[3];
  for (double& a : after) {
    sleep(1);
    a = memory_mib();
  }
  bench::report("scale_peak", most, "MiB");
  bench::report("scale_peak_left_at_once", 100 * at_once / most, "%");
  bench::report("scale_peak_left_1s", 100 * after[0] / most, "%");
  bench::report("scale_peak_left_2s", 100 * after[1] / most, "%");
  bench::report("scale_peak_left_3s", 100 * after[2] / most, "%");
  malloc_trim(0);
  bench::report("scale_peak_left_without_free_heap", 100 * memory_mib() / most, "%");
}
}  // namespace

int main(int argc, char** argv) {
  const std::string part = argc > 1 ? argv[1] : "";
  const auto count = [&](long otherwise) { return bench::count_from(argc - 1, argv + 1, otherwise); };
  if (part.empty() || part == "cycles") cycles(count(10'000'000));
  if (part.empty() || part == "peak") peak(count(200'000));
  if (part.empty() || part == "parked") parked(count(1'000'000));
}
