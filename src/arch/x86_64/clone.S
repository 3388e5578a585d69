// SPDX-License-Identifier: BSL-1.0
// See os/kernel_thread.hpp: a kernel thread without libc.

    .text
    .globl  weft_clone
    .hidden weft_clone
    .type   weft_clone, @function
    .p2align 4
weft_clone:     // rdi: flags, rsi: stack top, rdx: tid word, rcx: thread pointer, r8: entry, r9: argument
    .cfi_startproc
    andq    $-16, %rsi
    subq    $16, %rsi
    movq    %r8, (%rsi)
    movq    %r9, 8(%rsi)
    movq    %rcx, %r8                   // the kernel's order: flags, stack, parent_tid, child_tid, tls
    movq    %rdx, %r10
    movl    $56, %eax                   // clone
    syscall
    testq   %rax, %rax
    jz      1f
    retq
1:
    .cfi_undefined rip
    xorl    %ebp, %ebp
    popq    %rax
    .cfi_adjust_cfa_offset -8
    popq    %rdi
    .cfi_adjust_cfa_offset -8
    callq   *%rax
    ud2
    .cfi_endproc
    .size   weft_clone, .-weft_clone

    .section .note.GNU-stack,"",@progbits
