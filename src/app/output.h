// An output: pushes a camera's pictures and sound to an RTMP, RTSP or SRT server, as they are, through an ffmpeg child
// that reads FLV. It runs while the camera sends, and of a source keeps it running. To the stream it is one more viewer
// that may be slow.
// One thread: the loop's.
#ifndef CH_APP_OUTPUT_H
#define CH_APP_OUTPUT_H

#include "app/camera.h"
#include "app/config.h"

struct ch_output;

int ch_output_add(struct ch_hub *hub, const struct ch_output_config *config); // 0 or -ENOMEM
void ch_output_remove(struct ch_output *output);                              // its child may take a while
const struct ch_output_config *ch_output_config_of(const struct ch_output *output);
struct ch_output *ch_output_next(const struct ch_output *output);       // in hub->outputs
struct ch_output *ch_output_find(struct ch_hub *hub, const char *name); // or NULL

// The camera's stream goes away.
void ch_outputs_detach(struct ch_camera *camera);
// How many there are for this camera; of a source, so many keep it running.
unsigned ch_outputs_of(const struct ch_camera *camera);
void ch_outputs_housekeep(struct ch_hub *hub, int64_t now_us); // once per second, and when something changed

json_t *ch_outputs_to_json(const struct ch_camera *camera); // schema Output, of a camera, by name; NULL without memory

// For /metrics.
struct ch_output_facts {
    const char *name, *camera;
    bool running;
    uint64_t restarts, bytes, frames, dropped;
};
// The n-th of all. False behind the last.
bool ch_output_facts(const struct ch_hub *hub, unsigned n, struct ch_output_facts *out);

#endif
