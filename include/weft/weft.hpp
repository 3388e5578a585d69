// SPDX-License-Identifier: BSL-1.0
// All of the library: what <thread>, <mutex>, <shared_mutex>, <condition_variable>, <semaphore>, <latch>, <barrier>, <stop_token> and <future>
// have in namespace std, in namespace weft; and fibers, channels, select, scopes, io, runtimes and their orders, and tests by seed.
#pragma once
#include "weft/barrier.hpp"
#include "weft/channel.hpp"
#include "weft/clock.hpp"
#include "weft/condition_variable.hpp"
#include "weft/fiber.hpp"
#include "weft/future.hpp"
#include "weft/io.hpp"
#include "weft/latch.hpp"
#include "weft/mutex.hpp"
#include "weft/policy.hpp"
#include "weft/runtime.hpp"
#include "weft/scope.hpp"
#include "weft/select.hpp"
#include "weft/semaphore.hpp"
#include "weft/shared_mutex.hpp"
#include "weft/testing.hpp"
#include "weft/thread.hpp"
