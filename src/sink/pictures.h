// The ring of a JPEG camera's newest pictures as files: images/frame_YYYYMMDD_HHMMSS_NNN.jpg in the recordings folder, of
// a camera that named itself images/NAME/frame_... At most CH_PICTURES_KEPT stay, the oldest goes, also those of earlier
// runs. It is no recording: nothing is synced, and what cannot be written is left out; errors are logged once a stretch.
//
// Blocks: for jobs of one disk lane, one at a time. There is one object for a folder.
#ifndef CH_SINK_PICTURES_H
#define CH_SINK_PICTURES_H

#include <stddef.h>
#include <stdint.h>

#define CH_PICTURES_KEPT 200
#define CH_PICTURES_FOLDER "images"

struct ch_pictures;

// `root` is the recordings folder (borrowed until close), root_path its name for log lines, `name` the camera's or
// NULL. The folder is made, and looked through, with the first picture. NULL without memory.
struct ch_pictures *ch_pictures_open(int root, const char *root_path, const char *name);
void ch_pictures_close(struct ch_pictures *pictures); // NULL is fine

// Keeps a picture: `wall_us` and `number` (from 1 with each connection) make its name. It appears whole, in one step.
// 0 or a negative errno, which has been logged.
int ch_pictures_add(struct ch_pictures *pictures, const void *jpeg, size_t size, int64_t wall_us, uint32_t number);

#endif
