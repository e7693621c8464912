// Finishes what an interruption left unfinished, from the files as they lie: kill -9, power cut, full
// disk. Also makes an MP4 where only stream.h264 is left. Blocks; any thread, one at a time per folder.
#ifndef CH_SINK_RECOVER_H
#define CH_SINK_RECOVER_H

#include "sink/writer.h"

// True if the folder holds a session that was not ended: session.json says "recording", or is
// missing beside files of ours, or an MP4 of the session is still in its fragmented form and not listed as damaged.
bool ch_recover_needed(int root, const char *id);

// Ends the session; also takes up finished ones that lack their index or have a damaged part. Cuts torn tails,
// finishes every MP4 part in place, makes index, MP4s and stream.h264 agree (of a JPEG camera index and stream.mjpeg),
// writes session.json with verdict `recovered` (or `damaged`, if something had to be given up that was once written
// whole). What cannot be read is left, or put aside. Running it twice changes nothing more. A JPEG camera's film is not
// made here, and not listed any more.
// 0 and a summary; -EALREADY if nothing was to be done; -ENOENT if there is no session; -EBUSY while it is being
// recorded (its folder is locked, flock(2)); -ENOTSUP if a later version wrote it; or a negative errno.
int ch_recover_session(int root, const char *id, struct ch_session_summary *summary);

// True if the folder holds a finished session of a JPEG camera whose film is missing.
bool ch_recover_film_missing(int root, const char *id);

#endif
