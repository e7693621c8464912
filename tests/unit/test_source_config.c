// Copies of a source's configuration, and what counts as the same.
#include "unit.h"

#include "source/source_config.h"

#include <stdio.h>
#include <stdlib.h>

static char **list(const char *a, const char *b)
{
    char **out = calloc(3, sizeof *out);
    out[0] = strdup(a);
    out[1] = b ? strdup(b) : NULL;
    return out;
}

static struct ch_source_config *full(void)
{
    struct ch_source_config *config = calloc(1, sizeof *config);
    snprintf(config->name, sizeof config->name, "bench");
    config->type = CH_SOURCE_WINDOW;
    config->region = (struct ch_region){true, 1, 2, 32, 48};
    config->display = strdup(":1");
    config->display_index = 3;
    config->window_title = strdup("Editor");
    config->find_by_substring = config->draw_mouse = true;
    config->url = strdup("rtsp://host/1");
    config->transport = CH_TRANSPORT_TCP;
    config->timeout_us = 1000000;
    config->reconnect_delay_us = 2000000;
    config->max_reconnect_attempts = 4;
    config->device = strdup("/dev/video1");
    config->input_format = strdup("mjpeg");
    config->width = 640;
    config->height = 480;
    config->path = strdup("clip.mp4");
    config->loop = true;
    config->args = list("-i", "in");
    config->audio = true;
    config->audio_args = list("-i", "sound");
    config->record_always = true;
    config->encode = (struct ch_encode){"2M", 30, "fast", "film", true};
    config->process = (struct ch_source_process){3, 60000000, 30000000, 15000000, 5, 4096u << 20};
    return config;
}

static void copies(void **state)
{
    (void)state;
    struct ch_source_config *config = full(), *copy = ch_source_config_copy(config);
    assert_non_null(copy);
    assert_true(ch_source_config_same(config, copy));
    assert_ptr_not_equal(config->url, copy->url);
    assert_ptr_not_equal(config->args[0], copy->args[0]);
    ch_source_config_free(config); // the copy stands alone
    config = full();
    assert_true(ch_source_config_same(config, copy) && ch_source_config_same(copy, config));
    assert_string_equal(copy->audio_args[1], "sound");
    assert_null(copy->audio_args[2]);
    ch_source_config_free(config);
    ch_source_config_free(copy);
    ch_source_config_free(NULL);
}

static void empty(void **state)
{
    (void)state;
    struct ch_source_config none = {.type = CH_SOURCE_SCREEN}, *copy = ch_source_config_copy(&none), *other = full();
    assert_true(ch_source_config_same(&none, copy));
    assert_null(copy->url);
    assert_null(copy->args);
    assert_false(ch_source_config_same(&none, other));
    ch_source_config_free(copy);
    ch_source_config_free(other);
}

static void set_text(char **text, const char *to)
{
    free(*text);
    *text = to ? strdup(to) : NULL;
}

static void cut_list(char ***items) // to its first item
{
    free((*items)[1]);
    (*items)[1] = NULL;
}

#define CHANGES 44
// Changes one thing; false if there is no such change.
static bool change(struct ch_source_config *c, int which)
{
    switch (which) {
    case 0: c->name[0] = 'B'; break;
    case 1: c->type = CH_SOURCE_FILE; break;
    case 2: c->region.set = false; break;
    case 3: c->region.x++; break;
    case 4: c->region.y++; break;
    case 5: c->region.width++; break;
    case 6: c->region.height++; break;
    case 7: set_text(&c->display, ":2"); break;
    case 8: set_text(&c->display, NULL); break;
    case 9: c->display_index++; break;
    case 10: set_text(&c->window_title, "editor"); break;
    case 11: c->find_by_substring = false; break;
    case 12: c->draw_mouse = false; break;
    case 13: set_text(&c->url, "rtsp://host/2"); break;
    case 14: c->transport = CH_TRANSPORT_UDP; break;
    case 15: c->timeout_us++; break;
    case 16: c->reconnect_delay_us++; break;
    case 17: c->max_reconnect_attempts++; break;
    case 18: set_text(&c->device, "/dev/video2"); break;
    case 19: set_text(&c->input_format, NULL); break;
    case 20: c->width++; break;
    case 21: c->height++; break;
    case 22: set_text(&c->path, "clip2.mp4"); break;
    case 23: c->loop = false; break;
    case 24: set_text(&c->args[1], "other"); break;
    case 25: cut_list(&c->args); break;
    case 26: set_text(&c->args[0], "-j"); break;
    case 27: c->audio = false; break;
    case 28: set_text(&c->audio_args[0], "-j"); break;
    case 29: cut_list(&c->audio_args); break;
    case 30: c->record_always = false; break;
    case 31: c->encode.bitrate[0] = '3'; break;
    case 32: c->encode.framerate++; break;
    case 33: c->encode.preset[0] = 'l'; break;
    case 34: c->encode.tune[0] = 'F'; break;
    case 35: c->encode.always = false; break;
    case 36: c->process.crash_threshold++; break;
    case 37: c->process.crash_window_us++; break;
    case 38: c->process.shutdown_timeout_us++; break;
    case 39: c->process.stall_timeout_us++; break;
    case 40: c->process.nice++; break;
    case 41: c->process.memory_bytes++; break;
    case 42: set_text(&c->url, ""); break;
    case 43: set_text(&c->window_title, NULL); break;
    default: return false;
    }
    return true;
}

static void every_change_is_seen(void **state)
{
    (void)state;
    for (int i = 0; i < CHANGES; i++) {
        struct ch_source_config *config = full(), *other = full();
        assert_true(change(other, i));
        if (ch_source_config_same(config, other) || ch_source_config_same(other, config))
            fail_msg("change %d is not seen", i);
        struct ch_source_config *copy = ch_source_config_copy(other);
        assert_true(ch_source_config_same(copy, other)); // so it is copied
        ch_source_config_free(copy);
        ch_source_config_free(config);
        ch_source_config_free(other);
    }
    struct ch_source_config *config = full();
    assert_false(change(config, CHANGES));
    ch_source_config_free(config);
}

static void numbers_of_no_region(void **state)
{
    (void)state;
    struct ch_source_config *a = full(), *b = full();
    a->region = (struct ch_region){.set = false, .x = 7};
    b->region = (struct ch_region){.set = false, .width = 9};
    assert_true(ch_source_config_same(a, b));
    ch_source_config_free(a);
    ch_source_config_free(b);
}

static void list_or_none(void **state)
{
    (void)state;
    struct ch_source_config *a = full(), *b = full();
    free(b->args[0]);
    free(b->args[1]);
    free(b->args);
    b->args = NULL;
    assert_false(ch_source_config_same(a, b));
    assert_false(ch_source_config_same(b, a));
    ch_source_config_free(a);
    ch_source_config_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies),
        cmocka_unit_test(empty),
        cmocka_unit_test(every_change_is_seen),
        cmocka_unit_test(numbers_of_no_region),
        cmocka_unit_test(list_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
