// SPDX-License-Identifier: BSL-1.0
// Marks the functions by which the library replaces libc's. The list of all is posix/exports.map.
#pragma once

#define WEFT_EXPORT extern "C" [[gnu::visibility("default")]]
