#include "checks.hpp"

#include <cstdio>
#include <cstring>
#include <llvm-c/Orc.h>
#include <llvm-c/OrcEE.h>
#include <llvm/AsmParser/Parser.h>
#include <llvm/ExecutionEngine/MCJIT.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/TargetSelect.h>

using namespace llvm;

void must(Error error) {
    if (error) {
        logAllUnhandledErrors(std::move(error), errs(), "LLVM: ");
        std::exit(3);
    }
}

void initialize() {
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
}

std::string name(const char *stem, unsigned number) { return std::string(stem) + "_" + std::to_string(number); }

int call(std::uint64_t entry, unsigned number) {
    return reinterpret_cast<std::int64_t (*)(std::int64_t)>(entry)(2) != 42 + 2 * std::int64_t(number);
}

static std::unique_ptr<Module> parse(LLVMContext &context, const std::string &text) {
    SMDiagnostic diagnostic;
    auto module = parseAssemblyString(text, diagnostic, context);
    if (!module) {
        diagnostic.print("IR", errs());
        std::exit(3);
    }
    return module;
}

std::unique_ptr<Module> parse(LLVMContext &context, unsigned number) { return parse(context, module_text(number)); }

orc::ThreadSafeModule thread_safe(const std::string &text) {
    auto context = std::make_unique<LLVMContext>();
    auto module = parse(*context, text);
    return orc::ThreadSafeModule(std::move(module), std::move(context));
}

orc::LLJITBuilder lljit_builder(Reloc::Model relocation, std::optional<CodeModel::Model> model) {
    auto machine = must(orc::JITTargetMachineBuilder::detectHost());
    machine.setRelocationModel(relocation);
    machine.setCodeModel(model);
    orc::LLJITBuilder builder;
    builder.setJITTargetMachineBuilder(std::move(machine));
    return builder;
}

std::unique_ptr<orc::LLJIT> lljit(orc::LLJITBuilder &builder) {
    auto jit = must(builder.create());
    auto prefix = jit->getDataLayout().getGlobalPrefix();
    jit->getMainJITDylib().addGenerator(must(orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(prefix)));
    return jit;
}

a64r::Arena arena(std::uint32_t flags, std::size_t length) { return must(a64r::Arena::create(length, flags)); }

static std::unique_ptr<orc::LLJIT> lljit(const a64r::Arena &arena, Reloc::Model relocation = Reloc::PIC_) {
    auto builder = lljit_builder(relocation, CodeModel::Small);
    builder.setObjectLinkingLayerCreator(a64r::layerCreator(arena));
    return lljit(builder);
}

// Adds module `number` and calls it.
static int add(orc::LLJIT &jit, unsigned number) {
    must(jit.addIRModule(thread_safe(module_text(number))));
    return call(address(must(jit.lookup(name("entry", number)))), number);
}

// What looking up `symbol` is refused with; nothing where it is not.
static std::string refusal(orc::LLJIT &jit, const char *symbol) {
    // The reason is told to the session, and the answer says only that the symbol failed.
    static std::string reported;
    reported.clear();
    jit.getExecutionSession().setErrorReporter([](Error error) { reported += toString(std::move(error)) + "\n"; });
    auto found = jit.lookup(symbol);
    if (found)
        return "";
    return reported + toString(found.takeError());
}

static bool has(const std::string &text, const char *part) {
    if (text.find(part) != std::string::npos)
        return true;
    std::fprintf(stderr, "expected `%s` in `%s`\n", part, text.c_str());
    return false;
}

static const char thrower[] = "declare void @throws(i64)\n"
                              "define i64 @outer(i64 %x) noinline uwtable {\n"
                              "  call void @throws(i64 %x)\n"
                              "  ret i64 0\n"
                              "}\n";

extern "C" void throws(std::int64_t x) { throw x; }

// Whether an exception of the process passes through code of `jit`.
static bool unwinds(orc::LLJIT &jit) {
    const auto outer = reinterpret_cast<std::int64_t (*)(std::int64_t)>(address(must(jit.lookup("outer"))));
    try {
        return outer(7), false;
    } catch (std::int64_t x) {
        return x == 7;
    }
}

static int exceptions_unwind() {
    auto jit = lljit(arena(A64R_LLVM_FLAG_AUDIT));
    must(jit->addIRModule(thread_safe(thrower)));
    return !unwinds(*jit);
}

// The same by the callbacks of C: LLVM registers frames for them too.
static int exceptions_unwind_by_callbacks() {
    a64r_llvm_arena *memory = nullptr;
    if (a64r_llvm_arena_new(0, 0, &memory, nullptr) != A64R_STATUS_OK)
        return 3;
    auto builder = lljit_builder(Reloc::PIC_, CodeModel::Small);
    builder.setObjectLinkingLayerCreator(
        [memory](orc::ExecutionSession &session, const auto &...) -> Expected<std::unique_ptr<orc::ObjectLayer>> {
            auto *layer = LLVMOrcCreateRTDyldObjectLinkingLayerWithMCJITMemoryManagerLikeCallbacks(
                reinterpret_cast<LLVMOrcExecutionSessionRef>(&session), memory, a64r_llvm_create_context,
                a64r_llvm_notify_terminating, a64r_llvm_allocate_code, a64r_llvm_allocate_data, a64r_llvm_finalize,
                a64r_llvm_destroy);
            return std::unique_ptr<orc::ObjectLayer>(reinterpret_cast<orc::ObjectLayer *>(layer));
        });
    auto jit = lljit(builder);
    must(jit->addIRModule(thread_safe(thrower)));
    return !unwinds(*jit);
}

