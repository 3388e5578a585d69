// SPDX-License-Identifier: BSL-1.0
// The switch (arch/context.hpp). What the CPU has in its control words is what we have just saved; they are loaded only if the
// next context's differ, since both loads cost more than all the rest.
#pragma once

namespace weft::engine::arch {

[[gnu::always_inline]] inline void switch_context(context& from, const context& to, std::uintptr_t thread_pointer) noexcept {
  context* save = &from;
  const context* load = &to;
  asm volatile(
      "leaq    -128(%%rsp), %%rsp\n\t"  // the red zone, of which the compiler does not tell us
      "leaq    4f(%%rip), %%rax\n\t"
      "pushq   %%rax\n\t"
      "pushq   %%rbp\n\t"
      "subq    $8, %%rsp\n\t"
      "stmxcsr (%%rsp)\n\t"
      "fnstcw  4(%%rsp)\n\t"
      "movq    %%rsp, (%%rdi)\n\t"
      "testq   %%rdx, %%rdx\n\t"
      "jz      1f\n\t"
      "wrfsbase %%rdx\n"
      "1:\n\t"
      "movl    (%%rsp), %%eax\n\t"
      "movzwl  4(%%rsp), %%ecx\n\t"
      "movq    (%%rsi), %%rsp\n\t"
      "cmpl    (%%rsp), %%eax\n\t"
      "je      2f\n\t"
      "ldmxcsr (%%rsp)\n"
      "2:\n\t"
      "cmpw    4(%%rsp), %%cx\n\t"
      "je      3f\n\t"
      "fldcw   4(%%rsp)\n"
      "3:\n\t"
      "addq    $8, %%rsp\n\t"
      "popq    %%rbp\n\t"
      "popq    %%rax\n\t"
      "jmpq    *%%rax\n"
      "4:\n\t"
      "leaq    128(%%rsp), %%rsp\n"
      : "+D"(save), "+S"(load), "+d"(thread_pointer)
      :
      : "rax", "rcx", "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0", "xmm1", "xmm2",
        "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

}  // namespace weft::engine::arch
