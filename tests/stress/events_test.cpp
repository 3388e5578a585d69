// SPDX-License-Identifier: BSL-1.0
//
// The reactor: threads wait for pipes with and without deadlines, several on one pipe, while numbers are closed under them and carriers come
// and go. Every byte arrives once, and nobody is left behind.
#include "io/reactor.hpp"
#include "os/clock.hpp"
#include "os/syscall.hpp"
#include "preempt/preempt.hpp"
#include "stress/engine.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <poll.h>
#include <vector>

namespace {

using namespace weft::engine;
using namespace weft::engine::stress;

struct pipe_ends {
    int read = -1, write = -1;
};

/// The monitor calls a watching carrier away by that signal, which must not be ignored then.
pipe_ends open_pipe() {
    static const int installed = install_preemption();
    check(installed == 0, "a handler for the engine's signal");
    std::array<int, 2> ends{};
    check(os::raw_syscall(SYS_pipe2, os::arg(ends.data()), O_NONBLOCK) == 0, "a pipe");
    return {ends[0], ends[1]};
}

/// One byte, or a negative errno: -ETIMEDOUT when the deadline came first.
long read_byte(worker& self, int fd, char& byte, nanoseconds_at deadline) {
    io::turn turn(self, fd, POLLIN);
    for (;;) {
        const long n = os::raw_syscall(SYS_read, turn.fd(), os::arg(&byte), 1);
        if (n != -EAGAIN && n != -EINTR) return n;
        const io::wait_end end = turn.wait(deadline);
        if (end == io::wait_end::deadline) return -ETIMEDOUT;
        check(end == io::wait_end::ready, "nobody interrupts, and pipes can be waited for");
    }
}
void write_byte(worker& self, int fd, char byte) {
    io::turn turn(self, fd, POLLOUT);
    for (;;) {
        const long n = os::raw_syscall(SYS_write, turn.fd(), os::arg(&byte), 1);
        if (n == 1) return;
        check(n == -EAGAIN || n == -EINTR, "a pipe takes bytes");
        check(turn.wait(never) == io::wait_end::ready, "room comes");
    }
}

void ping_pong(worker& me, int pairs, int rounds) {
    make_crowd(me, pairs, [rounds](worker& self, int) {
        const pipe_ends there = open_pipe(), back = open_pipe();
        make_thread(self, [there, back, rounds](worker& other) {
            for (int i = 0; i < rounds; ++i) {
                char byte = 0;
                check(read_byte(other, there.read, byte, never) == 1 && byte == static_cast<char>(i), "served");
                write_byte(other, back.write, byte);
            }
        });
        for (int i = 0; i < rounds; ++i) {
            write_byte(self, there.write, static_cast<char>(i));
            char byte = 0;
            long n = 0;
            do {
                n = read_byte(self, back.read, byte, self.below(2) == 0 ? never : os::now() + self.below(100'000));
            } while (n == -ETIMEDOUT);
            check(n == 1 && byte == static_cast<char>(i), "returned");
        }
    });
}
TEST(events, ping_pong_on_one_slot) { run({.slots = 1}, [](worker& me) { ping_pong(me, 30, 300); }); }
TEST(events, ping_pong_on_two_slots) { run({.slots = 2}, [](worker& me) { ping_pong(me, 30, 300); }); }
TEST(events, ping_pong_on_eight_slots) { run({.slots = 8}, [](worker& me) { ping_pong(me, 30, 200); }); }
TEST(events, ping_pong_without_membarrier) {
    run({.slots = 4, .kernel_has_barrier = false}, [](worker& me) { ping_pong(me, 20, 200); });
}

/// Many readers and writers of one pipe: each byte is read once, however the turns fall.
void one_pipe(worker& me, int each_side, int rounds) {
    const pipe_ends p = open_pipe();
    auto sum = std::make_shared<weft::engine::atomic<std::uint64_t>>(0);
    make_crowd(me, 2 * each_side, [p, sum, rounds](worker& self, int i) {
        for (int round = 0; round < rounds; ++round) {
            if (i % 2 == 0) {
                write_byte(self, p.write, 1);
                if (self.below(16) == 0) self.yield();
                continue;
            }
            char byte = 0;
            long n = 0;
            do {
                n = read_byte(self, p.read, byte, self.below(4) == 0 ? os::now() + self.below(200'000) : never);
            } while (n == -ETIMEDOUT);
            check(n == 1, "a byte for everybody");
            sum->fetch_add(static_cast<std::uint64_t>(byte));
        }
    });
}
TEST(events, one_pipe_on_two_slots) { run({.slots = 2}, [](worker& me) { one_pipe(me, 40, 200); }); }
TEST(events, one_pipe_on_four_slots) { run({.slots = 4}, [](worker& me) { one_pipe(me, 40, 200); }); }

/// The number is let go of while its reader waits or is about to; the reader gets what is sent to its pipe.
void numbers_change(worker& me, int threads, int rounds) {
    make_crowd(me, threads, [rounds](worker& self, int) {
        for (int round = 0; round < rounds; ++round) {
            const pipe_ends p = open_pipe();
            auto done = std::make_shared<semaphore>();
            make_thread(self, [p, done](worker& reader) {
                char byte = 0;
                check(read_byte(reader, p.read, byte, never) == 1 && byte == 'p', "the byte of its own pipe");
                done->post(reader);
            });
            if (self.below(2) == 0) self.yield();
            self.sleep_for(100 * microsecond);
            io::let_go(self, p.read);  // whoever waits moves; the number stays open for one that has not begun to
            write_byte(self, p.write, 'p');
            done->wait(self);
            io::let_go(self, p.write);
            os::raw_syscall(SYS_close, p.write);
            os::raw_syscall(SYS_close, p.read);
        }
    });
}
TEST(events, numbers_change_on_two_slots) { run({.slots = 2}, [](worker& me) { numbers_change(me, 20, 30); }); }
TEST(events, numbers_change_on_four_slots) { run({.slots = 4}, [](worker& me) { numbers_change(me, 20, 30); }); }

/// Pollers of several pipes beside readers of each.
void pollers(worker& me, int threads, int rounds) {
    auto pipes = std::make_shared<std::vector<pipe_ends>>();
    for (int i = 0; i < 4; ++i) pipes->push_back(open_pipe());
    make_crowd(me, threads, [pipes, rounds](worker& self, int i) {
        for (int round = 0; round < rounds; ++round) {
            if (i % 3 == 0) {
                write_byte(self, (*pipes)[self.below(4)].write, 'x');
                continue;
            }
            std::array<io::waiter, 4> waiters;
            for (std::size_t k = 0; k < 4; ++k) {
                waiters[k].number.store((*pipes)[k].read);
                waiters[k].wanted = POLLIN;
            }
            (void)io::wait_for_any(self, waiters.data(), 4, os::now() + self.below(300'000));
            if (i % 3 == 1) continue;
            char byte = 0;
            (void)read_byte(self, (*pipes)[self.below(4)].read, byte, os::now());
        }
    });
}
TEST(events, pollers_on_two_slots) { run({.slots = 2}, [](worker& me) { pollers(me, 60, 150); }); }
TEST(events, pollers_on_four_slots) { run({.slots = 4}, [](worker& me) { pollers(me, 60, 150); }); }

}  // namespace
