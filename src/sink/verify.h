// Checks a finished session against itself: every file against frames.idx, frames.idx against session.json.
// Reads everything, writes nothing. Blocks; any thread.
#ifndef CH_SINK_VERIFY_H
#define CH_SINK_VERIFY_H

#include "sink/report.h"

struct ch_verification {
    enum ch_verdict verdict; // what session.json says, or CH_VERDICT_DAMAGED
    char reason[256];        // one sentence
    uint64_t frames, missing, bytes;
    json_t *problems; // array of strings, owned: everything found wrong, at most CH_LIMIT_REPORT_LIST
};

// `path` is a session folder. 0, or a negative errno if it cannot be read or is no session.
int ch_verify_session(const char *path, struct ch_verification *out);
void ch_verification_deinit(struct ch_verification *verification);

#endif
