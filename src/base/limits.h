// Every bound on what a peer, a disk or a child may make the hub hold or wait for, in one place.
#ifndef CH_BASE_LIMITS_H
#define CH_BASE_LIMITS_H

#include <stdint.h>

// Connections
#define CH_LIMIT_CONNECTIONS 20000
#define CH_LIMIT_MESSAGE_BYTES (16u << 20)      // default; larger: close 1009
#define CH_LIMIT_MESSAGE_BYTES_MAX (256u << 20) // what --max-message may set
#define CH_LIMIT_TEXT_BYTES (1u << 20)
#define CH_LIMIT_HANDSHAKE_US INT64_C(10000000) // from accept to a whole request head
#define CH_LIMIT_IDLE_HTTP_US INT64_C(60000000) // keep-alive without a request, or a stalled download
#define CH_LIMIT_CLOSE_US INT64_C(5000000)      // from our close frame to the end of the TCP connection
#define CH_LIMIT_PING_US INT64_C(30000000)      // silence before a ping
#define CH_LIMIT_DEAD_US INT64_C(75000000)      // silence before a camera counts as gone
#define CH_LIMIT_READ_PER_WAKEUP (2u << 20)     // then the next connection has its turn
#define CH_LIMIT_OUT_BYTES (1u << 20)           // queued control bytes of a peer that does not read
#define CH_LIMIT_REPLY_BYTES (16u << 20)        // a whole reply

// A stream's log
#define CH_LIMIT_GOP_BYTES (64u << 20) // kept for late viewers and sessions; more: none is kept
#define CH_LIMIT_GOP_US INT64_C(30000000)
#define CH_LIMIT_CLOCK_STEP_US INT64_C(10000000) // of a trusted clock: a longer step ahead is a jump
#define CH_LIMIT_NALS 4096                       // of one message; more: not a picture

// Viewers
// What one may lag behind before it jumps to the newest key frame, and so what is kept for them all.
#define CH_LIVE_LAG_US INT64_C(1000000)
#define CH_LIVE_LAG_BYTES (16u << 20)
#define CH_LIMIT_VIEWER_STUCK_US INT64_C(30000000) // without taking a byte that is there: closed
#define CH_LIVE_UNSENT_BYTES (64 << 10)            // of one viewer in the kernel and not yet on the wire, about
#define CH_LIMIT_COALESCE_US INT64_C(1000000)

// Requests
#define CH_LIMIT_BODY_BYTES (64u << 10)

// Recorder
#define CH_LIMIT_BACKLOG_BYTES (64u << 20) // of one camera not yet on disk: above, its socket is not read
// Above this it is not read for a tick, so that frames are written while the processor's caches still have them.
#define CH_BACKLOG_SOFT_BYTES (1u << 20)
#define CH_BATCH_BYTES (256u << 10)           // handed to the disk at once without waiting for the tick
#define CH_FLUSH_US INT64_C(250000)           // the tick
#define CH_SYNC_US INT64_C(1000000)           // default of --sync-interval
#define CH_LIMIT_SILENCE_US INT64_C(10000000) // of a JPEG camera: its session ends
#define CH_LIMIT_REPORT_LIST 1000             // entries of each list in session.json
#define CH_LIMIT_PARTS 64                     // MP4 parts of a session

// Children
#define CH_LIMIT_THUMBNAIL_US INT64_C(15000000)
#define CH_LIMIT_THUMBNAIL_CHILDREN 2
#define CH_LIMIT_FILM_US INT64_C(86400000000)    // of the film of a session
#define CH_LIMIT_FILM_STILL_US INT64_C(60000000) // a film's encoder that takes and gives nothing
#define CH_LIMIT_SNAPSHOT_US INT64_C(8000000)
#define CH_LIMIT_SNAPSHOT_CHILDREN 2
#define CH_LIMIT_SNAPSHOT_BYTES (32u << 20) // of a picture that a child made

// Sources and outputs
#define CH_LIMIT_SOURCES 256
#define CH_LIMIT_OUTPUTS 256
#define CH_LIMIT_OUTPUT_BYTES (512u << 10) // given to an output's child and not taken by it yet
#define CH_LIMIT_CONFIG_BYTES (1u << 20)   // of a configuration file

// Shutdown
#define CH_LIMIT_SHUTDOWN_US INT64_C(4500000)

#endif
