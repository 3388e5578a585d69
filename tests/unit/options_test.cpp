// SPDX-License-Identifier: BSL-1.0
//
// core/options.hpp: what WEFT_OPTIONS may say, at its edges, and that a mistake is one clear line and names its key.
#include "core/options.hpp"

#include <gtest/gtest.h>
#include <string>

namespace {

using namespace weft::engine;

options good(const char* list) {
    options out;
    weft::engine::text<400> mistake;
    EXPECT_TRUE(parse_options(list, out, mistake)) << list << ": " << mistake.c_str();
    EXPECT_EQ(mistake.size(), 0U) << mistake.c_str();
    return out;
}

std::string bad(const std::string& list) {
    options out;
    weft::engine::text<400> mistake;
    EXPECT_FALSE(parse_options(list.c_str(), out, mistake)) << list;
    const std::string line = mistake.c_str();
    EXPECT_FALSE(line.empty());
    EXPECT_EQ(line.find('\n'), std::string::npos);
    return line;
}

TEST(options, nothing_means_the_defaults) {
    for (const char* list : {static_cast<const char*>(nullptr), "", ",", ",,"}) {
        const options o = good(list);
        EXPECT_EQ(o.threads, model::many_to_many);
        EXPECT_EQ(o.parallelism, 0U);
        EXPECT_EQ(o.stack_bytes, 0U);
        EXPECT_EQ(o.slice_ms, 10U);
        EXPECT_FALSE(o.stats);
        EXPECT_STREQ(o.stats_file, "");
    }
}

TEST(options, every_key) {
    const options o = good("model=1:1,parallelism=3,stack-size=64K,slice=20,stats=1,stats-file=/tmp/a b=c.json,carriers=7,"
                           "fsgsbase=off,guard=mprotect,glibc=unknown");
    EXPECT_EQ(o.threads, model::one_to_one);
    EXPECT_EQ(o.parallelism, 3U);
    EXPECT_EQ(o.stack_bytes, 65536U);
    EXPECT_EQ(o.slice_ms, 20U);
    EXPECT_TRUE(o.stats);
    EXPECT_STREQ(o.stats_file, "/tmp/a b=c.json");
    EXPECT_EQ(o.carriers, 7U);
    EXPECT_FALSE(o.fsgsbase);
    EXPECT_EQ(o.guard, options::guard_choice::protect);
    EXPECT_TRUE(o.glibc_unknown);
    const options back = good("stats=0,fsgsbase=auto,guard=auto,glibc=auto");
    EXPECT_FALSE(back.stats);
    EXPECT_TRUE(back.fsgsbase);
    EXPECT_EQ(back.guard, options::guard_choice::best);
    EXPECT_FALSE(back.glibc_unknown);
}

TEST(options, models_by_name) {
    for (const char* name : {"m:n", "n:1", "1:1"}) {
        EXPECT_STREQ(name_of(good((std::string("model=") + name).c_str()).threads), name);
    }
}

TEST(options, the_last_one_counts) { EXPECT_EQ(good("slice=5,slice=6").slice_ms, 6U); }

TEST(options, edges_of_the_ranges) {
    EXPECT_EQ(good("parallelism=1").parallelism, 1U);
    EXPECT_EQ(good("parallelism=1024").parallelism, 1024U);
    EXPECT_EQ(good("stack-size=16384").stack_bytes, 16384U);
    EXPECT_EQ(good("stack-size=16k").stack_bytes, 16384U);
    EXPECT_EQ(good("stack-size=8M").stack_bytes, 8U << 20U);
    EXPECT_EQ(good("stack-size=1G").stack_bytes, 1U << 30U);
    EXPECT_EQ(good("slice=1").slice_ms, 1U);
    EXPECT_EQ(good("slice=10000").slice_ms, 10000U);
    EXPECT_EQ(good("carriers=2").carriers, 2U);
    EXPECT_EQ(good("carriers=32000").carriers, 32000U);
}

TEST(options, mistakes_name_their_key) {
    for (const char* list :
         {"parallelism=0", "parallelism=1025", "parallelism=1000000000", "parallelism=", "parallelism=2x", "parallelism=-1", "parallelism=+1",
          "parallelism= 1", "parallelism=18446744073709551617", "parallelism=1K", "stack-size=1", "stack-size=16383", "stack-size=16KB",
          "stack-size=99999999999G", "stack-size=K", "slice=0", "slice=10001", "slice=1.5", "carriers=1", "carriers=32001", "model=n:m",
          "model=", "model=m:n ", "stats=2", "stats=yes", "fsgsbase=on", "guard=some", "glibc=2.36"}) {
        const std::string text = list;
        const std::string key = text.substr(0, text.find('='));
        EXPECT_NE(bad(text).find(key), std::string::npos) << text;
        EXPECT_NE(bad("slice=5," + text).find(key), std::string::npos) << text;
    }
}

TEST(options, unknown_keys_and_missing_values) {
    EXPECT_NE(bad("speed=9").find("'speed'"), std::string::npos);
    EXPECT_NE(bad("Model=m:n").find("'Model'"), std::string::npos);
    EXPECT_NE(bad("stats").find("'stats'"), std::string::npos);
    bad("=1");
    bad("slice=5,,=");
}

TEST(options, contradictions) {
    bad("model=n:1,parallelism=2");
    bad("parallelism=2,model=n:1");
    EXPECT_EQ(good("model=n:1,parallelism=1").parallelism, 1U);
}

TEST(options, long_input_is_refused_or_cut_never_written_beyond) {
    const std::string fits(511, 'p');
    EXPECT_EQ(good(("stats-file=" + fits).c_str()).stats_file, fits);
    EXPECT_NE(bad("stats-file=" + fits + "p").find("stats-file"), std::string::npos);
    EXPECT_LE(bad(std::string(100'000, 'k') + "=1").size(), 400U);
}

}  // namespace
