// SPDX-License-Identifier: BSL-1.0
// Builds a short line of text in a fixed buffer: for messages from places where neither malloc nor stdio may be used
// (signal handlers, the exit path, start-up before constructors). What does not fit is cut, never written beyond.
#pragma once
#include <cstddef>
#include <cstdint>

namespace weft::engine {

template <std::size_t Size>
class text {
 public:
  text& operator<<(const char* s) noexcept {
    while (s != nullptr && *s != '\0') put(*s++);
    return *this;
  }
  text& operator<<(char c) noexcept {
    put(c);
    return *this;
  }
  text& operator<<(std::uint64_t value) noexcept {
    char digits[20];
    int n = 0;
    do {
      digits[n++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (n > 0) put(digits[--n]);
    return *this;
  }
  text& operator<<(int value) noexcept {
    if (value < 0) put('-');
    return *this << static_cast<std::uint64_t>(value < 0 ? -static_cast<std::int64_t>(value) : value);
  }
  text& hex(std::uint64_t value) noexcept {
    *this << "0x";
    int shift = 60;
    while (shift > 0 && (value >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) put("0123456789abcdef"[(value >> shift) & 15]);
    return *this;
  }
  [[nodiscard]] const char* data() const noexcept { return buffer_; }
  [[nodiscard]] std::size_t size() const noexcept { return used_; }
  [[nodiscard]] const char* c_str() noexcept {
    buffer_[used_] = '\0';
    return buffer_;
  }

 private:
  void put(char c) noexcept {
    if (used_ < Size) buffer_[used_++] = c;
  }
  char buffer_[Size + 1];
  std::size_t used_ = 0;
};

}  // namespace weft::engine
