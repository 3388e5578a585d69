// SPDX-License-Identifier: BSL-1.0
// OpenMP: its worker threads come from libgomp, which parks them by futex calls of its own.
#include <omp.h>

#include "check.h"

int main(void) {
  enum { size = 200000 };
  static double values[size];
  double sum = 0;
  long threads_seen = 0;
  omp_set_num_threads(4);
  for (int round = 0; round < 20; ++round) {
#pragma omp parallel for schedule(static)
    for (int i = 0; i < size; ++i) values[i] = i * 0.5 + round;
#pragma omp parallel for schedule(dynamic, 1000) reduction(+ : sum)
    for (int i = 0; i < size; ++i) sum += values[i] > 1000 ? 1 : 0;
  }
#pragma omp parallel
  {
#pragma omp critical
    threads_seen += omp_get_num_threads();
#pragma omp barrier
#pragma omp single
    CHECK_EQ(threads_seen, 16);
  }
  long tasks = 0;
#pragma omp parallel
#pragma omp single
  for (int i = 0; i < 1000; ++i) {
#pragma omp task shared(tasks)
    {
#pragma omp atomic
      ++tasks;
    }
  }
  printf("sum %.0f, %ld threads seen, %ld tasks\n", sum, threads_seen, tasks);
  return 0;
}
