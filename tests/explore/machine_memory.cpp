// SPDX-License-Identifier: BSL-1.0
//
// The memory of the virtual machine: store buffers (explorer.hpp, I2) and the futex, which is a wait on a word of that memory.
#include "explore/machine.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace weft::engine::explore {
namespace {
constexpr std::size_t buffer_entries = 8;
}

void machine::read(const volatile void* object, void* out, std::size_t size) {
    const auto& buffer = running_->buffer;
    const auto own = std::find_if(buffer.rbegin(), buffer.rend(), [object](const pending_store& s) { return s.object == object; });
    if (own != buffer.rend()) {
        std::memcpy(out, own->bytes.data(), size);
    } else {
        std::memcpy(out, const_cast<const void*>(object), size);
    }
}

void machine::store(volatile void* object, const void* value, std::size_t size) {
    auto& buffer = running_->buffer;
    if (size > sizeof(pending_store::bytes) || (buffer.empty() && !chooser_.store_lingers())) {
        flush();
        write(object, value, size);
        return;
    }
    if (buffer.size() >= buffer_entries) drain_one(*running_);
    pending_store s{object, {}, size};
    std::memcpy(s.bytes.data(), value, size);
    buffer.push_back(s);
}

void machine::write(volatile void* object, const void* value, std::size_t size) {
    if (std::memcmp(const_cast<const void*>(object), value, size) == 0) return;
    std::memcpy(const_cast<void*>(object), value, size);
    ++changes_;
}

void machine::drain_one(fiber& f) {
    const pending_store s = f.buffer.front();
    f.buffer.pop_front();
    write(s.object, s.bytes.data(), s.size);
    record(f.number, "drain", s.object);
    std::uint64_t shown = 0;
    std::memcpy(&shown, s.bytes.data(), std::min(s.size, sizeof(shown)));
    note(shown);
}

void machine::flush(fiber& f) {
    while (!f.buffer.empty()) {
        const pending_store s = f.buffer.front();
        f.buffer.pop_front();
        write(s.object, s.bytes.data(), s.size);
    }
}

void machine::flush() { flush(*running_); }

void machine::flush_all() {
    for (auto& f : fibers_) flush(*f);
}

int machine::futex_wait(const volatile void* word, std::uint32_t expected, std::int64_t deadline) {
    point("futex_wait", word);
    flush();
    std::uint32_t value = 0;
    std::memcpy(&value, const_cast<const void*>(word), sizeof(value));
    note(value);
    if (value != expected) return -EAGAIN;
    if (chooser_.trouble()) return -EINTR;
    sleeper me{word, false};
    sleepers_.push_back(&me);
    const auto until = deadline < 0 ? std::nullopt : std::optional{std::chrono::nanoseconds{deadline}};
    const std::function<bool()> woken = [&me] { return me.woken; };
    block(woken, until, "futex_wait");
    std::erase(sleepers_, &me);
    return me.woken ? 0 : -ETIMEDOUT;
}

void machine::futex_wake(const volatile void* word, int count) {
    point("futex_wake", word);
    flush();
    for (; count > 0; --count) {
        std::vector<sleeper*> asleep;
        for (sleeper* s : sleepers_) {
            if (s->word == word && !s->woken) asleep.push_back(s);
        }
        if (asleep.empty()) return;
        asleep[chooser_.below(asleep.size())]->woken = true;
        ++changes_;
    }
}

void machine::forget(const volatile void* object) {
    for (auto& f : fibers_) {
        const auto dead = std::remove_if(f->buffer.begin(), f->buffer.end(), [object](const pending_store& s) { return s.object == object; });
        const bool had = dead != f->buffer.end();
        f->buffer.erase(dead, f->buffer.end());
        if (had && f.get() != running_) fail("an object died while a store of " + f->name + " to it was still on its way");
    }
}

}  // namespace weft::engine::explore
