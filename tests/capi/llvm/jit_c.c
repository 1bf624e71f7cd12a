/* A user of LLVM's C API: `jit_c MCJIT|ORC naive|section|arena small|default pic|static RUNS MODULES`. */
#include "aarch64_reloc.h"
#include "far.h"
#include "jit.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/ExecutionEngine.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/OrcEE.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm/Config/llvm-config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum { NAIVE, SECTION, ARENA } manager;
static LLVMCodeModel model;
static LLVMRelocMode relocation;
static unsigned modules;

static _Noreturn void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(3);
}

static void check(LLVMErrorRef error) {
    if (error)
        fail("LLVM", LLVMGetErrorMessage(error));
}

static a64r_llvm_arena *new_arena(void) {
    char line[256];
    a64r_text text = {line, sizeof line, 0};
    a64r_llvm_arena *arena;
    if (a64r_llvm_arena_new(0, A64R_LLVM_FLAG_AUDIT, &arena, &text) != A64R_STATUS_OK)
        fail("arena", line);
    return arena;
}

static LLVMModuleRef parse(LLVMContextRef context, unsigned number) {
    const char *text = module_text(number);
    char *message;
    LLVMModuleRef module;
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "module");
    if (LLVMParseIRInContext(context, buffer, &module, &message))
        fail("IR", message);
    return module;
}

/* Calls the entry of module `number`; 0 if the answer is right. */
static int call(uint64_t entry, unsigned number) {
    int64_t (*function)(int64_t) = (int64_t (*)(int64_t))entry;
    return function(2) != 42 + 2 * (int64_t)number;
}

static LLVMMCJITMemoryManagerRef mcjit_manager(void) {
    if (manager == NAIVE)
        return LLVMCreateSimpleMCJITMemoryManager(naive_create(NULL), naive_code, naive_data, naive_finalize, naive_destroy);
    if (manager == SECTION)
        return NULL;
    a64r_llvm_arena *arena = new_arena();
    a64r_llvm_context *context;
    if (a64r_llvm_mcjit_context(arena, &context, NULL) != A64R_STATUS_OK)
        fail("context", "refused");
    a64r_llvm_arena_release(arena);
    return LLVMCreateSimpleMCJITMemoryManager(context, a64r_llvm_allocate_code, a64r_llvm_allocate_data, a64r_llvm_finalize,
                                              a64r_llvm_destroy);
}

static int run_mcjit(void) {
    struct LLVMMCJITCompilerOptions options;
    LLVMExecutionEngineRef engine;
    char *message;
    LLVMContextRef context = LLVMContextCreate();
    LLVMInitializeMCJITCompilerOptions(&options, sizeof options);
    options.CodeModel = model;
    options.MCJMM = mcjit_manager();
    if (LLVMCreateMCJITCompilerForModule(&engine, parse(context, 0), &options, sizeof options, &message))
        fail("MCJIT", message);
    int wrong = call(LLVMGetFunctionAddress(engine, "entry_0"), 0);
    for (unsigned number = 1; number < modules; number++) {
        char name[32];
        snprintf(name, sizeof name, "entry_%u", number);
        LLVMAddModule(engine, parse(context, number));
        wrong |= call(LLVMGetFunctionAddress(engine, name), number);
    }
    LLVMDisposeExecutionEngine(engine);
    LLVMContextDispose(context);
    return wrong;
}

static LLVMOrcObjectLayerRef create_layer(void *context, LLVMOrcExecutionSessionRef session, const char *triple) {
    (void)context, (void)triple;
    if (manager == NAIVE)
        return LLVMOrcCreateRTDyldObjectLinkingLayerWithMCJITMemoryManagerLikeCallbacks(
            session, NULL, naive_create, naive_terminate, naive_code, naive_data, naive_finalize, naive_destroy);
    if (manager == SECTION)
        return LLVMOrcCreateRTDyldObjectLinkingLayerWithSectionMemoryManager(session);
    return LLVMOrcCreateRTDyldObjectLinkingLayerWithMCJITMemoryManagerLikeCallbacks(
        session, new_arena(), a64r_llvm_create_context, a64r_llvm_notify_terminating, a64r_llvm_allocate_code,
        a64r_llvm_allocate_data, a64r_llvm_finalize, a64r_llvm_destroy);
}

