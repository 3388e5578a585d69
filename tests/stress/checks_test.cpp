// SPDX-License-Identifier: BSL-1.0
//
// The stress tests are themselves tested: what they rely on to notice a mistake does notice it.
#include "stress/engine.hpp"

#include <gtest/gtest.h>
#include <memory>

namespace {

using namespace weft::engine;
using namespace weft::engine::stress;

TEST(checks, a_failed_check_on_an_engine_thread_is_noticed) {
    EXPECT_NE(how_it_ends({.slots = 2}, [](worker& me) { make_thread(me, [](worker&) { check(false, "planted: this line is expected"); }); }), 0);
}

#if defined(__SANITIZE_THREAD__)
// Threads that follow each other on one carrier are ordered by that, so on a busy machine one run may show nothing.
TEST(checks, a_race_between_engine_threads_is_noticed) {
    const auto race = [](worker& me) {
        auto unguarded = std::make_shared<int>(0);
        for (int i = 0; i < 40; ++i) {
            make_thread(me, [unguarded](worker& self) {
                for (int n = 0; n < 200; ++n) {
                    ++*unguarded;
                    self.yield();
                }
            });
        }
    };
    int status = 0;
    for (int run = 0; run < 50 && status == 0; ++run) status = how_it_ends({.slots = 4}, race);
    EXPECT_NE(status, 0);
}
#endif

#if defined(__SANITIZE_ADDRESS__)
TEST(checks, an_overrun_on_an_engine_thread_is_noticed) {
    EXPECT_NE(how_it_ends({.slots = 2},
                          [](worker& me) {
                              make_thread(me, [](worker& self) {
                                  volatile char place[16] = {};
                                  place[16 + self.below(1)] = 1;
                                  check(place[0] == 0, "used");
                              });
                          }),
              0);
}
#endif

}  // namespace
