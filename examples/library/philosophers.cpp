// SPDX-License-Identifier: BSL-1.0
// Dining philosophers who all take the fork on their left first. Sooner or later each holds one and waits for the next: Weft says who waits for
// what, held by whom, and ends the program with status 2.
//
//   philosophers [polite]     polite: the last one begins on the right, and all get enough
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <weft/weft.hpp>

int main(int argc, char** argv) {
  const bool polite = argc > 1 && std::string_view(argv[1]) == "polite";
  constexpr int n = 5;
  std::array<weft::mutex, n> forks;
  std::vector<weft::jthread> table;
  for (int i = 0; i < n; ++i) {
    const std::string name = "philosopher " + std::to_string(i);
    table.emplace_back(weft::spawn_options{.name = name}, [&, i] {
      weft::mutex* first = &forks[static_cast<std::size_t>(i)];
      weft::mutex* second = &forks[static_cast<std::size_t>((i + 1) % n)];
      if (polite && i == n - 1) std::swap(first, second);
      for (int meal = 0; meal < 1'000; ++meal) {
        const std::lock_guard left(*first);
        weft::this_thread::yield();  // thinks about the right one
        const std::lock_guard right(*second);
      }
    });
  }
  table.clear();  // joins
  std::puts("all have eaten");
}
