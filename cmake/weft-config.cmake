# SPDX-License-Identifier: BSL-1.0
# find_package(weft): weft::weft is the shared library, weft::static the other one.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/weft-targets.cmake)
