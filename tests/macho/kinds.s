; Every kind of relocation that an assembler emits for arm64 Mach-O, and every kind of symbol.
	.section __TEXT,__text,regular,pure_instructions
	.globl _main
	.p2align 2
_main:
	bl _function
	b _function
	bl _elsewhere
	bl _function+8
	adrp x0, _data@PAGE
	add x0, x0, _data@PAGEOFF
	ldrb w1, [x0, _data@PAGEOFF]
	strh w1, [x0, _data@PAGEOFF]
	ldr w1, [x0, _data@PAGEOFF]
	ldr x1, [x0, _data@PAGEOFF]
	ldr q1, [x0, _data@PAGEOFF]
	ldr b1, [x0, _data@PAGEOFF]
	str d1, [x0, _data@PAGEOFF]
	prfm pldl1keep, [x0, _data@PAGEOFF]
	adrp x0, _data@PAGE+0x12340
	add x0, x0, _data@PAGEOFF+0x12340
	ldr q1, [x0, _data@PAGEOFF+0x12340]
	adrp x0, _function@GOTPAGE
	ldr x0, [x0, _function@GOTPAGEOFF]
	adrp x0, _elsewhere@GOTPAGE
	ldr x0, [x0, _elsewhere@GOTPAGEOFF]
	adrp x0, _variable@TLVPPAGE
	ldr x0, [x0, _variable@TLVPPAGEOFF]
	adrp x0, _other@TLVPPAGE
	ldr x0, [x0, _other@TLVPPAGEOFF]
	adrp x0, _common@GOTPAGE
	ldr x0, [x0, _common@GOTPAGEOFF]
	adrp x0, _zeros@PAGE
	ldr w0, [x0, _zeros@PAGEOFF]
	ret
_function:
	ret

	.section __DATA,__data
	.p2align 4
	.globl _data
_data:
	.quad _function
	.quad _function+4
	.quad _elsewhere-16
	.quad _number
	.quad _nowhere
	.quad _function-_data
	.quad _elsewhere-_data+24
	.quad _function-.
	.long _function-_data
	.long _function-_data+4
	.long _data-_function-4
	.long _function@GOT-.
	.long _elsewhere@GOT-.
	.weak_reference _nowhere
	.comm _common,12,3
	.zerofill __DATA,__bss,_zeros,8,3
	.private_extern _private
	.globl _private
_private:
	.quad _private
	.weak_definition _weak
	.globl _weak
_weak:
	.quad _weak
	.globl _number
_number = 0x1234567890

	.section __TEXT,__const
	.long 7
	.long _main-_constant
_constant:
	.long _data-_constant

	.section __TEXT,__cstring,cstring_literals
	.asciz "text"
	.section __TEXT,__literal16,16byte_literals
	.p2align 4
	.quad 1, 2

	.section __DATA,__mod_init_func,mod_init_funcs
	.p2align 3
	.quad _function

	.section __DATA,__thread_data,thread_local_regular
	.p2align 3
	.quad 5
_variable$tlv$init:
	.quad 6
	.tbss _other$tlv$init, 8, 3
	.section __DATA,__thread_vars,thread_local_variables
	.globl _variable, _other
	.p2align 3
_variable:
	.quad __tlv_bootstrap, 0, _variable$tlv$init
_other:
	.quad __tlv_bootstrap, 0, _other$tlv$init
	.subsections_via_symbols
