// QR codes as pictures.
#ifndef CH_APP_QR_H
#define CH_APP_QR_H

#include <stddef.h>

// An SVG of the text (1 to 500 bytes), black on white with the quiet zone that scanners need. Owned by the caller;
// NULL without memory.
char *ch_qr_svg(const char *text, size_t *size);

#endif
