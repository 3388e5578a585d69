// SPDX-License-Identifier: BSL-1.0
// The same program (port.hpp) with namespace std and with namespace weft: what it saw.
#pragma once
#include <string>

std::string port_with_std();
std::string port_with_weft();
