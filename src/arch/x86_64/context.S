// SPDX-License-Identifier: BSL-1.0
// See arch/context.hpp.

    .text

    .globl  weft_context_entry
    .hidden weft_context_entry
    .type   weft_context_entry, @function
    .p2align 4
weft_context_entry:
    .cfi_startproc
    .cfi_undefined rip
    .cfi_undefined rbp
    popq    %rax
    popq    %rdi
    callq   *%rax
    ud2
    .cfi_endproc
    .size   weft_context_entry, .-weft_context_entry

    .globl  weft_call_on_stack
    .hidden weft_call_on_stack
    .type   weft_call_on_stack, @function
    .p2align 4
weft_call_on_stack:                     // rdi: f, rsi: argument, rdx: top of the other stack
    .cfi_startproc
    pushq   %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset rbp, -16
    movq    %rsp, %rbp
    .cfi_def_cfa_register rbp
    movq    %rdx, %rsp
    andq    $-16, %rsp
    movq    %rdi, %rax
    movq    %rsi, %rdi
    callq   *%rax
    movq    %rbp, %rsp
    popq    %rbp
    .cfi_def_cfa rsp, 8
    retq
    .cfi_endproc
    .size   weft_call_on_stack, .-weft_call_on_stack

    .section .note.GNU-stack,"",@progbits
