/*
 * aarch64-reloc: relocates AArch64 code. Made by capi/header from src/capi; how to use it is told in capi/README.md.
 *
 * Every pointer that is not said to be allowed null points to what its type says; where null is given all the same, the answer
 * is A64R_STATUS_NULL. No function keeps a pointer unless it says so. An object is freed by the function of its name, once.
 * Functions of one object must not run at once, but for those whose object says otherwise; of different objects they may. There
 * is no global state, and nothing is thrown. `uint32_t` arguments and fields that stand for an enumeration say so; any other
 * number is answered by A64R_STATUS_INVALID.
 */

#ifndef AARCH64_RELOC_H
#define AARCH64_RELOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Bytes of an arena whose length is given as 0.
 */
#define A64R_LLVM_LEN 1073741824

/**
 * Bytes of an arena at the most: `PREL32`, of which `.eh_frame` is full, spans no more.
 */
#define A64R_LLVM_MOST 2147483648

/**
 * What a call came to.
 */
typedef enum a64r_status {
  /**
   * Done.
   */
  A64R_STATUS_OK = 0,
  /**
   * A pointer is null that must not be.
   */
  A64R_STATUS_NULL,
  /**
   * A number is none of an enumeration, or a length is longer than any memory.
   */
  A64R_STATUS_INVALID,
  /**
   * There is no memory for what the library itself keeps.
   */
  A64R_STATUS_NO_MEMORY,
  /**
   * AAELF64 has no static relocation of this code.
   */
  A64R_STATUS_UNKNOWN_RELOCATION,
  /**
   * The place does not lie wholly inside the section.
   */
  A64R_STATUS_OUT_OF_BOUNDS,
  /**
   * The place is not aligned as its relocation wants.
   */
  A64R_STATUS_MISALIGNED_PLACE,
  /**
   * The word at the place is not an instruction that the relocation may change.
   */
  A64R_STATUS_WRONG_OPCODE,
  /**
   * The target is too far for the relocation, or out of reach of a branch of an island.
   */
  A64R_STATUS_OUT_OF_RANGE,
  /**
   * An address, a target or an alignment is not a multiple of what it must be.
   */
  A64R_STATUS_MISALIGNED,
  /**
   * The relocation takes another class of value.
   */
  A64R_STATUS_WRONG_VALUE,
  /**
   * The place would hold a pointer that is signed when the program runs.
   */
  A64R_STATUS_NEEDS_SIGNING,
  /**
   * All slots, cells or pages are in use, or no run of them is long enough.
   */
  A64R_STATUS_FULL,
  /**
   * There is no such entry, or no such segment.
   */
  A64R_STATUS_NOT_FOUND,
  /**
   * The instruction has another detour already, or the range is in use.
   */
  A64R_STATUS_TAKEN,
  /**
   * The instruction has no detour.
   */
  A64R_STATUS_NO_DETOUR,
  /**
   * The range is not whole pages, or runs past the last address.
   */
  A64R_STATUS_BAD_RANGE,
  /**
   * The place does not reach its target.
   */
  A64R_STATUS_WRONG_TARGET,
  /**
   * The place cannot be judged.
   */
  A64R_STATUS_UNVERIFIED,
  /**
   * The system refused.
   */
  A64R_STATUS_SYSTEM,
  /**
   * The address is not in sealed memory of the protection that is needed.
   */
  A64R_STATUS_OUTSIDE,
  /**
   * AArch64 code cannot be called in this process.
   */
  A64R_STATUS_FOREIGN_HOST,
  /**
   * A range is too long for what is to be in it.
   */
  A64R_STATUS_TOO_LONG,
} a64r_status;

/**
 * The classes of value that a relocation takes.
 */
typedef enum a64r_class {
  /**
   * `S + A`: the address of the target, addend included.
   */
  A64R_CLASS_ADDR = 0,
  /**
   * `G(...)`: the address of a slot of the GOT, from a function that gives slots.
   */
  A64R_CLASS_SLOT,
  /**
   * Bytes that are no address, signed: `TPREL`, `DTPREL`, or measured from the GOT.
   */
  A64R_CLASS_OFFSET,
  /**
   * Any: the relocation sets no bits.
   */
  A64R_CLASS_ANY,
} a64r_class;

/**
 * Byte orders of data. Instructions are little-endian everywhere.
 */
