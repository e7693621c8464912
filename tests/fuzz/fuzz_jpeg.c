// Any bytes as a JPEG: what is accepted has its markers, adds up to the input, and is torn at every shorter length.
#include "fuzz.h"

#include "codec/jpeg.h"

#include <errno.h>
#include <stdlib.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

static int parse_copy(const uint8_t *data, size_t size, struct ch_jpeg *out)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); // its own size, so that a sanitizer sees the first byte too far
    check(copy != NULL);
    for (size_t i = 0; i < size; i++)
        copy[i] = data[i];
    int rc = ch_jpeg_parse(copy, size, out);
    free(copy);
    return rc;
}

static void check_found(const uint8_t *data, size_t size)
{
    size_t last = 0;
    for (size_t at = ch_jpeg_find(data, size, 0); at < size; at = ch_jpeg_find(data, size, at + 1)) {
        check(at >= last && size - at >= 3 && data[at] == 0xFF && data[at + 1] == 0xD8 && data[at + 2] == 0xFF);
        last = at + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ch_jpeg jpeg, again;
    check_found(data, size);
    int rc = ch_jpeg_parse(data, size, &jpeg);
    check(rc == 0 || rc == -EBADMSG || rc == -ENODATA);
    if (rc < 0)
        return 0;
    check(jpeg.width >= 1 && jpeg.width <= 65535 && jpeg.height >= 1 && jpeg.height <= 65535);
    check(jpeg.components >= 1 && jpeg.components <= 4);
    check(jpeg.bytes >= 4 && jpeg.bytes + jpeg.zeros + jpeg.other == size);
    check(data[0] == 0xFF && data[1] == 0xD8 && data[jpeg.bytes - 2] == 0xFF && data[jpeg.bytes - 1] == 0xD9);
    check(parse_copy(data, jpeg.bytes, &again) == 0 && again.bytes == jpeg.bytes && again.zeros + again.other == 0);
    size_t step = 1 + jpeg.bytes / 64;
    for (size_t cut = jpeg.bytes - 1; cut > step; cut -= step)
        check(parse_copy(data, cut, &again) == -ENODATA);
    return 0;
}
