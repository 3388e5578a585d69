// SPDX-License-Identifier: BSL-1.0
// The server's threads: one accepts, one serves each connection, a few work, one logs. Every hand-over is a mutex and a condition
// variable; every wait for the network is a blocking call.
#include "server.hpp"

#include <exception>

#include "threads.hpp"

namespace connections {
namespace {

socket_fd listen_on_loopback() {
  socket_fd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (listener.get() < 0) throw_errno("socket");
  const sockaddr_in address = loopback(0);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw_errno("bind");
  if (::listen(listener.get(), 4096) != 0) throw_errno("listen");
  return listener;
}

}  // namespace

server::server(std::size_t connections, std::size_t workers) : listener_{listen_on_loopback()} {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) throw_errno("getsockname");
  port_ = ntohs(address.sin_port);
  logger_ = start_thread([this] { write_log(); });
  for (std::size_t i = 0; i < workers; ++i) workers_.push_back(start_thread([this] { work(); }));
  acceptor_ = start_thread([this, connections] { accept_all(connections); });
}

server::~server() { finish(); }

void server::finish() {
  if (!acceptor_.joinable()) return;
  ::shutdown(listener_.get(), SHUT_RDWR);  // the acceptor still waits if a client never came
  acceptor_.join();
  jobs_.close();
  for (std::thread& worker : workers_) worker.join();
  log_.close();
  logger_.join();
}

void server::accept_all(std::size_t connections) {
  std::vector<std::thread> threads;
  threads.reserve(connections);
  while (threads.size() < connections) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) break;  // finish() shut the listener down, or no descriptor is left; the clients notice the latter
    threads.push_back(start_thread([this, client = socket_fd{fd}]() mutable { serve(std::move(client)); }));
    log_.put("connect");
  }
  for (std::thread& thread : threads) thread.join();
}

void server::serve(socket_fd client) try {
  message_reader reader{client};
  for (std::string request; reader.next(request);) send_all(client, answer(request));
  log_.put("disconnect");
} catch (const std::exception& e) {
  log_.put(std::string{"error: "} + e.what());
}

std::string server::answer(const std::string& request) {
  constexpr std::string_view session_header = "\r\nSession: ";
  const auto path_end = request.find(" HTTP/1.1");
  const auto session_at = request.find(session_header);
  if (!request.starts_with("GET ") || path_end == std::string::npos || session_at == std::string::npos) {
    log_.put("bad request");
    return "HTTP/1.1 400 Bad Request\r\n\r\n";
  }
  page_request job;
  job.path = request.substr(4, path_end - 4);
  job.session_id = request.substr(session_at + session_header.size());
  jobs_.put(&job);
  std::unique_lock lock{job.mutex};
  job.done.wait(lock, [&] { return job.ready; });
  return std::move(job.reply);
}

void server::work() {
  while (const auto next = jobs_.take()) {
    page_request& job = **next;
    std::string reply;
    {
      const std::lock_guard lock{sessions_mutex_};
      session& session = sessions_[job.session_id];
      session.visit(job.path);
      reply = session.reply(job.session_id);
    }
    log_.put("request");
    // Notified with the lock held: the job lives on the other thread's stack and ends as soon as that thread sees `ready`.
    const std::lock_guard lock{job.mutex};
    job.reply = std::move(reply);
    job.ready = true;
    job.done.notify_one();
  }
}

void server::write_log() {
  while (const auto line = log_.take()) ++log_counts_[*line];
}

}  // namespace connections