typedef enum a64r_endian {
  /**
   * `aarch64`.
   */
  A64R_ENDIAN_LITTLE = 0,
  /**
   * `aarch64_be`.
   */
  A64R_ENDIAN_BIG,
} a64r_endian;

/**
 * The kinds of entry (AAELF64, "Relocation operations"). A symbol may have one of each.
 */
typedef enum a64r_got_kind {
  /**
   * `GDAT(S)`: `first` is the address of S.
   */
  A64R_GOT_KIND_GDAT = 0,
  /**
   * `GTPREL(S)`: `first` is the offset of S from the thread pointer.
   */
  A64R_GOT_KIND_GTPREL,
  /**
   * `GTLSIDX(S)`, two slots: the module's number, and the offset of S in its block.
   */
  A64R_GOT_KIND_GTLSIDX,
  /**
   * `GLDM(S)`, two slots: the module's number, and nothing.
   */
  A64R_GOT_KIND_GLDM,
  /**
   * `GTLSDESC(S)`, two slots: the resolver's address, and its argument.
   */
  A64R_GOT_KIND_GTLSDESC,
} a64r_got_kind;

/**
 * What cells of an island are for.
 */
typedef enum a64r_purpose {
  /**
   * Calls of a function, by its address or through a slot.
   */
  A64R_PURPOSE_VENEER = 0,
  /**
   * Conditional branches to an address.
   */
  A64R_PURPOSE_HOP,
  /**
   * The instruction at an address.
   */
  A64R_PURPOSE_DETOUR,
  /**
   * Veneers elsewhere that lead to an address.
   */
  A64R_PURPOSE_PAD,
} a64r_purpose;

/**
 * What finished pages allow. There is no writable and executable one.
 */
typedef enum a64r_prot {
  /**
   * Constants.
   */
  A64R_PROT_READ = 0,
  /**
   * Data, and a GOT that is re-pointed while its code runs.
   */
  A64R_PROT_READ_WRITE,
  /**
   * Code.
   */
  A64R_PROT_READ_EXEC,
} a64r_prot;

/**
 * What an arena does beyond its task, to be OR-ed.
 */
typedef enum a64r_llvm_flag {
  /**
   * Before an object's memory becomes executable, decodes every instruction that makes an address from its own: `ADRP` with
   * the `ADD`, load or store after it, `ADR`, literal loads, branches. Each must lead into a section of the arena or right
   * behind one, a branch into code, and an access to `.got` must be of a slot. So it finds what RuntimeDyld truncated: a
   * reference to a symbol of the process that does not go through the GOT, in reach by luck or not at all. It takes code
   * sections to hold code alone.
   */
  A64R_LLVM_FLAG_AUDIT = 1,
} a64r_llvm_flag;

/**
 * Which pages of a range of addresses hold what. It touches no memory. One thread at a time may use it.
 */
typedef struct a64r_arena a64r_arena;

/**
 * Pages that are being linked: writable, not executable. Any threads may use it at once, but for sealing and freeing it.
 */
typedef struct a64r_draft a64r_draft;

/**
 * The ledger of a global offset table: which entry has which slots, and what stands in them. Nothing is written before
 * `a64r_got_write`. One thread at a time may use it.
 */
typedef struct a64r_got a64r_got;

/**
 * The memory of an image as it is when its code runs: bytes of the caller's, which must stay where they are until it is
 * freed. Any threads may check at once.
 */
typedef struct a64r_image a64r_image;

/**
 * The ledger of an island: what branches go through to where they do not reach. Nothing is written before
 * `a64r_island_write`. One thread at a time may use it.
 */
typedef struct a64r_island a64r_island;

/**
 * One range of addresses for the sections of all objects, of any number of JITs. Any threads may use it at once. It is
 * counted: `a64r_llvm_arena_new` and `a64r_llvm_arena_retain` are each for one `a64r_llvm_arena_release`, and contexts keep
 * its memory while they live.
 */
typedef struct a64r_llvm_arena a64r_llvm_arena;

/**
 * The memory of one object (ORC) or of all objects of one engine (MCJIT): the `Opaque` of LLVM's callbacks. One thread at a
 * time may use it, as LLVM does.
 */
typedef struct a64r_llvm_context a64r_llvm_context;

/**
 * Address space of this process that nobody else maps. It lives until it and all drafts and sealed memory of it are freed.
 * Any threads may use it at once.
 */
