// For users of LLVM's C++ who cannot choose the memory manager, but may give its SectionMemoryManager a mapper, as MLIR's
// ExecutionEngineOptions::sectionMemoryMapper does: whatever it maps comes from one range, so that nothing is out of reach.
// C++17; tested with LLVM 19 and 22. See capi/llvm.md.

#ifndef AARCH64_RELOC_LLVM_MAPPER_HPP
#define AARCH64_RELOC_LLVM_MAPPER_HPP

#include "aarch64_reloc.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <llvm/ExecutionEngine/SectionMemoryManager.h>
#include <llvm/Support/Error.h>
#include <llvm/Support/Memory.h>
#include <memory>
#include <mutex>
#include <sys/mman.h>
#include <system_error>

namespace a64r {

// One range of addresses for any number of JITs, which it outlives. Any threads may use it at once.
//
// Where it is full, RuntimeDyld ends the process ("Unable to allocate section memory!"), as it does wherever a section has no
// memory; nothing is mapped out of reach.
class MemoryMapper final : public llvm::SectionMemoryManager::MemoryMapper {
public:
    // Reserves `length` bytes, at most A64R_LLVM_MOST.
    static llvm::Expected<std::unique_ptr<MemoryMapper>> create(std::size_t length = A64R_LLVM_LEN) {
        char line[256] = "the range is too long: at most 2 GiB are in reach";
        a64r_text text = {line, sizeof line, 0};
        std::unique_ptr<MemoryMapper> mapper(new MemoryMapper);
        a64r_range_facts facts = {};
        if (length > A64R_LLVM_MOST || a64r_reservation_new(length, &mapper->range, &text) != A64R_STATUS_OK ||
            a64r_reservation_describe(mapper->range, &facts) != A64R_STATUS_OK ||
            a64r_arena_new(facts.addr, facts.len, facts.page, &mapper->arena, &text) != A64R_STATUS_OK)
            return llvm::make_error<llvm::StringError>(line, llvm::inconvertibleErrorCode());
        return mapper;
    }

    ~MemoryMapper() override {
        a64r_arena_free(arena);
        a64r_reservation_free(range);
    }

    llvm::sys::MemoryBlock allocateMappedMemory(llvm::SectionMemoryManager::AllocationPurpose purpose, std::size_t size,
                                                const llvm::sys::MemoryBlock *, unsigned flags,
                                                std::error_code &error) override {
        const bool is_code = purpose == llvm::SectionMemoryManager::AllocationPurpose::Code;
        a64r_pages pages = {};
        {
            const std::lock_guard<std::mutex> guard(lock);
            if (a64r_arena_alloc(arena, is_code ? A64R_PROT_READ_EXEC : A64R_PROT_READ_WRITE, size, &pages, nullptr) !=
                A64R_STATUS_OK) {
                error = std::make_error_code(std::errc::not_enough_memory);
                return {};
            }
        }
        llvm::sys::MemoryBlock block(reinterpret_cast<void *>(pages.addr), pages.len);
        error = llvm::sys::Memory::protectMappedMemory(block, flags);
        if (!error)
            return block;
        releaseMappedMemory(block);
        return {};
    }

    std::error_code protectMappedMemory(const llvm::sys::MemoryBlock &block, unsigned flags) override {
        return llvm::sys::Memory::protectMappedMemory(block, flags);
    }

    // What the system refuses to take back stays held, so that nobody is given pages with contents.
    std::error_code releaseMappedMemory(llvm::sys::MemoryBlock &block) override {
        if (madvise(block.base(), block.allocatedSize(), MADV_DONTNEED) != 0 ||
            mprotect(block.base(), block.allocatedSize(), PROT_NONE) != 0)
            return std::error_code(errno, std::generic_category());
        const std::lock_guard<std::mutex> guard(lock);
        a64r_arena_give_back(arena, reinterpret_cast<std::uintptr_t>(block.base()), nullptr);
        block = llvm::sys::MemoryBlock();
        return {};
    }

    // How full it is.
    a64r_range_facts describe() const {
        const std::lock_guard<std::mutex> guard(lock);
        a64r_range_facts facts = {};
        a64r_arena_describe(arena, &facts);
        return facts;
    }

private:
    MemoryMapper() = default;

    // Address space; which of its pages are whose, the arena says.
    a64r_reservation *range = nullptr;
    a64r_arena *arena = nullptr;
    mutable std::mutex lock;
};

} // namespace a64r

#endif
