; Places for relocations that refer to no symbol (r_extern = 0): the test takes the symbols away.
	.section __TEXT,__text,regular,pure_instructions
	.globl _main
_main:
	ret
_second:
	ret
	.section __DATA,__data
	.quad 1
_here:
	.quad _second
	.quad _second+4
	.quad _here-8
	.quad _here+0x100
	.quad _second-_here
	.long _second-_here
	.long _there-_here+4
	.quad _there
	.section __DATA,__other
	.p2align 4
	.quad 2
_there:
	.quad _there
	.quad _zero+4
	.zerofill __DATA,__bss,_zero,8,3
