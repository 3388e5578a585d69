// SPDX-License-Identifier: BSL-1.0
// select: a logger that waits for messages, for the next full tick, and for the end, whichever comes first. With clock and sleeps of a seeded runtime
// the five seconds pass at once.
#include <cstdio>
#include <string>

#include <weft/weft.hpp>

using namespace std::chrono_literals;

namespace {

void log(weft::channel<std::string>& messages, std::stop_token stop) {
  auto next = weft::clock::now() + 1s;
  int since_tick = 0;
  for (bool more = true; more;)
    weft::select(weft::on_receive(messages,
                                  [&](std::optional<std::string> text) {
                                    if (!text) return void(more = false);
                                    ++since_tick;
                                    if (text->back() == '0') std::printf("%s\n", text->c_str());
                                  }),
                 weft::on_deadline(next,
                                   [&] {
                                     std::printf("tick: %d messages\n", since_tick);
                                     since_tick = 0;
                                     next += 1s;
                                   }),
                 weft::on_stop(stop, [&] { more = false; }));
  std::puts("end");
}

}  // namespace

int main() {
  weft::runtime quick({.order = weft::scheduling::seeded, .seed = 1});
  quick.run([] {
    weft::channel<std::string> messages(8);
    weft::jthread logger([&](std::stop_token stop) { log(messages, std::move(stop)); });
    for (int i = 1; i <= 40; ++i) {
      messages.send("message " + std::to_string(i));
      weft::this_thread::sleep_for(110ms);
    }
    weft::this_thread::sleep_for(1s);
    logger.request_stop();
  });
}