typedef struct a64r_reservation a64r_reservation;

/**
 * Pages of final protection, caches clean. Any threads may use it at once, but for freeing it.
 */
typedef struct a64r_sealed a64r_sealed;

/**
 * What is known of a relocation.
 */
typedef struct a64r_reloc_facts {
  /**
   * The least value before masking, in bytes, that fits. It is a distance where the relocation is relative to its place.
   */
  int64_t min;
  /**
   * The greatest.
   */
  int64_t max;
  /**
   * What the value must be a multiple of, in bytes.
   */
  uint32_t alignment;
  /**
   * What the address of the place must be a multiple of, in bytes.
   */
  uint32_t place_alignment;
  /**
   * Bytes of the place: 0, 2, 4 or 8.
   */
  uint32_t size;
  /**
   * The class of value that it takes, an `a64r_class`.
   */
  uint32_t takes;
  /**
   * Whether the value is measured from the place.
   */
  bool is_pc_relative;
} a64r_reloc_facts;

/**
 * Where a line of text is written to: a buffer of the caller's, `{buffer, sizeof buffer, 0}`. Wherever a function takes one
 * it may be null.
 *
 * A call that answers anything but `A64R_STATUS_OK` says in it what was refused and why; one that is done leaves it as it is.
 */
typedef struct a64r_text {
  /**
   * The buffer. What is written there ends with a NUL and is cut off where the buffer ends.
   */
  char *text;
  /**
   * Bytes of the buffer.
   */
  size_t capacity;
  /**
   * Set to the bytes of the whole text without its NUL, as `snprintf` counts.
   */
  size_t length;
} a64r_text;

/**
 * Bytes that are being linked, and the address they will run at: two that have nothing to do with each other. A call reads
 * and writes the bytes, which nothing else may do meanwhile.
 */
typedef struct a64r_section {
  /**
   * The bytes.
   */
  uint8_t *bytes;
  /**
   * How many there are.
   */
  size_t len;
  /**
   * The address of the first of them when the code runs.
   */
  uint64_t addr;
  /**
   * The byte order of data, an `a64r_endian`.
   */
  uint32_t endian;
} a64r_section;

/**
 * What a relocation is given.
 */
typedef struct a64r_value {
  /**
   * The address or the offset.
   */
  uint64_t bits;
  /**
   * An `a64r_class`.
   */
  uint32_t takes;
} a64r_value;

/**
 * One relocation of a batch, and what became of it.
 */
typedef struct a64r_fixup {
  /**
   * The place, in bytes from the start of the section.
   */
  uint64_t offset;
  /**
   * The address or the offset that the relocation is given.
   */
  uint64_t bits;
  /**
   * Its ELF64 code.
   */
  uint32_t reloc;
  /**
   * The class of `bits`, an `a64r_class`.
   */
  uint16_t takes;
  /**
   * Written by the batch: an `a64r_status`.
   */
  uint16_t status;
} a64r_fixup;

/**
 * What stands in an entry.
 */
typedef struct a64r_got_content {
  /**
   * An `a64r_got_kind`.
   */
  uint32_t kind;
  /**
   * What stands in the first slot.
   */
  uint64_t first;
  /**
   * What stands in the second, of an entry that has two.
   */
  uint64_t second;
} a64r_got_content;

/**
 * How full a table or an island is, in its slots or cells.
 */
typedef struct a64r_ledger_facts {
  /**
   * Its address.
   */
  uint64_t base;
  /**
   * Bytes to allocate for it: up to the highest that was ever in use.
   */
  size_t size;
  /**
   * How many are in use.
   */
  size_t used;
  /**
   * How many there are.
   */
  size_t capacity;
} a64r_ledger_facts;

/**
 * Whole pages.
 */
typedef struct a64r_pages {
  /**
   * The first address.
   */
  uint64_t addr;
  /**
   * Bytes.
   */
  uint64_t len;
} a64r_pages;

/**
 * A range of addresses, and how much of it is free.
 */
typedef struct a64r_range_facts {
  /**
   * The first address.
   */
  uint64_t addr;
  /**
   * Bytes, held and free.
   */
  uint64_t len;
  /**
   * Bytes of a page.
   */
  uint64_t page;
  /**
   * Bytes that are free.
   */
  uint64_t free;
  /**
   * Bytes of the longest run that can still be had.
   */
  uint64_t largest;
} a64r_range_facts;