// Removing an object gives its pages back, and the next one has them.
static int pages_come_back() {
    const auto memory = arena(A64R_LLVM_FLAG_AUDIT);
    auto jit = lljit(memory);
    if (add(*jit, 0))
        return 1;
    const auto before = memory.describe().free;
    for (int i = 0; i < 3; i++) {
        auto tracker = jit->getMainJITDylib().createResourceTracker();
        must(jit->addIRModule(tracker, thread_safe(module_text(1))));
        if (call(address(must(jit->lookup("entry_1"))), 1) || memory.describe().free >= before)
            return 2;
        must(tracker->remove());
        if (memory.describe().free != before)
            return 4;
    }
    jit.reset();
    const auto after = memory.describe();
    return after.free != after.len;
}

// An object that does not fit is an error of its own, and those before and after it run.
static int a_full_arena_is_an_error() {
    const auto memory = arena(A64R_LLVM_FLAG_AUDIT, 1 << 20);
    auto jit = lljit(memory);
    if (add(*jit, 0))
        return 1;
    const auto before = memory.describe().free;
    const std::string big = std::string(thrower) + "@big = global [2097152 x i8] zeroinitializer\n";
    must(jit->addIRModule(thread_safe(big)));
    if (!has(refusal(*jit, "outer"), "section .bss") || memory.describe().free != before)
        return 2;
    auto &other = must(jit->createJITDylib("other"));
    must(jit->addIRModule(other, thread_safe(module_text(0))));
    if (call(address(must(jit->lookup(other, "entry_0"))), 0))
        return 4;
    // The frames of what was refused are not in the way of an exception through what has its pages now.
    auto &third = must(jit->createJITDylib("third"));
    third.addToLinkOrder(jit->getProcessSymbolsJITDylib() ? *jit->getProcessSymbolsJITDylib() : other);
    third.addGenerator(must(orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(0)));
    must(jit->addIRModule(third, thread_safe(thrower)));
    const auto outer = reinterpret_cast<std::int64_t (*)(std::int64_t)>(address(must(jit->lookup(third, "outer"))));
    try {
        outer(7);
    } catch (std::int64_t x) {
        return x != 7;
    }
    return 5;
}

// MCJIT cannot hear of it: the process ends, and says why. (`checks` looks for SIGABRT.)
static int a_full_arena_ends_mcjit() {
    LLVMContext context;
    EngineBuilder builder(parse(context, "@big = global [2097152 x i8] zeroinitializer\ndefine ptr @f() {\n ret ptr @big\n}\n"));
    builder.setMCJITMemoryManager(a64r::MemoryManager::forMCJIT(arena(0, 1 << 20)));
    std::unique_ptr<ExecutionEngine> engine(builder.create());
    engine->getFunctionAddress("f");
    return 0;
}

// A variable of the process that code refers to directly, as if it were of the same program: RuntimeDyld truncates.
static const char direct[] = "@host_variable = external dso_local global i64\n"
                             "define i64 @reads() {\n"
                             "  %v = load i64, ptr @host_variable\n"
                             "  ret i64 %v\n"
                             "}\n";

extern "C" {
std::int64_t host_variable = 42;
}

static int the_audit_finds_what_is_truncated() {
    auto jit = lljit(arena(A64R_LLVM_FLAG_AUDIT), Reloc::Static);
    must(jit->addIRModule(thread_safe(direct)));
    if (!has(refusal(*jit, "reads"), "R_AARCH64_ADR_PREL_PG_HI21 at 0x"))
        return 1;
    return add(*jit, 0);
}

// Several threads compile and link at once into one arena.
static int threads_share_an_arena() {
    const auto memory = arena(A64R_LLVM_FLAG_AUDIT);
    auto builder = lljit_builder(Reloc::PIC_, CodeModel::Small);
    builder.setObjectLinkingLayerCreator(a64r::layerCreator(memory)).setNumCompileThreads(3);
    auto jit = lljit(builder);
    for (unsigned number = 0; number < 24; number++)
        must(jit->addIRModule(thread_safe(module_text(number))));
    int wrong = 0;
    for (unsigned number = 24; number-- > 0;)
        wrong |= call(address(must(jit->lookup(name("entry", number)))), number);
    return wrong;
}

int checks() {
    struct {
        const char *name;
        int (*run)();
        bool aborts;
    } const all[] = {
        {"exceptions unwind", exceptions_unwind, false},
        {"exceptions unwind by callbacks", exceptions_unwind_by_callbacks, false},
        {"pages come back", pages_come_back, false},
        {"a full arena is an error", a_full_arena_is_an_error, false},
        {"a full arena ends MCJIT", a_full_arena_ends_mcjit, true},
        {"the audit finds what is truncated", the_audit_finds_what_is_truncated, false},
        {"threads share an arena", threads_share_an_arena, false},
    };
    unsigned failed = 0;
    for (const auto &check : all) {
        std::printf("%s: ", check.name);
        std::fflush(stdout);
        failed += (repeat(1, check.run) == 1) == check.aborts;
    }
    return failed != 0;
}
