// LLVM's JITLink as an applier: a graph of one block with an edge for each fixup, and `applyFixup` for each edge, as its
// fixup phase does.

#include "llvm/ExecutionEngine/JITLink/aarch64.h"

using namespace llvm;
using namespace llvm::jitlink;

namespace {

struct Work {
  LinkGraph Graph{"bench", Triple("aarch64-unknown-linux-gnu"), aarch64::getEdgeKindName};
  Block *Text = nullptr;
};

} // namespace

// Kinds: 0 CALL26, 1 ADR_PREL_PG_HI21, 2 a lo12 of either instruction, 3 ABS64. A symbol for each of `targets`, which are
// distinct.
extern "C" Work *graph_new(char *text, size_t size, uint64_t address, const uint64_t *targets, size_t symbols,
                           const uint32_t *offsets, const uint32_t *indices, const uint8_t *kinds, size_t fixups) {
  static const Edge::Kind Kinds[] = {aarch64::Branch26PCRel, aarch64::Page21, aarch64::PageOffset12, aarch64::Pointer64};
  auto *W = new Work;
  auto &Section = W->Graph.createSection("text", orc::MemProt::Read | orc::MemProt::Exec);
  W->Text = &W->Graph.createMutableContentBlock(Section, MutableArrayRef<char>(text, size), orc::ExecutorAddr(address), 8, 0);
  auto &Data = W->Graph.createSection("data", orc::MemProt::Read);
  std::vector<Symbol *> Symbols(symbols);
  for (size_t I = 0; I < symbols; ++I) {
    auto &Target = W->Graph.createZeroFillBlock(Data, 8, orc::ExecutorAddr(targets[I]), 8, 0);
    Symbols[I] = &W->Graph.addAnonymousSymbol(Target, 0, 8, false, true);
  }
  for (size_t I = 0; I < fixups; ++I)
    W->Text->addEdge(Kinds[kinds[I]], offsets[I], *Symbols[indices[I]], 0);
  return W;
}

// Applies all; how many were refused.
extern "C" size_t graph_apply(Work *W) {
  size_t Refused = 0;
  for (auto &Edge : W->Text->edges())
    if (auto Refusal = aarch64::applyFixup(W->Graph, *W->Text, Edge)) {
      consumeError(std::move(Refusal));
      ++Refused;
    }
  return Refused;
}

extern "C" void graph_free(Work *W) { delete W; }
