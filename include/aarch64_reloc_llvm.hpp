// For users of LLVM's C++: RuntimeDyld's memory from one arena, so that nothing it links is out of reach. C++17; tested with LLVM
// 19 and 22. See capi/llvm.md.
//
// Compile it with the options LLVM was compiled with where they change the ABI (-fno-rtti, if `llvm-config --has-rtti` says NO).

#ifndef AARCH64_RELOC_LLVM_HPP
#define AARCH64_RELOC_LLVM_HPP

#include "aarch64_reloc.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <llvm/ExecutionEngine/Orc/RTDyldObjectLinkingLayer.h>
#include <llvm/ExecutionEngine/RTDyldMemoryManager.h>
#include <llvm/Support/Error.h>
#include <memory>
#include <string>

namespace a64r {

// One range of addresses for all objects of any number of JITs. Copies share it, and any threads may use it at once.
class Arena {
public:
    // Reserves `length` bytes, or A64R_LLVM_LEN if that is 0; `flags` are of a64r_llvm_flag.
    static llvm::Expected<Arena> create(std::size_t length = 0, std::uint32_t flags = 0) {
        char line[256];
        a64r_text text = {line, sizeof line, 0};
        a64r_llvm_arena *arena = nullptr;
        if (a64r_llvm_arena_new(length, flags, &arena, &text) != A64R_STATUS_OK)
            return llvm::make_error<llvm::StringError>(line, llvm::inconvertibleErrorCode());
        return Arena(arena);
    }

    a64r_llvm_arena *get() const { return arena.get(); }

    // How full it is.
    a64r_range_facts describe() const {
        a64r_range_facts facts = {};
        a64r_llvm_arena_describe(get(), &facts);
        return facts;
    }

private:
    explicit Arena(a64r_llvm_arena *arena) : arena(arena, a64r_llvm_arena_release) {}

    std::shared_ptr<a64r_llvm_arena> arena;
};

// The memory of one object of an RTDyldObjectLinkingLayer, or of all objects of one MCJIT engine.
class MemoryManager : public llvm::RTDyldMemoryManager {
public:
    // For a layer: if the arena is full, looking up the object's symbols fails with the error.
    static std::unique_ptr<MemoryManager> forLayer(const Arena &arena) {
        return std::unique_ptr<MemoryManager>(new MemoryManager(a64r_llvm_create_context(arena.get())));
    }

    // For MCJIT, which has no way to hear of an error: if the arena is full, it is written to standard error, and LLVM ends the
    // process.
    static std::unique_ptr<MemoryManager> forMCJIT(const Arena &arena) {
        a64r_llvm_context *context = nullptr;
        a64r_llvm_mcjit_context(arena.get(), &context, nullptr);
        return std::unique_ptr<MemoryManager>(new MemoryManager(context));
    }

    // Not all of LLVM's owners deregister what they had registered.
    ~MemoryManager() override {
        llvm::RTDyldMemoryManager::deregisterEHFrames();
        a64r_llvm_destroy(context);
    }

    std::uint8_t *allocateCodeSection(std::uintptr_t size, unsigned alignment, unsigned section, llvm::StringRef name) override {
        return a64r_llvm_allocate_code(context, size, alignment, section, name.str().c_str());
    }

    std::uint8_t *allocateDataSection(std::uintptr_t size, unsigned alignment, unsigned section, llvm::StringRef name,
                                      bool isReadOnly) override {
        return a64r_llvm_allocate_data(context, size, alignment, section, name.str().c_str(), isReadOnly);
    }

    bool finalizeMemory(std::string *message) override {
        char *line = nullptr;
        const bool refused = a64r_llvm_finalize(context, &line) != 0;
        if (line && message)
            *message = line;
        std::free(line);
        return refused;
    }

private:
    explicit MemoryManager(void *context) : context(context) {}

    void *context;
};

// For LLJITBuilder::setObjectLinkingLayerCreator: a layer whose objects all have their memory in `arena`.
inline auto layerCreator(const Arena &arena) {
    return [arena](llvm::orc::ExecutionSession &session,
                   const auto &...) -> llvm::Expected<std::unique_ptr<llvm::orc::ObjectLayer>> {
        return std::make_unique<llvm::orc::RTDyldObjectLinkingLayer>(
            session, [arena](const auto &...) { return MemoryManager::forLayer(arena); });
    };
}

} // namespace a64r

#endif
