// A camera as the API and the events show it: schemas Camera, CameraDetails and Figures of docs/openapi.json.
// One thread: the loop's. All return a new value, or NULL without memory.
#ifndef CH_APP_CAMERA_JSON_H
#define CH_APP_CAMERA_JSON_H

#include "app/camera.h"

json_t *ch_camera_to_json(const struct ch_camera *camera);
json_t *ch_camera_details_to_json(const struct ch_camera *camera);
json_t *ch_camera_figures_to_json(const struct ch_camera *camera);
json_t *ch_camera_answer_to_json(const struct ch_camera_note *answer); // null if there is none
json_t *ch_cameras_to_json(const struct ch_hub *hub);                  // all, by name

#endif