/**
 * A function of any type; cast it to its own.
 */
typedef void (*a64r_function)(void);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Writes what is known of the relocation of ELF64 code `reloc`, an `R_AARCH64_...` of `<elf.h>`, to `out`, and its name, as
 * `readelf` prints it, to `name`. Either may be null.
 */
enum a64r_status a64r_reloc_describe(uint32_t reloc,
                                     struct a64r_reloc_facts *out,
                                     struct a64r_text *name);

/**
 * Applies the relocation of ELF64 code `reloc` at byte `offset` of `section`. Refused, it changes no byte.
 */
enum a64r_status a64r_patch(const struct a64r_section *section,
                            size_t offset,
                            uint32_t reloc,
                            struct a64r_value value,
                            struct a64r_text *text);

/**
 * Answers what `a64r_patch` would, and writes nothing.
 */
enum a64r_status a64r_check(const struct a64r_section *section,
                            size_t offset,
                            uint32_t reloc,
                            struct a64r_value value,
                            struct a64r_text *text);

/**
 * Whether `value` is within the range of the relocation at byte `offset` of a section that will run at `addr`. The bytes are
 * not looked at. False too where the relocation takes another class of value, or there is none of this code.
 */
bool a64r_reaches(uint64_t addr,
                  size_t offset,
                  uint32_t reloc,
                  struct a64r_value value);

/**
 * Writes to `out` the value, in bytes, that the place holds: what `a64r_patch` puts there, as far as the place has it.
 */
enum a64r_status a64r_read(const struct a64r_section *section,
                           size_t offset,
                           uint32_t reloc,
                           int64_t *out,
                           struct a64r_text *text);

/**
 * Writes an instruction at byte `offset` of `section`, a multiple of 4 bytes in the address it runs at.
 */
enum a64r_status a64r_write_word(const struct a64r_section *section,
                                 size_t offset,
                                 uint32_t word,
                                 struct a64r_text *text);

/**
 * Applies `count` fixups in order. Those that are refused keep their bytes, all others are patched; each fixup's `status`
 * says which. The answer and `text` are those of the first that was refused, and `refused`, which may be null, is set to how
 * many were. Offsets are below 4 GiB. Where places of refused fixups overlap with others, they are judged by what stands
 * there in the end.
 */
enum a64r_status a64r_patch_all(const struct a64r_section *section,
                                struct a64r_fixup *fixups,
                                size_t count,
                                size_t *refused,
                                struct a64r_text *text);

/**
 * Answers what `a64r_patch_all` would, and writes nothing but each fixup's `status`.
 */
enum a64r_status a64r_check_all(const struct a64r_section *section,
                                struct a64r_fixup *fixups,
                                size_t count,
                                size_t *refused,
                                struct a64r_text *text);

/**
 * Makes an empty table of `capacity` slots of eight bytes at `base`, a multiple of 8.
 */
enum a64r_status a64r_got_new(uint64_t base, size_t capacity, struct a64r_got **out, struct a64r_text *text);

/**
 * Frees the ledger; null is nothing.
 */
void a64r_got_free(struct a64r_got *got);

/**
 * Writes to `out` the slot of `symbol`, any number of the caller's own, for an entry of the kind of `content`: the first of
 * two if it has two. It is made if there is none; if there is one, its content stays.
 */
enum a64r_status a64r_got_slot_for(struct a64r_got *got,
                                   uint64_t symbol,
                                   struct a64r_got_content content,
                                   struct a64r_value *out,
                                   struct a64r_text *text);

/**
 * Replaces what stands in the entry of `symbol` of the kind of `content`.
 */
enum a64r_status a64r_got_repoint(struct a64r_got *got,
                                  uint64_t symbol,
                                  struct a64r_got_content content,
                                  struct a64r_text *text);

/**
 * Frees the entry of `symbol` of kind `kind`, an `a64r_got_kind`. No code may refer to it any more.
 */
enum a64r_status a64r_got_remove(struct a64r_got *got, uint64_t symbol, uint32_t kind, struct a64r_text *text);

/**
 * Writes to `out` what the `GOTOFF` relocations take of `slot`: its bytes from the base of the table; or, if `from_page`,
 * from the base's page, as `R_AARCH64_LD64_GOTPAGE_LO15` takes it.
 */
