// SPDX-License-Identifier: BSL-1.0
#include "weft/weft.hpp"

namespace sut = weft;
#define PORT port_with_weft
#include "port.hpp"