static LLVMOrcThreadSafeModuleRef thread_safe(unsigned number) {
#if LLVM_VERSION_MAJOR >= 21
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = parse(context, number);
    LLVMOrcThreadSafeContextRef shared = LLVMOrcCreateNewThreadSafeContextFromLLVMContext(context);
#else
    LLVMOrcThreadSafeContextRef shared = LLVMOrcCreateNewThreadSafeContext();
    LLVMModuleRef module = parse(LLVMOrcThreadSafeContextGetContext(shared), number);
#endif
    LLVMOrcThreadSafeModuleRef result = LLVMOrcCreateNewThreadSafeModule(module, shared);
    LLVMOrcDisposeThreadSafeContext(shared);
    return result;
}

static int run_orc(void) {
    LLVMTargetRef target;
    LLVMOrcLLJITRef jit;
    LLVMOrcDefinitionGeneratorRef process;
    char *message;
    char *triple = LLVMGetDefaultTargetTriple();
    if (LLVMGetTargetFromTriple(triple, &target, &message))
        fail("target", message);
    LLVMTargetMachineRef machine =
        LLVMCreateTargetMachine(target, triple, "generic", "", LLVMCodeGenLevelDefault, relocation, model);
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
    LLVMOrcLLJITBuilderSetObjectLinkingLayerCreator(builder, create_layer, NULL);
    check(LLVMOrcCreateLLJIT(&jit, builder));
    check(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&process, 0, NULL, NULL));
    LLVMOrcJITDylibRef dylib = LLVMOrcLLJITGetMainJITDylib(jit);
    LLVMOrcJITDylibAddGenerator(dylib, process);
    int wrong = 0;
    for (unsigned number = 0; number < modules; number++) {
        char name[32];
        LLVMOrcExecutorAddress entry;
        snprintf(name, sizeof name, "entry_%u", number);
        check(LLVMOrcLLJITAddLLVMIRModule(jit, dylib, thread_safe(number)));
        check(LLVMOrcLLJITLookup(jit, &entry, name));
        wrong |= call(entry, number);
    }
    check(LLVMOrcDisposeLLJIT(jit));
    LLVMDisposeMessage(triple);
    return wrong;
}

/* Has LLVM compile once before there are children: under qemu they inherit its translation of LLVM, and are fast. */
static void warm_up(int (*run)(void)) {
    const int chosen = manager;
    manager = ARENA;
    if (run() != 0)
        fail("warming up", "wrong answer");
    manager = chosen;
}

int main(int argc, char **argv) {
    if (argc != 7)
        fail("usage", "jit_c MCJIT|ORC naive|section|arena small|default pic|static RUNS MODULES");
    int (*run)(void) = strcmp(argv[1], "ORC") == 0 ? run_orc : run_mcjit;
    manager = strcmp(argv[2], "arena") == 0 ? ARENA : strcmp(argv[2], "naive") == 0 ? NAIVE : SECTION;
    if (strcmp(argv[3], "small") == 0)
        model = LLVMCodeModelSmall;
    else
        model = run == run_orc ? LLVMCodeModelDefault : LLVMCodeModelJITDefault;
    relocation = strcmp(argv[4], "pic") == 0 ? LLVMRelocPIC : LLVMRelocStatic;
    unsigned count = (unsigned)atoi(argv[5]);
    modules = (unsigned)atoi(argv[6]);
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMLinkInMCJIT();
    warm_up(run);
    if (manager != NAIVE)
        far_begin();
    printf("LLVM %d %s %s %s %s: ", LLVM_VERSION_MAJOR, argv[1], argv[2], argv[3], argv[4]);
    fflush(stdout);
    return repeat(count, run) != count;
}
