// What ffmpeg's last words mean: whether another way of running it may help, and what a person is told. Pure.
//
// The texts are those of ffmpeg 4 to 7; they are looked for anywhere in a line, as what stands around them varies.
// Lines begin with a level ("[error]"), as ffmpeg_args asks for it.
#ifndef CH_SOURCE_COMPLAINT_H
#define CH_SOURCE_COMPLAINT_H

#include "source/ffmpeg_args.h"

#include <stddef.h>

// Changes `way` if the lines ('\n' between them) of a run that failed say what to do better. False: they do not, or it
// has been tried. Never because of a fault of the network. `nothing_came`: the run has not written a single item.
// `network`: the input is a CH_SOURCE_NETWORK.
bool ch_complaint_remedy(const char *lines, bool nothing_came, bool network, struct ch_ffmpeg_way *way);

// The line that says most of what went wrong, without what ffmpeg puts in front, or words of our own for it; "" if
// there is none. Cut to `room` - 1 bytes, between characters.
void ch_complaint_words(const char *lines, enum ch_source_type type, char *out, size_t room);

#endif
