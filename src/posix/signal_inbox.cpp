// SPDX-License-Identifier: BSL-1.0
#include "posix/signal_inbox.hpp"

#include <new>

#include "os/memory.hpp"
#include "os/signal_mask.hpp"

namespace weft::engine::posix {

namespace {

// The pool: chunks that are never unmapped, and a stack of free notes. Its head carries a count of pops, so that a note
// that was taken and came back in between is told apart.
constexpr std::uint32_t chunk_notes = 256;
constexpr std::uint32_t most_chunks = 4096;
constinit atomic<signal_note*> chunks[most_chunks]{};
constinit atomic<std::uint32_t> chunks_made{0};
constinit atomic<std::uint64_t> free_head{0};  // pops << 32 | number of the first note, 0: none
constinit std::uint32_t chunk_limit = most_chunks;

signal_note& note_at(std::uint32_t number) noexcept {
  // [notes-1] acquire: the chunk was written by whoever made it.
  return chunks[(number - 1) / chunk_notes].load(memory_order::acquire)[(number - 1) % chunk_notes];
}

void push_free(std::uint32_t first, signal_note& last) noexcept {
  std::uint64_t head = free_head.load(memory_order::relaxed);  // relaxed: the exchange decides
  do {
    last.next_free.store(static_cast<std::uint32_t>(head), memory_order::relaxed);  // relaxed: published by the exchange
    // [notes-1] release: what was written to the notes comes before they are free.
  } while (!free_head.compare_exchange_weak(head, (head >> 32 << 32) | first, memory_order::release,
                                            memory_order::relaxed));  // relaxed: retry
}

/// False: there are as many as there may be, or no memory.
bool make_chunk() noexcept {
  auto* memory = static_cast<signal_note*>(os::map(sizeof(signal_note) * chunk_notes));
  if (memory == nullptr) return false;
  for (;;) {
    std::uint32_t made = chunks_made.load(memory_order::relaxed);  // relaxed: the exchanges decide
    signal_note* none = nullptr;
    if (made >= chunk_limit) {
      os::unmap(memory, sizeof(signal_note) * chunk_notes);
      return false;
    }
    for (std::uint32_t i = 0; i < chunk_notes; ++i) {
      new (&memory[i]) signal_note;
      memory[i].number = made * chunk_notes + i + 1;
      memory[i].next_free.store(memory[i].number + 1, memory_order::relaxed);  // relaxed: published by push_free
    }
    // [notes-1] release: as in note_at.
    const bool ours = chunks[made].compare_exchange_strong(none, memory, memory_order::release, memory_order::relaxed);  // relaxed: lost
    // Whoever lost helps to count: the winner may be the code that this very handler interrupted.
    chunks_made.compare_exchange_strong(made, made + 1, memory_order::relaxed);  // relaxed: chunks order themselves
    if (ours) {
      push_free(memory[0].number, memory[chunk_notes - 1]);
      return true;
    }
  }
}

signal_note* take_free() noexcept {
  for (;;) {
    std::uint64_t head = free_head.load(memory_order::acquire);  // [notes-1]
    const auto number = static_cast<std::uint32_t>(head);
    if (number == 0) {
      if (!make_chunk()) return nullptr;
      continue;
    }
    signal_note& note = note_at(number);
    const std::uint32_t next = note.next_free.load(memory_order::relaxed);  // relaxed: the exchange checks that it holds
    // [notes-1] acquire: the note as its last user left it.
    if (free_head.compare_exchange_weak(head, ((head >> 32) + 1) << 32 | next, memory_order::acquire,
                                        memory_order::relaxed))  // relaxed: retry
      return &note;
  }
}

bool is_standard(int signal) noexcept { return signal < 32; }

}  // namespace

void limit_signal_notes(std::uint64_t most) noexcept {
  const std::uint64_t wanted = most / chunk_notes + 1;
  chunk_limit = wanted < most_chunks ? static_cast<std::uint32_t>(wanted) : most_chunks;
}

void give_back(signal_note& note) noexcept { push_free(note.number, note); }

bool signal_inbox::post(int signal, const siginfo_t& info) noexcept {
  const std::uint64_t bit = os::signal_bit(signal);
  // [inbox-1] seq_cst: who finds the bit set leaves the rest to who set it; and see thread_opened in signal_routing.
  if (is_standard(signal) && (held_.fetch_or(bit, memory_order::seq_cst) & bit) != 0) return true;
  signal_note* note = take_free();
  if (note == nullptr) {
    if (!is_standard(signal)) return false;
    bare_.fetch_or(bit, memory_order::seq_cst);  // [inbox-1]
    return true;
  }
  note->info = info;
  note->info.si_signo = signal;
  note->process = process_;
  push(*note);
  return true;
}

void signal_inbox::push(signal_note& note) noexcept {
  signal_note* head = incoming_.load(memory_order::relaxed);  // relaxed: the exchange decides
  do {
    note.next = head;
    // [inbox-1] The note is whole before it can be found. seq_cst: the sender looks at the receiver's mask after it.
  } while (!incoming_.compare_exchange_weak(head, &note, memory_order::seq_cst, memory_order::relaxed));  // relaxed: retry
}

void signal_inbox::insert(signal_note& note) noexcept {
  const int signal = note.info.si_signo;
  if (last_ == nullptr || last_->info.si_signo <= signal) {
    note.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &note;
    last_ = &note;
    return;
  }
  signal_note** link = &first_;
  while ((*link)->info.si_signo <= signal) link = &(*link)->next;
  note.next = *link;
  *link = &note;
}

/// Takes what came in, behind what is in newly_.
void signal_inbox::collect() noexcept {
  signal_note** end = &newly_;
  while (*end != nullptr) end = &(*end)->next;
  // [inbox-1] The exchange takes everything at once; what comes later finds an empty stack.
  signal_note* newest = incoming_.exchange(nullptr, memory_order::seq_cst);
  signal_note* oldest = nullptr;
  while (newest != nullptr) {
    signal_note* before = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = before;
  }
  *end = oldest;
  if (bare_.load(memory_order::relaxed) == 0) [[likely]] return;  // relaxed: the exchange below orders
  for (std::uint64_t bits = bare_.exchange(0, memory_order::seq_cst); bits != 0; bits &= bits - 1) {  // [inbox-1]
    signal_note* note = take_free();
    if (note == nullptr) {
      bare_.fetch_or(bits, memory_order::seq_cst);  // [inbox-1] later, then
      return;
    }
    note->info = {};
    note->info.si_signo = __builtin_ctzll(bits) + 1;
    note->process = process_;
    note->next = newly_;
    newly_ = note;
  }
}

signal_note* signal_inbox::take_newly() noexcept {
  if (newly_ == nullptr) collect();
  signal_note* note = newly_;
  if (note != nullptr) newly_ = note->next;
  return note;
}

void signal_inbox::sort() noexcept {
  collect();
  while (newly_ != nullptr) {
    signal_note* note = newly_;
    newly_ = note->next;
    insert(*note);
  }
}

signal_note* signal_inbox::unlink(signal_note* before, signal_note& note) noexcept {
  (before != nullptr ? before->next : first_) = note.next;
  if (last_ == &note) last_ = before;
  return &note;
}

signal_note* signal_inbox::take(std::uint64_t wanted) noexcept {
  signal_note* before = nullptr;
  for (signal_note* note = first_; note != nullptr; before = note, note = note->next) {
    if ((os::signal_bit(note->info.si_signo) & wanted) == 0) continue;
    if (!note->process) settle(*note);
    return unlink(before, *note);
  }
  return nullptr;
}

signal_note* signal_inbox::take_shared(std::uint64_t wanted) noexcept {
  signal_note* before = nullptr;
  for (signal_note* note = first_; note != nullptr; before = note, note = note->next)
    if (note->process && (os::signal_bit(note->info.si_signo) & wanted) != 0) return unlink(before, *note);
  return nullptr;
}

void signal_inbox::settle(const signal_note& note) noexcept {
  if (!is_standard(note.info.si_signo)) return;
  held_.fetch_and(~os::signal_bit(note.info.si_signo), memory_order::seq_cst);  // [inbox-1] from now on it can come again
}

std::uint64_t signal_inbox::pending() const noexcept {
  std::uint64_t bits = 0;
  for (const signal_note* note = first_; note != nullptr; note = note->next) bits |= os::signal_bit(note->info.si_signo);
  return bits;
}

void signal_inbox::clear() noexcept {
  sort();
  while (signal_note* note = take(~std::uint64_t{0})) give_back(*note);
  held_.store(0, memory_order::relaxed);  // relaxed: nobody else knows the inbox now
}

}  // namespace weft::engine::posix
