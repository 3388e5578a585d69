// SPDX-License-Identifier: BSL-1.0
// The shape of a web crawler: a fiber for each page, at most so many fetches at a time, no page twice, and an end when nothing is left to
// be visited. The web is a made-up one: page n links to some others.
#include <cstdio>
#include <set>
#include <stdexcept>
#include <vector>

#include <weft/weft.hpp>

using namespace std::chrono_literals;

namespace {

constexpr int pages = 5'000;

std::vector<int> fetch(int page) {
  weft::this_thread::sleep_for(std::chrono::microseconds(page % 7 * 100));  // the network
  if (page == 1'234) throw std::runtime_error("no such page");
  return {page * 2 % pages, page * 3 % pages, (page + 17) % pages};
}

struct crawler {
  void visit(int page) {
    {
      const std::lock_guard hold(lock);
      if (!seen.insert(page).second) return;
    }
    all.spawn_fiber([this, page](std::stop_token stop) {
      if (stop.stop_requested()) return;
      std::vector<int> links;
      at_once.acquire();
      try {
        links = fetch(page);
      } catch (const std::exception& error) {
        std::printf("page %d: %s\n", page, error.what());
      }
      at_once.release();
      for (const int link : links) visit(link);  // children may have children: the scope waits for all
    });
  }
  weft::mutex lock;
  std::set<int> seen;
  weft::counting_semaphore<> at_once{100};
  weft::scope all{std::chrono::steady_clock::now() + 60s};
};

}  // namespace

int main() {
  crawler c;
  c.visit(1);
  c.all.join();
  std::printf("%zu pages\n", c.seen.size());
}
