// SPDX-License-Identifier: BSL-1.0
// What a process did, told once at its end: `stats` on stderr, `stats-file` as a line of JSON.
#pragma once
#include <pthread.h>

namespace weft::engine::posix {

/// Prints what was asked for; at most once, and not at all in a process that never had threads to count and no wish.
/// From the destructor, _exit and quick_exit.
void report_stats() noexcept;

/// pthread_create of model 1:1, counting if anybody will ask.
int create_counted(pthread_t* handle, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) noexcept;

}  // namespace weft::engine::posix
