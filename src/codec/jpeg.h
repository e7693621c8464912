// JPEG as far as a hub must understand it: is this one whole picture, how large is it, where does it end?
// ITU-T T.81: the markers of B.1.1.3 are walked from SOI to EOI; entropy-coded data is passed over and not decoded,
// so a picture whose coefficients are garbage passes.
//
// Pure: bytes in, facts out. Any bytes may be given, none outside [data, data + size) is read, and the time is linear.
#ifndef CH_CODEC_JPEG_H
#define CH_CODEC_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ch_jpeg {
    uint32_t width, height; // 1 to 65535, as the frame header says (or the DNL segment, B.2.5)
    unsigned components;    // 1 to 4
    size_t bytes;           // from SOI up to and with EOI
    size_t zeros;           // zero bytes right behind EOI: cameras pad to their transfer size
    size_t other;           // bytes behind those: not of this picture
};

// 0, or on failure:
//   -EBADMSG  no JPEG: no SOI in front, no picture between SOI and EOI, a marker where none may be, a segment whose
//             size is impossible, a second frame header, a size of 0, more than 4 components, or a hierarchical
//             picture (which nobody shows)
//   -ENODATA  right so far, but it ends before its EOI: torn, or not all of it is there yet
// *out is filled on success only.
int ch_jpeg_parse(const uint8_t *data, size_t size, struct ch_jpeg *out);

// Where the next picture may begin, at or behind `from`: an SOI and the first byte of another marker. `size` if nowhere.
size_t ch_jpeg_find(const uint8_t *data, size_t size, size_t from);

#endif
