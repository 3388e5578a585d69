// SPDX-License-Identifier: BSL-1.0
// See arch/context.hpp. The CFI describes the saved frame at every instruction, on the old stack and, because both have
// the same layout, on the new one: gdb and perf unwind through a switch.

    .text

    .globl  weft_context_switch
    .hidden weft_context_switch
    .type   weft_context_switch, @function
    .p2align 4
weft_context_switch:                    // rdi: context* from, rsi: const context* to, rdx: thread pointer or 0
    .cfi_startproc
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    subq    $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw  4(%rsp)
    movq    %rsp, (%rdi)
    testq   %rdx, %rdx
    jz      1f
    wrfsbase %rdx
1:
    movl    (%rsp), %eax                // what we have just saved is what the CPU has: load only what differs, since
    movzwl  4(%rsp), %ecx               // both loads cost more than all the rest
    movq    (%rsi), %rsp
    cmpl    (%rsp), %eax
    jne     3f
2:
    cmpw    4(%rsp), %cx
    jne     4f
5:
    addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    popq    %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    jmpq    *%rcx
    .cfi_def_cfa rsp, 64
    .cfi_offset rip, -8
    .cfi_offset rbp, -16
    .cfi_offset rbx, -24
    .cfi_offset r12, -32
    .cfi_offset r13, -40
    .cfi_offset r14, -48
    .cfi_offset r15, -56
3:
    ldmxcsr (%rsp)
    jmp     2b
4:
    fldcw   4(%rsp)
    jmp     5b
    .cfi_endproc
    .size   weft_context_switch, .-weft_context_switch

    .globl  weft_context_entry
    .hidden weft_context_entry
    .type   weft_context_entry, @function
    .p2align 4
weft_context_entry:
    .cfi_startproc
    .cfi_undefined rip
    .cfi_undefined rbp
    xorl    %ebp, %ebp
    movq    %r13, %rdi
    callq   *%r12
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
