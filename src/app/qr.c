#include "app/qr.h"

#include <qrencode.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET 4 // modules, ISO/IEC 18004 5.3.8

static void write_modules(FILE *out, const QRcode *code)
{
    for (int y = 0; y < code->width; y++) {
        for (int x = 0, run; x < code->width; x += run) {
            const unsigned char *row = code->data + y * code->width;
            bool dark = row[x] & 1;
            for (run = 1; x + run < code->width && (row[x + run] & 1) == dark;)
                run++;
            if (dark)
                fprintf(out, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, run, run);
        }
    }
}

char *ch_qr_svg(const char *text, size_t *size)
{
    char *svg = NULL;
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
    FILE *out = code ? open_memstream(&svg, size) : NULL;
    if (out) {
        int side = code->width + 2 * QUIET;
        fprintf(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">"
                "<path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/><path d=\"",
                side, side, side, side);
        write_modules(out, code);
        fputs("\"/></svg>\n", out);
        if (fclose(out) != 0) {
            free(svg);
            svg = NULL;
        }
    }
    QRcode_free(code);
    return svg;
}
