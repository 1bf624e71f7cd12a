// Compresses text and gets it back.

#include <stdio.h>
#include <string.h>
#include <zlib.h>

int main(void) {
    static unsigned char text[1 << 16], packed[1 << 16], again[1 << 16];
    for (unsigned i = 0; i < sizeof text; i++)
        text[i] = "relocation"[i % 10] ^ (i / 1000);
    for (int level = 0; level <= 9; level += 3) {
        uLongf size = sizeof packed, back = sizeof again;
        int packing = compress2(packed, &size, text, sizeof text - 1000, level);
        int unpacking = uncompress(again, &back, packed, size);
        printf("level %d: %d %d, %lu bytes, crc %08lx, adler %08lx, %s\n", level, packing, unpacking, size,
               crc32(0, packed, size), adler32(1, again, back), memcmp(text, again, back) ? "different" : "the same");
    }
    printf("%d\n", uncompress(again, &(uLongf){sizeof again}, text, sizeof text));
    return 0;
}
