// SPDX-License-Identifier: BSL-1.0
// See posix/once.cpp: a frame that an unwinder tells of its passing.

    .text
    .globl  weft_call_undoable
    .hidden weft_call_undoable
    .hidden weft_once_personality
    .type   weft_call_undoable, @function
    .p2align 4
weft_call_undoable:                     // rdi: the routine
    .cfi_startproc
    .cfi_personality 0x1b, weft_once_personality
    subq    $8, %rsp
    .cfi_adjust_cfa_offset 8
    callq   *%rdi
    addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    retq
    .cfi_endproc
    .size   weft_call_undoable, .-weft_call_undoable

    .section .note.GNU-stack,"",@progbits
