# SPDX-License-Identifier: BSL-1.0
# A public header as doxygen shall read it, line by line the same (Doxyfile.in).

# The comment that opens a header is the page of that file; what it indents is code.
1s,^// SPDX.*,/// \\file,
2,/^#pragma once/ {
  s,^//   ,///     ,
  s,^//\([^/]\|$\),///\1,
}
# In prose <T> is no HTML, and ::read not ours.
/^ *\/\/\/ / {
  /^\/\/\/     /! {
    s,<\([A-Za-z_]\),\\<\1,g
    s,\([ (]\)::\([a-z]\),\1\\::\2,g
  }
}

# Of what is not for programs only the base class of thread and fiber is shown: it has half of what they can.
/^namespace detail {$/,/^}  \/\/ namespace detail$/ {
  /namespace detail/b
  /^class joinable_handle/,/^};/ {
    s/^ protected:/ private:/
    b
  }
  /^\/\/\/ What threads and fibers have in common/b
  s/.*//
}
