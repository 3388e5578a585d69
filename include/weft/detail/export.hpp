// SPDX-License-Identifier: BSL-1.0
// What the library exports is marked; everything else in it is hidden.
#pragma once
#define WEFT_EXPORT __attribute__((visibility("default")))
