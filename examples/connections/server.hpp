// SPDX-License-Identifier: BSL-1.0
// A server with a thread per connection, shaped like the ones people run: the connection thread reads and parses, a small pool
// of workers does the requests on a session table under one lock, a log thread counts what happened.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "net.hpp"

namespace connections {

/// Many threads put in, many take out; take() waits, and gives nothing once the queue is closed and empty.
template <class T>
class blocking_queue {
 public:
  void put(T item) {
    {
      const std::lock_guard lock{mutex_};
      items_.push_back(std::move(item));
    }
    not_empty_.notify_one();
  }
  std::optional<T> take() {
    std::unique_lock lock{mutex_};
    not_empty_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    T item = std::move(items_.front());
    items_.pop_front();
    return item;
  }
  void close() {
    {
      const std::lock_guard lock{mutex_};
      closed_ = true;
    }
    not_empty_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable not_empty_;
  std::deque<T> items_;
  bool closed_ = false;
};

/// What the server tells a client about its session; the client works the same out for itself and compares.
struct session {
  std::uint64_t visits = 0;
  std::uint64_t digest = 14695981039346656037ull;  ///< FNV-1a over every path visited, in order.

  void visit(std::string_view path) {
    ++visits;
    for (const char c : path) digest = (digest ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  }
  std::string reply(std::string_view id) const {
    return "HTTP/1.1 200 OK\r\nSession: " + std::string{id} + "\r\nVisits: " + std::to_string(visits) +
           "\r\nDigest: " + std::to_string(digest) + "\r\n\r\n";
  }
};

class server {
 public:
  server(std::size_t connections, std::size_t workers);
  ~server();

  std::uint16_t port() const { return port_; }
  /// Takes no more connections and waits until those it has are gone.
  void finish();
  /// Lines the log thread counted, by kind. Valid after finish().
  const std::map<std::string, std::uint64_t>& log() const { return log_counts_; }

 private:
  struct page_request {
    std::string session_id, path, reply;
    std::mutex mutex;
    std::condition_variable done;
    bool ready = false;
  };

  void accept_all(std::size_t connections);
  void serve(socket_fd client);
  std::string answer(const std::string& request);
  void work();
  void write_log();

  socket_fd listener_;
  std::uint16_t port_ = 0;
  blocking_queue<page_request*> jobs_;
  blocking_queue<std::string> log_;
  std::mutex sessions_mutex_;
  std::unordered_map<std::string, session> sessions_;
  std::map<std::string, std::uint64_t> log_counts_;  ///< Only the log thread writes.
  std::thread acceptor_, logger_;
  std::vector<std::thread> workers_;
};

}  // namespace connections
