// SPDX-License-Identifier: BSL-1.0
// A pipeline of threads joined by small bounded queues: the prime sieve in which each stage keeps one prime and passes on what
// it does not divide. Almost all it does is switch between threads, so it shows what a switch costs. No Weft header.
//
//   pipeline [STAGES]      prints the first STAGES primes' sum and the last one; default 1000
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace {

class channel {
 public:
  void put(long value) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return closed_ || items_.size() < capacity; });
    if (closed_) return;
    items_.push_back(value);
    changed_.notify_all();
  }
  /// False once the channel is closed: by the reader, who has seen enough.
  bool take(long& value) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (closed_) return false;
    value = items_.front();
    items_.pop_front();
    changed_.notify_all();
    return true;
  }
  void close() {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    changed_.notify_all();
  }
  bool closed() {
    const std::lock_guard lock{mutex_};
    return closed_;
  }

 private:
  static constexpr std::size_t capacity = 4;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<long> items_;
  bool closed_ = false;
};

void filter(channel& in, channel& out, long prime) {
  for (long value; in.take(value);) {
    if (out.closed()) break;
    if (value % prime != 0) out.put(value);
  }
  in.close();
}

}  // namespace

int main(int argc, char** argv) {
  const int stages = argc > 1 ? std::atoi(argv[1]) : 1000;
  if (stages < 1 || stages > 20000) {
    std::fprintf(stderr, "usage: pipeline [STAGES]   (1 to 20000)\n");
    return 2;
  }
  std::vector<std::unique_ptr<channel>> channels;
  std::vector<std::thread> threads;
  channels.push_back(std::make_unique<channel>());
  threads.emplace_back([&first = *channels.back()] {
    for (long n = 2; !first.closed(); ++n) first.put(n);
  });
  long sum = 0, prime = 0;
  for (int i = 0; i < stages; ++i) {
    channel& in = *channels.back();
    in.take(prime);
    sum += prime;
    channels.push_back(std::make_unique<channel>());
    threads.emplace_back([&in, &out = *channels.back(), prime] { filter(in, out, prime); });
  }
  channels.back()->close();  // closes the whole pipeline, stage by stage, back to the source
  for (std::thread& thread : threads) thread.join();
  std::printf("%d primes, the last %ld, their sum %ld\n", stages, prime, sum);
}
