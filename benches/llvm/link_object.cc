// LLVM's in-process linkers, each given the same object several times: `link_object jitlink|rtdyld TIMES OBJECT` prints the
// nanoseconds of processor time that each link took, one a line. Nothing is run, so that the machine may be any.

#include "llvm/ExecutionEngine/JITLink/JITLink.h"
#include "llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h"
#include "llvm/ExecutionEngine/RuntimeDyld.h"
#include "llvm/ExecutionEngine/SectionMemoryManager.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <ctime>

using namespace llvm;
using namespace llvm::jitlink;

namespace {

ExitOnError Check;

// A link from the parsed object to finalized memory, which is given back after.
class Context : public JITLinkContext {
public:
  explicit Context(JITLinkMemoryManager &Memory) : JITLinkContext(nullptr), Memory(Memory) {}

  JITLinkMemoryManager &getMemoryManager() override { return Memory; }
  void notifyFailed(Error Failure) override { Check(std::move(Failure)); }
  void lookup(const LookupMap &, std::unique_ptr<JITLinkAsyncLookupContinuation> Found) override {
    Found->run(AsyncLookupResult());
  }
  Error notifyResolved(LinkGraph &) override { return Error::success(); }
  void notifyFinalized(JITLinkMemoryManager::FinalizedAlloc Allocation) override {
    Check(Memory.deallocate(std::move(Allocation)));
  }

private:
  JITLinkMemoryManager &Memory;
};

void linkByJITLink(MemoryBufferRef Object) {
  auto Memory = Check(InProcessMemoryManager::Create());
  auto Graph = Check(createLinkGraphFromObject(Object));
  link(std::move(Graph), std::make_unique<Context>(*Memory));
}

class NoSymbols : public LegacyJITSymbolResolver {
  JITSymbol findSymbol(const std::string &) override { return nullptr; }
  JITSymbol findSymbolInLogicalDylib(const std::string &) override { return nullptr; }
};

void linkByRuntimeDyld(MemoryBufferRef Object) {
  SectionMemoryManager Memory;
  NoSymbols Resolver;
  RuntimeDyld Linker(Memory, Resolver);
  auto File = Check(object::ObjectFile::createObjectFile(Object));
  Linker.loadObject(*File);
  Linker.finalizeWithMemoryManagerLocking();
  if (Linker.hasError()) {
    errs() << Linker.getErrorString() << "\n";
    exit(1);
  }
}

uint64_t now() {
  timespec Time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &Time);
  return uint64_t(Time.tv_sec) * 1000000000 + Time.tv_nsec;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 4)
    return 2;
  auto Object = Check(errorOrToExpected(MemoryBuffer::getFile(argv[3], false, false)));
  auto *Link = StringRef(argv[1]) == "jitlink" ? linkByJITLink : linkByRuntimeDyld;
  for (int Times = atoi(argv[2]); Times > 0; --Times) {
    uint64_t Start = now();
    Link(Object->getMemBufferRef());
    outs() << now() - Start << "\n";
  }
}
