// SPDX-License-Identifier: BSL-1.0
// Deferred cancellation. The request is libc's own mark in the thread's block, so libc's cancellation points see it; ours
// look when they begin and when they are interrupted. The unwinding is libc's, up to run_until_exit.
#pragma once
#include "posix/user_thread.hpp"

namespace weft::posix {

/// A cancellation point: does not return if the calling thread is to be cancelled and allows it. Outside sections, with
/// everything in the state in which cleanup handlers may find it.
void cancellation_point(user_thread& me);

}  // namespace weft::posix
