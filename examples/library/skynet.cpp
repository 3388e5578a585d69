// SPDX-License-Identifier: BSL-1.0
// A million fibers: each starts ten others, down to a million leaves, and adds up what they say.
//
//   skynet [LEAVES]      a power of ten; default 1000000
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <weft/weft.hpp>

namespace {

long skynet(long number, long size) {
  if (size == 1) return number;
  std::vector<weft::fiber> children;
  std::vector<long> sums(10);
  children.reserve(10);
  for (long i = 0; i < 10; ++i)
    children.emplace_back([&sums, i, number, size] { sums[static_cast<std::size_t>(i)] = skynet(number + i * size / 10, size / 10); });
  for (weft::fiber& child : children) child.join();
  long sum = 0;
  for (const long s : sums) sum += s;
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const long leaves = argc > 1 ? std::atol(argv[1]) : 1'000'000;
  long power = 1;
  while (power < leaves) power *= 10;
  if (leaves < 1 || power != leaves) return std::fputs("usage: skynet [LEAVES], a power of ten\n", stderr), 2;
  const auto start = std::chrono::steady_clock::now();
  const long sum = skynet(0, leaves);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  std::printf("%ld, in %.0f ms\n", sum, took.count());
}
