// SPDX-License-Identifier: BSL-1.0
#include "core/options.hpp"

namespace weft::engine {

namespace {

/// A stretch of characters inside the list.
struct word {
  const char* begin;
  const char* end;
  [[nodiscard]] bool is(const char* s) const noexcept {
    const char* p = begin;
    while (p != end && *s != '\0' && *p == *s) ++p, ++s;
    return p == end && *s == '\0';
  }
  template <std::size_t N>
  friend text<N>& operator<<(text<N>& t, const word& w) noexcept {
    for (const char* p = w.begin; p != w.end; ++p) t << *p;
    return t;
  }
};

/// Digits, with K, M or G behind them where `suffixes` allows it. False on anything else and on overflow.
enum class suffixes : bool { none, binary };
bool number(word w, suffixes allowed, std::uint64_t& value) noexcept {
  value = 0;
  const char* p = w.begin;
  for (; p != w.end && *p >= '0' && *p <= '9'; ++p) {
    if (value > (~std::uint64_t{0} - 9) / 10) return false;
    value = value * 10 + static_cast<std::uint64_t>(*p - '0');
  }
  if (p == w.begin) return false;
  if (p == w.end) return true;
  if (allowed == suffixes::none || p + 1 != w.end) return false;
  const int shift = *p == 'K' || *p == 'k' ? 10 : *p == 'M' || *p == 'm' ? 20 : *p == 'G' || *p == 'g' ? 30 : 0;
  if (shift == 0 || value > (~std::uint64_t{0} >> shift)) return false;
  value <<= shift;
  return true;
}

class parser {
 public:
  parser(options& out, text<400>& mistake) noexcept : out_(out), mistake_(mistake) {}

  bool take(word key, word value) noexcept {
    std::uint64_t n = 0;
    if (key.is("model")) return one_of(key, value, out_.threads, {{"m:n", model::many_to_many}, {"n:1", model::many_to_one}, {"1:1", model::one_to_one}});
    if (key.is("parallelism")) {
      if (!in_range(key, value, suffixes::none, 1, options::most_parallelism, n)) return false;
      out_.parallelism = static_cast<std::uint32_t>(n);
    } else if (key.is("stack-size")) {
      if (!in_range(key, value, suffixes::binary, options::smallest_stack, options::biggest_stack, n)) return false;
      out_.stack_bytes = n;
    } else if (key.is("slice")) {
      if (!in_range(key, value, suffixes::none, 1, options::longest_slice_ms, n)) return false;
      out_.slice_ms = static_cast<std::uint32_t>(n);
    } else if (key.is("carriers")) {
      if (!in_range(key, value, suffixes::none, 2, options::most_carriers, n)) return false;
      out_.carriers = static_cast<std::uint32_t>(n);
    } else if (key.is("stats")) {
      return one_of(key, value, out_.stats, {{"0", false}, {"1", true}});
    } else if (key.is("fsgsbase")) {
      return one_of(key, value, out_.fsgsbase, {{"off", false}, {"auto", true}});
    } else if (key.is("membarrier")) {
      return one_of(key, value, out_.membarrier, {{"off", false}, {"auto", true}});
    } else if (key.is("glibc")) {
      return one_of(key, value, out_.glibc_unknown, {{"auto", false}, {"unknown", true}});
    } else if (key.is("guard")) {
      using guard = options::guard_choice;
      return one_of(key, value, out_.guard, {{"auto", guard::best}, {"mprotect", guard::protect}, {"none", guard::none}});
    } else if (key.is("io")) {
      using io = options::io_choice;
      return one_of(key, value, out_.io, {{"auto", io::best}, {"epoll", io::epoll}, {"uring", io::uring}});
    } else if (key.is("deadlock")) {
      using deadlock = options::deadlock_choice;
      return one_of(key, value, out_.deadlock, {{"exit", deadlock::exit}, {"report", deadlock::report}, {"off", deadlock::off}});
    } else if (key.is("stats-file")) {
      return take_path(value);
    } else {
      mistake_ << "unknown key '" << key
               << "' (known: model, parallelism, stack-size, slice, stats, stats-file, carriers, guard, fsgsbase, "
                  "membarrier, glibc, io, deadlock)";
      return false;
    }
    return true;
  }

 private:
  bool in_range(word key, word value, suffixes allowed, std::uint64_t low, std::uint64_t high,
                std::uint64_t& n) noexcept {
    if (number(value, allowed, n) && n >= low && n <= high) return true;
    mistake_ << key << '=' << value << ": wanted a number from " << low << " to " << high;
    return false;
  }

  template <class T>
  struct choice {
    const char* name;
    T value;
  };
  template <class T, std::size_t N>
  bool one_of(word key, word value, T& result, const choice<T> (&list)[N]) noexcept {
    for (const choice<T>& c : list) {
      if (!value.is(c.name)) continue;
      result = c.value;
      return true;
    }
    mistake_ << key << '=' << value << ": wanted " << list[0].name;
    for (std::size_t i = 1; i < N; ++i) mistake_ << (i + 1 < N ? ", " : " or ") << list[i].name;
    return false;
  }

  bool take_path(word value) noexcept {
    std::size_t n = 0;
    for (const char* p = value.begin; p != value.end; ++p) {
      if (n + 1 == sizeof out_.stats_file) {
        mistake_ << "stats-file: a path of at most " << sizeof out_.stats_file - 1 << " bytes is wanted";
        return false;
      }
      out_.stats_file[n++] = *p;
    }
    out_.stats_file[n] = '\0';
    return true;
  }

  options& out_;
  text<400>& mistake_;
};

}  // namespace

bool parse_options(const char* list, options& out, text<400>& mistake) noexcept {
  parser p(out, mistake);
  while (list != nullptr && *list != '\0') {
    word key{list, list};
    while (*key.end != '\0' && *key.end != '=' && *key.end != ',') ++key.end;
    word value{key.end, key.end};
    if (*key.end == '=') value.begin = value.end = key.end + 1;
    while (*value.end != '\0' && *value.end != ',') ++value.end;
    if (*key.end != '=' && key.begin != key.end) {
      mistake << "'" << key << "' has no value (wanted key=value,key=value)";
      return false;
    }
    if (key.begin != value.end && !p.take(key, value)) return false;
    list = *value.end == ',' ? value.end + 1 : value.end;
  }
  if (out.threads == model::many_to_one && out.parallelism > 1) {
    mistake << "model=n:1 runs one thread at a time: parallelism=" << std::uint64_t{out.parallelism} << " contradicts it";
    return false;
  }
  return true;
}

const char* name_of(model m) noexcept {
  switch (m) {
    case model::many_to_many:
      return "m:n";
    case model::many_to_one:
      return "n:1";
    case model::one_to_one:
      return "1:1";
  }
  return "?";
}

}  // namespace weft::engine
