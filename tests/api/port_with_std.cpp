// SPDX-License-Identifier: BSL-1.0
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <stop_token>
#include <thread>

namespace sut = std;
#define PORT port_with_std
#include "port.hpp"
