// What the C++ programs share, and what is checked beside right answers.
#ifndef CHECKS_HPP
#define CHECKS_HPP

#include "aarch64_reloc_llvm.hpp"

extern "C" {
#include "jit.h"
}

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/CodeGen.h>
#include <llvm/Target/TargetMachine.h>
#include <optional>
#include <string>

// Runs every check in a process of its own, and prints what became of each; 0 if all is well.
int checks();

void initialize();
std::unique_ptr<llvm::Module> parse(llvm::LLVMContext &context, unsigned number);
llvm::orc::ThreadSafeModule thread_safe(const std::string &text);
llvm::orc::LLJITBuilder lljit_builder(llvm::Reloc::Model relocation, std::optional<llvm::CodeModel::Model> model);
// A JIT that finds the symbols of the process.
std::unique_ptr<llvm::orc::LLJIT> lljit(llvm::orc::LLJITBuilder &builder);
a64r::Arena arena(std::uint32_t flags, std::size_t length = 0);
std::string name(const char *stem, unsigned number);

// Calls the entry of module `number`; 0 if the answer is right.
int call(std::uint64_t entry, unsigned number);

// Ends the process where there is an error.
void must(llvm::Error error);

template <typename T> T must(llvm::Expected<T> value) {
    must(value.takeError());
    return std::forward<T>(*value);
}

inline std::uint64_t address(llvm::orc::ExecutorAddr found) { return found.getValue(); }

#endif
