// SPDX-License-Identifier: BSL-1.0
// vfork. It cannot be a C function: the child runs on the caller's stack and leaves through our frame, so the return address
// is kept in a register over the system call. posix/fork.cpp has the two functions around it.
#include <asm/unistd.h>

	.text
	.globl	vfork
	.type	vfork, @function
vfork:
	.cfi_startproc
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	weft_before_vfork
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%rdi			// the child may overwrite it
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rdi
	movl	$__NR_vfork, %eax
	syscall
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rip, 0
	testq	%rax, %rax
	je	1f
	movq	%rax, %rdi
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	weft_after_vfork
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
1:	ret
	.cfi_endproc
	.size	vfork, . - vfork

	.section .note.GNU-stack, "", @progbits
