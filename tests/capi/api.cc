// The header in C++.
#include "aarch64_reloc.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <elf.h>
#include <memory>
#include <type_traits>

static_assert(std::is_standard_layout<a64r_section>::value && std::is_trivial<a64r_value>::value, "of C");
static_assert(sizeof(a64r_fixup) == 24 && sizeof(a64r_value) == 16, "as in Rust");

struct Free {
    void operator()(a64r_island *island) const { a64r_island_free(island); }
};

int main() {
    std::uint32_t words[] = {0x94000000};
    char line[256] = "";
    a64r_text text = {line, sizeof line, 0};
    a64r_section code = {reinterpret_cast<std::uint8_t *>(words), sizeof words, 0x400000, A64R_ENDIAN_LITTLE};
    a64r_island *made = nullptr;
    if (a64r_island_new(0x410000, 4, &made, &text) != A64R_STATUS_OK)
        return 1;
    const std::unique_ptr<a64r_island, Free> island(made);
    std::uint64_t veneer = 0;
    if (a64r_patch(&code, 0, R_AARCH64_CALL26, {0x7fff00001000, A64R_CLASS_ADDR}, &text) != A64R_STATUS_OUT_OF_RANGE ||
        std::strstr(line, "needs a veneer") == nullptr)
        return 2;
    if (a64r_island_veneer_for(island.get(), {0x7fff00001000, A64R_CLASS_ADDR}, &veneer, nullptr) != A64R_STATUS_OK ||
        a64r_patch(&code, 0, R_AARCH64_CALL26, {veneer, A64R_CLASS_ADDR}, nullptr) != A64R_STATUS_OK)
        return 3;
    if (words[0] != 0x94004000)
        return 4;
    std::puts("api in C++: passed");
    return 0;
}
