// Reads a finished session of a JPEG camera from its beginning: the records of its indexes one after another, and the
// bytes of each picture. Blocks; one thread at a time.
#ifndef CH_SINK_JPEG_READER_H
#define CH_SINK_JPEG_READER_H

#include "sink/index.h"

#include <jansson.h>
#include <stdbool.h>

struct ch_jpeg_reader;

// True if this is the report of a finished session of a JPEG camera with pictures, whose film (stream.mp4 in `dir`) is not
// there, or not of the size that is listed. NULL is fine.
bool ch_jpeg_film_missing(int dir, const json_t *session);

// By the files that session.json lists (`dir` and `session` are borrowed until close; session.json is to be a finished
// one of a JPEG camera). 0, -ENOENT if it lists no index, -EBADMSG if it lists a file without a proper name, or a
// negative errno.
int ch_jpeg_reader_open(struct ch_jpeg_reader **reader, int dir, const json_t *session);
void ch_jpeg_reader_close(struct ch_jpeg_reader *reader); // NULL is fine

// 1 and the next picture's record; 0 at the end; -EBADMSG if an index is broken, or a negative errno. Records that are no
// picture are passed over.
int ch_jpeg_reader_next(struct ch_jpeg_reader *reader, struct ch_record *record);
// The bytes of the picture whose record came last (payload_bytes of them), borrowed until the next read. 0; -ENODATA if
// its file is gone or too short; -EBADMSG if they are not what was recorded (they are there all the same); -ENOMEM or
// the read's error.
int ch_jpeg_reader_read(struct ch_jpeg_reader *reader, const uint8_t **jpeg);

#endif
