// Users of LLVM's C++: `jit_cc MCJIT|LLJIT section|mapper|arena small|default pic|static RUNS MODULES`, or `jit_cc checks`.
#include "aarch64_reloc_llvm.hpp"
#include "aarch64_reloc_llvm_mapper.hpp"
#include "checks.hpp"

extern "C" {
#include "far.h"
}

#include <cstdio>
#include <cstring>
#include <llvm/Config/llvm-config.h>
#include <llvm/ExecutionEngine/MCJIT.h>
#include <llvm/ExecutionEngine/SectionMemoryManager.h>
#include <optional>

using namespace llvm;

static enum Manager { SECTION, MAPPER, ARENA } manager;
static std::optional<CodeModel::Model> model;
static Reloc::Model relocation;
static unsigned modules;

static int run_mcjit() {
    auto context = std::make_unique<LLVMContext>();
    EngineBuilder builder(parse(*context, 0));
    std::string message;
    builder.setErrorStr(&message).setRelocationModel(relocation);
    if (model)
        builder.setCodeModel(*model);
    std::unique_ptr<a64r::MemoryMapper> mapper;
    if (manager == MAPPER) {
        mapper = must(a64r::MemoryMapper::create());
        builder.setMCJITMemoryManager(std::make_unique<SectionMemoryManager>(mapper.get()));
    }
    if (manager == ARENA)
        builder.setMCJITMemoryManager(a64r::MemoryManager::forMCJIT(arena(A64R_LLVM_FLAG_AUDIT)));
    std::unique_ptr<ExecutionEngine> engine(builder.create());
    if (!engine)
        return std::fprintf(stderr, "%s\n", message.c_str()), 3;
    int wrong = call(engine->getFunctionAddress("entry_0"), 0);
    for (unsigned number = 1; number < modules; number++) {
        engine->addModule(parse(*context, number));
        wrong |= call(engine->getFunctionAddress(name("entry", number)), number);
    }
    return wrong;
}

static int run_lljit() {
    auto builder = lljit_builder(relocation, model);
    std::unique_ptr<a64r::MemoryMapper> mapper;
    if (manager == MAPPER)
        mapper = must(a64r::MemoryMapper::create());
    if (manager == ARENA)
        builder.setObjectLinkingLayerCreator(a64r::layerCreator(arena(A64R_LLVM_FLAG_AUDIT)));
    else
        // As MLIR's ExecutionEngine has it: its options may have a mapper.
        builder.setObjectLinkingLayerCreator(
            [mapper = mapper.get()](orc::ExecutionSession &session,
                                    const auto &...) -> Expected<std::unique_ptr<orc::ObjectLayer>> {
                return std::make_unique<orc::RTDyldObjectLinkingLayer>(
                    session, [mapper](const auto &...) { return std::make_unique<SectionMemoryManager>(mapper); });
            });
    auto jit = lljit(builder);
    int wrong = 0;
    for (unsigned number = 0; number < modules; number++) {
        must(jit->addIRModule(thread_safe(module_text(number))));
        wrong |= call(address(must(jit->lookup(name("entry", number)))), number);
    }
    jit.reset();
    if (mapper)
        wrong |= mapper->describe().free != mapper->describe().len;
    return wrong;
}

int main(int argc, char **argv) {
    initialize();
    if (argc == 2 && std::strcmp(argv[1], "checks") == 0)
        return checks();
    if (argc != 7)
        return std::fprintf(stderr, "usage: see the source\n"), 3;
    const bool is_mcjit = std::strcmp(argv[1], "MCJIT") == 0;
    manager = std::strcmp(argv[2], "arena") == 0 ? ARENA : std::strcmp(argv[2], "mapper") == 0 ? MAPPER : SECTION;
    if (std::strcmp(argv[3], "small") == 0)
        model = CodeModel::Small;
    relocation = std::strcmp(argv[4], "pic") == 0 ? Reloc::PIC_ : Reloc::Static;
    const unsigned count = static_cast<unsigned>(std::atoi(argv[5]));
    modules = static_cast<unsigned>(std::atoi(argv[6]));
    // Has LLVM compile once before there are children: under qemu they inherit its translation of LLVM, and are fast.
    const auto chosen = manager;
    manager = ARENA;
    if ((is_mcjit ? run_mcjit : run_lljit)() != 0)
        return std::fprintf(stderr, "wrong answer while warming up\n"), 3;
    manager = chosen;
    far_begin();
    std::printf("LLVM %d C++ %s %s %s %s: ", LLVM_VERSION_MAJOR, argv[1], argv[2], argv[3], argv[4]);
    std::fflush(stdout);
    return repeat(count, is_mcjit ? run_mcjit : run_lljit) != count;
}