enum a64r_status a64r_got_offset_of(const struct a64r_got *got,
                                    struct a64r_value slot,
                                    bool from_page,
                                    struct a64r_value *out,
                                    struct a64r_text *text);

/**
 * Writes to `out` how full the table is.
 */
enum a64r_status a64r_got_describe(const struct a64r_got *got, struct a64r_ledger_facts *out);

/**
 * Writes the table where it lies in `section`. Where the section does not hold all of it, what comes before is written.
 */
enum a64r_status a64r_got_write(const struct a64r_got *got, const struct a64r_section *section, struct a64r_text *text);

/**
 * Makes an empty island of `capacity` cells of sixteen bytes at `base`, a multiple of 16.
 */
enum a64r_status a64r_island_new(uint64_t base, size_t capacity, struct a64r_island **out, struct a64r_text *text);

/**
 * Frees the ledger; null is nothing.
 */
void a64r_island_free(struct a64r_island *island);

/**
 * Writes to `out` the address of the veneer to `callee`, an address or a slot of the GOT, which is made if there is none. It
 * is what a `B` or `BL` goes through that does not reach the callee, and may change x16 and x17.
 */
enum a64r_status a64r_island_veneer_for(struct a64r_island *island,
                                        struct a64r_value callee,
                                        uint64_t *out,
                                        struct a64r_text *text);

/**
 * Writes to `out` the address of a `B target` for conditional branches, which is made if there is none. It must reach the
 * target.
 */
enum a64r_status a64r_island_hop_to(struct a64r_island *island,
                                    uint64_t target,
                                    uint64_t *out,
                                    struct a64r_text *text);

/**
 * Writes to `out` the address of a landing pad, `BTI c; B callee`, which is made if there is none. It must reach the callee.
 */
enum a64r_status a64r_island_pad_for(struct a64r_island *island,
                                     uint64_t callee,
                                     uint64_t *out,
                                     struct a64r_text *text);

/**
 * Replaces the instruction at byte `offset` of `section`, an `ADRP`, `ADR` or literal load of a general register that does
 * not reach `value`, by a `B` to cells that do what the relocation of ELF64 code `reloc` would have it do, in its own
 * register alone, and come back. Refused, it changes neither the section nor the island.
 */
enum a64r_status a64r_island_detour(struct a64r_island *island,
                                    const struct a64r_section *section,
                                    size_t offset,
                                    uint32_t reloc,
                                    struct a64r_value value,
                                    struct a64r_text *text);

/**
 * Frees the cells for `purpose`, an `a64r_purpose`, of `key`: a callee, a target, or the place of an instruction. Nothing may
 * branch there any more.
 */
enum a64r_status a64r_island_remove(struct a64r_island *island,
                                    uint32_t purpose,
                                    struct a64r_value key,
                                    struct a64r_text *text);

/**
 * Writes to `out` how full the island is.
 */
enum a64r_status a64r_island_describe(const struct a64r_island *island, struct a64r_ledger_facts *out);

/**
 * Writes the island where it lies in `section`. No core may execute it meanwhile. Where the section does not hold all of it,
 * what comes before is written.
 */
enum a64r_status a64r_island_write(const struct a64r_island *island,
                                   const struct a64r_section *section,
                                   struct a64r_text *text);

/**
 * Makes an arena over the `len` bytes from `base`, all free. Both are multiples of `page`, the bytes of a page: 4, 16 or 64
 * KiB.
 */
enum a64r_status a64r_arena_new(uint64_t base,
                                uint64_t len,
                                uint64_t page,
                                struct a64r_arena **out,
                                struct a64r_text *text);

/**
 * Frees the arena; null is nothing.
 */
void a64r_arena_free(struct a64r_arena *arena);

/**
 * Takes `len` bytes, rounded up to whole pages, that will have protection `prot`, an `a64r_prot`: whichever are free.
 */
enum a64r_status a64r_arena_alloc(struct a64r_arena *arena,
                                  uint32_t prot,
                                  uint64_t len,
                                  struct a64r_pages *out,
                                  struct a64r_text *text);

/**
 * Takes the `len` bytes from `addr`, a multiple of the page, rounded up to whole pages.
 */
enum a64r_status a64r_arena_alloc_at(struct a64r_arena *arena,
                                     uint32_t prot,
                                     uint64_t addr,
                                     uint64_t len,
                                     struct a64r_pages *out,
                                     struct a64r_text *text);

