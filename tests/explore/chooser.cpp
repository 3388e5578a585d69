// SPDX-License-Identifier: BSL-1.0
//
// The three searches of chooser.hpp. Replays are the same searches started at one schedule: a seed for the two random ones, the list of
// picks for the exhaustive one.
#include "explore/chooser.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <random>
#include <set>
#include <utility>

namespace weft::engine::explore {
namespace {

/// splitmix64: small, seedable by any number, the same on every machine (std distributions are not).
class dice {
public:
    explicit dice(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31U);
    }
    std::size_t below(std::size_t bound) { return bound == 0 ? 0 : static_cast<std::size_t>(next() % bound); }
    bool one_in(std::size_t n) { return below(n) == 0; }

private:
    std::uint64_t state_;
};

/// What the two random searches share: schedule i of a search is fully named by the number seed + i.
class seeded : public chooser {
public:
    explicit seeded(std::uint64_t seed) : first_(seed) {}
    bool next_schedule() override {
        current_ = first_ + count_++;
        dice_ = dice{current_};
        begin();
        return true;
    }
    std::size_t below(std::size_t bound) override { return dice_.below(bound); }
    bool trouble() override { return dice_.one_in(24); }

protected:
    virtual void begin() = 0;
    dice dice_{0};
    std::uint64_t current_ = 0;

private:
    std::uint64_t first_;
    std::uint64_t count_ = 0;
};

class random_walk final : public seeded {
public:
    using seeded::seeded;
    std::size_t pick(std::span<const action> options) override {
        std::size_t total = 0;
        for (const action& a : options) total += weight(a);
        std::size_t at = dice_.below(total);
        for (std::size_t i = 0; i < options.size(); ++i) {
            if (at < weight(options[i])) return i;
            at -= weight(options[i]);
        }
        return options.size() - 1;
    }
    bool store_lingers() override { return !dice_.one_in(4); }
    [[nodiscard]] std::string token() const override { return "random:" + std::to_string(current_); }

private:
    void begin() override {
        stay_ = std::size_t{4} << dice_.below(6);
        drain_ = std::size_t{1} << dice_.below(6);
        tick_ = std::size_t{1} << dice_.below(4);
    }
    [[nodiscard]] std::size_t weight(const action& a) const {
        if (a.what == action::kind::drain) return drain_;
        if (a.what == action::kind::tick) return tick_;
        return a.preempts ? 8 : stay_;
    }
    std::size_t stay_ = 8;
    std::size_t drain_ = 8;
    std::size_t tick_ = 1;
};

/// Each buffer and the clock have a priority of their own, as if they were threads.
class pct final : public seeded {
public:
    pct(std::uint64_t seed, unsigned bug_depth) : seeded(seed), bug_depth_(bug_depth) {}
    std::size_t pick(std::span<const action> options) override {
        ++step_;
        std::size_t best = highest(options);
        const bool change = change_at_.contains(step_);
        // Whoever is at the top of a very long schedule may be waiting, in a loop, for somebody who never gets the processor.
        if (change || step_ % patience == 0) {
            priority_[id(options[best])] = --lowest_;
            best = highest(options);
        }
        return best;
    }
    bool store_lingers() override { return true; }
    [[nodiscard]] std::string token() const override {
        return "pct:" + std::to_string(current_) + ":" + std::to_string(horizon_);
    }
    void set_horizon(std::size_t steps) { longest_ = steps; }

private:
    using key = std::pair<action::kind, unsigned>;
    static key id(const action& a) { return {a.what, a.what == action::kind::tick ? 0 : a.thread}; }
    std::size_t highest(std::span<const action> options) {
        std::size_t best = 0;
        for (std::size_t i = 1; i < options.size(); ++i) {
            if (priority_of(options[i]) > priority_of(options[best])) best = i;
        }
        return best;
    }
    long priority_of(const action& a) {
        const auto found = priority_.find(id(a));
        if (found != priority_.end()) return found->second;
        const long fresh = static_cast<long>(dice_.below(1000000));
        priority_.emplace(id(a), fresh);
        return fresh;
    }
    void begin() override {
        horizon_ = longest_ = std::max({longest_, step_, std::size_t{20}});
        step_ = 0;
        lowest_ = 0;
        priority_.clear();
        change_at_.clear();
        for (unsigned i = 1; i < bug_depth_; ++i) change_at_.insert(1 + dice_.below(horizon_));
    }
    unsigned bug_depth_;
    std::size_t longest_ = 0;
    std::size_t horizon_ = 0;
    std::size_t step_ = 0;
    static constexpr std::size_t patience = 300;
    long lowest_ = 0;
    std::map<key, long> priority_;
    std::set<std::size_t> change_at_;
};

/// Replays a prefix of picks, takes the first allowed entry beyond it, and afterwards moves the last pick that has a successor.
class exhaustive final : public chooser {
public:
    explicit exhaustive(unsigned budget) : budget_(budget) {}
    exhaustive(unsigned budget, std::vector<std::size_t> prefix) : budget_(budget), only_once_(true) {
        for (const std::size_t p : prefix) path_.push_back({p, p + 1});
    }
    bool next_schedule() override {
        if (started_) {
            if (only_once_) return false;
            path_.resize(depth_);
            while (!path_.empty() && path_.back().taken + 1 >= path_.back().of) path_.pop_back();
            if (path_.empty()) return false;
            ++path_.back().taken;
        }
        started_ = true;
        depth_ = 0;
        spent_ = 0;
        return true;
    }
    std::size_t pick(std::span<const action> options) override {
        // Deviations that no longer fit are left out; they come last, so the others keep their numbers along one prefix.
        std::vector<std::size_t> allowed;
        for (std::size_t i = 0; i < options.size(); ++i) {
            if (!options[i].preempts || spent_ < budget_) allowed.push_back(i);
        }
        const std::size_t chosen = allowed[std::min(branch(allowed.size()), allowed.size() - 1)];
        if (options[chosen].preempts) ++spent_;
        return chosen;
    }
    bool store_lingers() override {
        if (spent_ >= budget_ || branch(2) == 0) return false;
        ++spent_;
        return true;
    }
    std::size_t below(std::size_t bound) override { return branch(bound); }
    bool trouble() override { return false; }
    [[nodiscard]] std::string token() const override {
        std::string text = "dfs:";
        for (std::size_t i = 0; i < depth_ && i < path_.size(); ++i) text += (i == 0 ? "" : ".") + std::to_string(path_[i].taken);
        return text;
    }

private:
    struct step {
        std::size_t taken;
        std::size_t of;
    };
    std::size_t branch(std::size_t of) {
        if (of <= 1) return 0;
        if (depth_ == path_.size()) path_.push_back({0, of});
        step& here = path_[depth_++];
        here.of = of;
        return here.taken;
    }
    unsigned budget_;
    bool only_once_ = false;
    bool started_ = false;
    std::size_t depth_ = 0;
    unsigned spent_ = 0;
    std::vector<step> path_;
};

std::vector<std::uint64_t> numbers(const std::string& text, char separator) {
    std::vector<std::uint64_t> found;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
        std::uint64_t value = 0;
        const auto [stop, error] = std::from_chars(at, end, value);
        if (error != std::errc{}) break;
        found.push_back(value);
        at = stop < end && *stop == separator ? stop + 1 : end;
    }
    return found;
}

}  // namespace

std::unique_ptr<chooser> make_random_walk(std::uint64_t seed) { return std::make_unique<random_walk>(seed); }
std::unique_ptr<chooser> make_pct(std::uint64_t seed, unsigned bug_depth) { return std::make_unique<pct>(seed, bug_depth); }
std::unique_ptr<chooser> make_exhaustive(unsigned budget) { return std::make_unique<exhaustive>(budget); }

std::unique_ptr<chooser> make_replay(const std::string& token, unsigned bug_depth, unsigned budget) {
    const std::size_t colon = token.find(':');
    if (colon == std::string::npos) return nullptr;
    const std::string how = token.substr(0, colon);
    const std::string rest = token.substr(colon + 1);
    if (how == "dfs") {
        const auto picks = numbers(rest, '.');
        return std::make_unique<exhaustive>(budget, std::vector<std::size_t>(picks.begin(), picks.end()));
    }
    const auto parts = numbers(rest, ':');
    if (how == "random" && parts.size() == 1) return make_random_walk(parts[0]);
    if (how == "pct" && parts.size() == 2) {
        auto search = std::make_unique<pct>(parts[0], bug_depth);
        search->set_horizon(parts[1]);
        return search;
    }
    return nullptr;
}

}  // namespace weft::engine::explore
