// SPDX-License-Identifier: BSL-1.0
// A queue in one piece of memory that grows when it must and is kept. Not for programs.
#pragma once
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace weft::detail {

template <class T>
class ring {
 public:
  ring() = default;
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring() {
    while (size_ != 0) pop();
    release(memory_);
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T& front() noexcept { return memory_[first_]; }
  /// Strong guarantee. Allocates only when it is fuller than ever before.
  void push(T&& value) {
    if (size_ == room_) grow();
    ::new (static_cast<void*>(memory_ + ((first_ + size_) & (room_ - 1)))) T(std::move(value));
    ++size_;
  }
  void pop() noexcept {
    memory_[first_].~T();
    first_ = (first_ + 1) & (room_ - 1);
    --size_;
  }

 private:
  static T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{alignof(T)})); }
  static void release(T* memory) noexcept { ::operator delete(memory, std::align_val_t{alignof(T)}); }
  void grow() {
    const std::size_t more = room_ == 0 ? 4 : room_ * 2;
    T* fresh = allocate(more);
    std::size_t moved = 0;
    try {
      for (; moved < size_; ++moved)
        ::new (static_cast<void*>(fresh + moved)) T(std::move_if_noexcept(memory_[(first_ + moved) & (room_ - 1)]));
    } catch (...) {
      while (moved > 0) fresh[--moved].~T();
      release(fresh);
      throw;
    }
    for (std::size_t i = 0; i < size_; ++i) memory_[(first_ + i) & (room_ - 1)].~T();
    release(memory_);
    memory_ = fresh;
    room_ = more;
    first_ = 0;
  }

  T* memory_ = nullptr;
  std::size_t room_ = 0, first_ = 0, size_ = 0;  // room_ is a power of two, or 0
};

}  // namespace weft::detail