/**
 * Gives the pages that begin at `addr` back.
 */
enum a64r_status a64r_arena_give_back(struct a64r_arena *arena, uint64_t addr, struct a64r_text *text);

/**
 * Whether every place in the arena encodes every target in it, by the relocation of ELF64 code `reloc`.
 */
bool a64r_arena_guarantees(const struct a64r_arena *arena, uint32_t reloc);

/**
 * Writes to `out` how full the arena is.
 */
enum a64r_status a64r_arena_describe(const struct a64r_arena *arena, struct a64r_range_facts *out);

/**
 * Writes to `map` what lies where, for people.
 */
enum a64r_status a64r_arena_map(const struct a64r_arena *arena, struct a64r_text *map);

/**
 * Reserves `len` bytes, rounded up to whole pages, wherever the system likes. What comes from one reservation that is no
 * longer than an instruction reaches (2^27 bytes for `BL`, 2^31 for `PREL32`, 2^32 for `ADRP`) is in its reach.
 */
enum a64r_status a64r_reservation_new(size_t len,
                                      struct a64r_reservation **out,
                                      struct a64r_text *text);

/**
 * Reserves the `len` bytes from `addr`, a multiple of the page.
 */
enum a64r_status a64r_reservation_at(uint64_t addr, size_t len, struct a64r_reservation **out, struct a64r_text *text);

/**
 * Frees this handle; null is nothing.
 */
void a64r_reservation_free(struct a64r_reservation *reservation);

/**
 * Writes to `out` where the reservation is and how full.
 */
enum a64r_status a64r_reservation_describe(const struct a64r_reservation *reservation, struct a64r_range_facts *out);

/**
 * Writes to `map` what lies where, for people.
 */
enum a64r_status a64r_reservation_map(const struct a64r_reservation *reservation, struct a64r_text *map);

/**
 * Begins an empty draft.
 */
enum a64r_status a64r_draft_new(const struct a64r_reservation *reservation,
                                struct a64r_draft **out,
                                struct a64r_text *text);

/**
 * Frees the draft and its pages; null is nothing.
 */
void a64r_draft_free(struct a64r_draft *draft);

/**
 * Writes to `out` a section of `len` zero bytes, at a multiple of `align`, a power of two, on pages of its own that will have
 * protection `prot`, an `a64r_prot`. Its bytes are valid until the draft is sealed or freed, its address after that too.
 */
enum a64r_status a64r_draft_alloc(const struct a64r_draft *draft,
                                  uint32_t prot,
                                  size_t len,
                                  uint64_t align,
                                  struct a64r_section *out,
                                  struct a64r_text *text);

/**
 * Makes the pages of `draft` what they were asked for as, and their code what every core fetches. The draft is gone, whatever
 * the answer; if that is not `A64R_STATUS_OK`, so are its pages.
 */
enum a64r_status a64r_draft_seal(struct a64r_draft *draft,
                                 struct a64r_sealed **out,
                                 struct a64r_text *text);

/**
 * Frees the memory, of which nothing may run or be used any more; null is nothing.
 */
void a64r_sealed_free(struct a64r_sealed *sealed);

/**
 * Writes to `out` the function at `entry`, which is in code of `sealed`.
 */
enum a64r_status a64r_sealed_function(const struct a64r_sealed *sealed,
                                      uint64_t entry,
                                      a64r_function *out,
                                      struct a64r_text *text);

/**
 * Writes to `out` the eight bytes at `at`, in writable memory of `sealed`, read at once.
 */
enum a64r_status a64r_sealed_load(const struct a64r_sealed *sealed, uint64_t at, uint64_t *out, struct a64r_text *text);

/**
 * Replaces the eight bytes at `at`, in writable memory of `sealed`, at once: re-points a slot of the GOT under the code that
 * uses it, which expects what `value` is.
 */
enum a64r_status a64r_sealed_store(const struct a64r_sealed *sealed,
                                   uint64_t at,
                                   uint64_t value,
                                   struct a64r_text *text);

/**
 * Makes an image without memory, whose data is in byte order `endian`, an `a64r_endian`.
 */
enum a64r_status a64r_image_new(uint32_t endian, struct a64r_image **out, struct a64r_text *text);

/**
 * Frees the image; null is nothing.
 */
void a64r_image_free(struct a64r_image *image);

