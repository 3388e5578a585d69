// SPDX-License-Identifier: BSL-1.0
// A race that shows only if two things happen at the wrong time, found by seed and played again: two withdrawals look at the balance before either takes the money.
//
//   seeded_race               tries seeds until one fails, and says which
//   WEFT_SEED=n seeded_race   does what seed n did, as often as you like
#include <cstdio>
#include <stdexcept>

#include <weft/weft.hpp>

using namespace std::chrono_literals;

namespace {

class account {
 public:
  bool withdraw(int amount) {
    if (balance() < amount) return false;
    weft::this_thread::sleep_for(1h);  // asks the bank; takes no time here
    const std::lock_guard hold(lock_);
    euros_ -= amount;  // the mistake: the balance may be another by now
    return true;
  }
  int balance() {
    const std::lock_guard hold(lock_);
    return euros_;
  }

 private:
  weft::mutex lock_;
  int euros_ = 100;
};

void test() {
  account a;
  weft::thread one([&] { a.withdraw(80); });
  weft::thread two([&] {
    weft::this_thread::sleep_for(1h);
    a.withdraw(80);
  });
  one.join();
  two.join();
  if (a.balance() < 0) throw std::runtime_error("the account is overdrawn");
}

}  // namespace

int main() try {
  weft::with_seeds(10'000, test);
  std::puts("no seed fails");
} catch (const std::exception& failure) {
  std::printf("%s\n", failure.what());
  return 1;
}