/**
 * Adds the `len` bytes from `bytes`, which run at `addr`. If `is_got`, they are a global offset table, whose words are slots
 * and from whose base offsets may be measured. Where it begins within another that was added, it hides that from there on.
 */
enum a64r_status a64r_image_add(struct a64r_image *image,
                                uint64_t addr,
                                const uint8_t *bytes,
                                size_t len,
                                bool is_got,
                                struct a64r_text *text);

/**
 * Judges the place of the relocation of ELF64 code `reloc` at address `place`, which must reach `symbol + addend`; `symbol`
 * is null where nothing defines it. Of a relocation to a slot of the GOT, the slot must hold the symbol.
 *
 * The answer is `A64R_STATUS_OK`, `A64R_STATUS_WRONG_TARGET` with what is reached instead in `text`, or
 * `A64R_STATUS_UNVERIFIED` where the place cannot be judged: thread-local storage, and what is decided at run time.
 */
enum a64r_status a64r_image_check(const struct a64r_image *image,
                                  uint64_t place,
                                  uint32_t reloc,
                                  const uint64_t *symbol,
                                  int64_t addend,
                                  struct a64r_text *text);

/**
 * Reserves an arena of `len` bytes, at most `A64R_LLVM_MOST`, or of `A64R_LLVM_LEN` if that is 0. It costs address space
 * alone until objects come. `flags` are of `a64r_llvm_flag`.
 */
enum a64r_status a64r_llvm_arena_new(size_t len,
                                     uint32_t flags,
                                     struct a64r_llvm_arena **out,
                                     struct a64r_text *text);

/**
 * Counts one more owner of `arena` and returns it.
 */
struct a64r_llvm_arena *a64r_llvm_arena_retain(struct a64r_llvm_arena *arena);

/**
 * Counts one owner of `arena` less; null is nothing. The address space goes back to the system when there is neither an owner
 * nor a context.
 */
void a64r_llvm_arena_release(struct a64r_llvm_arena *arena);

/**
 * Writes to `out` where the arena is and how full.
 */
enum a64r_status a64r_llvm_arena_describe(const struct a64r_llvm_arena *arena, struct a64r_range_facts *out);

/**
 * Makes a context for `LLVMCreateSimpleMCJITMemoryManager`, which the memory manager destroys.
 *
 * MCJIT has no way to hear that memory is refused: a section that is null ends the process, and the answer of finalizing is
 * not looked at. So what was refused is written to standard error as well, and its code never becomes executable.
 */
enum a64r_status a64r_llvm_mcjit_context(const struct a64r_llvm_arena *arena,
                                         struct a64r_llvm_context **out,
                                         struct a64r_text *text);

/**
 * `LLVMMemoryManagerCreateContextCallback`, whose `CtxCtx` is an `a64r_llvm_arena`: the memory of one object.
 *
 * If the arena has no room, the object is linked in memory that never becomes executable, and finalizing it answers with an
 * error, by which its symbols fail to materialize.
 */
void *a64r_llvm_create_context(void *arena);

/**
 * `LLVMMemoryManagerNotifyTerminatingCallback`: releases the arena, which the layer owned.
 */
void a64r_llvm_notify_terminating(void *arena);

/**
 * `LLVMMemoryManagerAllocateCodeSectionCallback`.
 */
uint8_t *a64r_llvm_allocate_code(void *context,
                                 size_t size,
                                 unsigned int alignment,
                                 unsigned int section,
                                 const char *name);

/**
 * `LLVMMemoryManagerAllocateDataSectionCallback`.
 */
uint8_t *a64r_llvm_allocate_data(void *context,
                                 size_t size,
                                 unsigned int alignment,
                                 unsigned int section,
                                 const char *name,
                                 int is_read_only);

/**
 * `LLVMMemoryManagerFinalizeMemoryCallback`: sets the protections, cleans the caches, and answers 0; or 1, and why in
 * `message`, which LLVM frees. LLVM has registered the object's `.eh_frame` by then; of one that is refused it is
 * deregistered.
 */
int a64r_llvm_finalize(void *context, char **message);

/**
 * `LLVMMemoryManagerDestroyCallback`: gives all memory of the context back to the arena. None of its code runs any more, and
 * its `.eh_frame` is not registered.
 */
void a64r_llvm_destroy(void *context);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* AARCH64_RELOC_H */
