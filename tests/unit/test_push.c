// What camhub push reads: the lines of an ESP32 camera, and ffmpeg's stream of JPEGs.
#include "jpeg_maker.h"

#include "cli/push_mpjpeg.h"
#include "cli/push_sensor.h"
#include "proto/camera_jpeg.h"
#include "proto/ws.h"

#include <errno.h>
#include <stdio.h>

// --- lines ------------------------------------------------------------------------------------------

struct said {
    struct ch_push_sensor sensor;
    struct ch_push_answer answer;
};

static void take(struct said *said, const char *line)
{
    struct guard guard = guard_copy(line, strlen(line));
    union {
        const uint8_t *data;
        const char *text;
    } cast = {.data = guard.data};
    ch_push_sensor_take(&said->sensor, cast.text, strlen(line), &said->answer);
    guard_free(&guard);
}

static void assert_answer(const char *line, enum ch_push_line kind, const char *ack, const char *error)
{
    struct said said;
    ch_push_sensor_init(&said.sensor);
    take(&said, line);
    assert_int_equal(said.answer.line, kind);
    assert_string_equal(said.answer.ack, ack);
    assert_string_equal(said.answer.error, error);
}

static void test_lines(void **state)
{
    (void)state;
    assert_answer("start", CH_PUSH_LINE_START, "ACK: start VGA 12", "");
    assert_answer("start QVGA", CH_PUSH_LINE_START, "ACK: start QVGA 12", "");
    assert_answer("start 240x240 63", CH_PUSH_LINE_START, "ACK: start 240X240 63", "");
    assert_answer("  StArT\tp_3mp  1 and more\r\n", CH_PUSH_LINE_START, "ACK: start P_3MP 1", "");
    assert_answer("start 30", CH_PUSH_LINE_START, "ACK: start VGA 30", "");
    assert_answer("start 0", CH_PUSH_LINE_START, "ACK: start VGA 12", "ERROR: quality: found '0', allowed is 1 to 63");
    assert_answer("start QVGA 64", CH_PUSH_LINE_START, "ACK: start QVGA 12",
                  "ERROR: quality: found '64', allowed is 1 to 63");
    assert_answer("start -5", CH_PUSH_LINE_START, "ACK: start VGA 12",
                  "ERROR: quality: found '-5', allowed is 1 to 63");
    assert_answer("start 4:3 4 10", CH_PUSH_LINE_START, "ACK: start VGA 4",
                  "ERROR: resolution: found '4:3', allowed is QQVGA QCIF HQVGA 240X240 QVGA CIF HVGA VGA SVGA XGA HD "
                  "SXGA UXGA FHD P_HD P_3MP QXGA");
    assert_answer("stop now", CH_PUSH_LINE_STOP, "ACK: stop", "");
    assert_answer("Status", CH_PUSH_LINE_STATUS, "", "");
    assert_answer("", CH_PUSH_LINE_EMPTY, "", "");
    assert_answer(" \r\n\t ", CH_PUSH_LINE_EMPTY, "", "");
    assert_answer("starts", CH_PUSH_LINE_OTHER, "ACK: starts", "");
    assert_answer(" led on\n", CH_PUSH_LINE_OTHER, "ACK: led on", "");
    assert_answer("a\r\nb\x1b[2J", CH_PUSH_LINE_OTHER, "ACK: a  b [2J", "");
}

static void test_set(void **state)
{
    (void)state;
    assert_answer("set quality=5", CH_PUSH_LINE_SET, "ACK: set quality=5", "");
    assert_answer("SET Resolution=hd fps=0 vflip=1", CH_PUSH_LINE_SET, "ACK: set resolution=HD fps=0 vflip=1", "");
    assert_answer("set", CH_PUSH_LINE_SET, "", "ERROR: set: NAME=VALUE is missing");
    assert_answer("set zoom=2 brightness=1 brightness=3 contrast", CH_PUSH_LINE_SET, "ACK: set brightness=1",
                  "ERROR: set: there is no 'zoom'; brightness: found '3', allowed is -2 to 2; "
                  "set: found 'contrast', allowed is NAME=VALUE");
    assert_answer("set =3 hmirror= quality=5=6", CH_PUSH_LINE_SET, "",
                  "ERROR: set: there is no ''; hmirror: found '', allowed is 0 to 1; "
                  "quality: found '5=6', allowed is 1 to 63");
}

static void test_values_stay(void **state)
{
    struct said said;
    char text[CH_PUSH_SENSOR_TEXT];
    (void)state;
    ch_push_sensor_init(&said.sensor);
    take(&said, "set contrast=-1 resolution=CIF fps=25");
    take(&said, "start 40");
    take(&said, "start NOWHERE 99");
    take(&said, "status");
    ch_push_sensor_describe(&said.sensor, text);
    assert_string_equal(text, "CIF (400x296), quality 40, 25 fps, contrast -1");
}

static void test_every_resolution_has_a_size(void **state)
{
    struct ch_push_sensor sensor;
    unsigned before = 0;
    (void)state;
    ch_push_sensor_init(&sensor);
    for (unsigned i = 0; i < CH_JPEG_RESOLUTIONS; i++) {
        unsigned width, height;
        assert_int_equal(ch_push_sensor_set(&sensor, CH_PUSH_RESOLUTION, ch_jpeg_resolutions[i]), 0);
        ch_push_sensor_size(&sensor, &width, &height);
        assert_true(width % 2 == 0 && height % 2 == 0);
        if (strncmp(ch_jpeg_resolutions[i], "P_", 2) != 0) { // those stand between smaller and larger ones
            assert_true(width * height > before);
            before = width * height;
        }
    }
}

// However long the line: one text that ends with a whole character.
static void test_long_lines(void **state)
{
    static const char *const pieces[] = {"x", "\xc3\xa9", "\xe6\xb5\x8b", "\xf0\x9f\x93\xb7"};
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        for (size_t lead = 0; lead < 4; lead++) {
            struct said said;
            char line[5000] = "", set[5010];
            memset(line, 'a', lead);
            while (strlen(line) + 5 < sizeof line)
                strcat(line, pieces[i]);
            ch_push_sensor_init(&said.sensor);
            take(&said, line);
            size_t size = strlen(said.answer.ack);
            assert_true(size > CH_PUSH_ANSWER_BYTES - 5 && size < CH_PUSH_ANSWER_BYTES);
            assert_memory_equal(said.answer.ack + 5, line, size - 5);
            assert_true(ch_utf8_valid((const uint8_t *)said.answer.ack, size));
            snprintf(set, sizeof set, "set %s", line);
            take(&said, set);
            assert_true(ch_utf8_valid((const uint8_t *)said.answer.error, strlen(said.answer.error)));
        }
}

static void test_many_bad_settings(void **state)
{
    struct said said;
    char line[8000] = "set";
    (void)state;
    while (strlen(line) + 20 < sizeof line)
        strcat(line, " \xe6\xb5\x8b=1 quality=7");
    ch_push_sensor_init(&said.sensor);
    take(&said, line);
    assert_int_equal(said.sensor.value[CH_PUSH_QUALITY], 7);
    assert_true(ch_utf8_valid((const uint8_t *)said.answer.error, strlen(said.answer.error)));
    assert_true(ch_utf8_valid((const uint8_t *)said.answer.ack, strlen(said.answer.ack)));
}

// --- the stream -------------------------------------------------------------------------------------

#define HEAD "--ffmpeg\r\nContent-type: image/jpeg\r\nContent-length: %zu\r\n\r\n"

static void add_head(struct picture *out, size_t bytes)
{
    char head[128];
    add_bytes(out, head, (size_t)snprintf(head, sizeof head, HEAD, bytes));
}

static void assert_next(struct ch_push_mpjpeg *mpjpeg, const struct picture *want)
{
    const uint8_t *data;
    size_t size;
    assert_int_equal(ch_push_mpjpeg_next(mpjpeg, &data, &size), 1);
    assert_int_equal(size, want->size);
    assert_memory_equal(data, want->data, size);
}

static struct picture make_stream(struct picture pictures[3])
{
    struct picture stream = {0};
    for (unsigned i = 0; i < 3; i++) {
        pictures[i] = make_picture(16 * (i + 1), 24, i, 1000 * i);
        add_head(&stream, pictures[i].size);
        add_bytes(&stream, pictures[i].data, pictures[i].size);
        add_bytes(&stream, "\r\n", 2);
    }
    add_bytes(&stream, "--ffmpeg\r\n", 10);
    return stream;
}

static void free_stream(struct picture *stream, struct picture pictures[3])
{
    for (unsigned i = 0; i < 3; i++)
        free_picture(&pictures[i]);
    free_picture(stream);
}

// In steps of every size: each picture comes with its last byte, not later.
static void test_stream(void **state)
{
    struct picture pictures[3], stream = make_stream(pictures);
    (void)state;
    for (size_t step = 1; step <= stream.size; step = step < 40 ? step + 1 : 2 * step) {
        struct ch_push_mpjpeg mpjpeg = {0};
        unsigned found = 0;
        const uint8_t *data;
        size_t size;
        for (size_t at = 0; at < stream.size; at += step) {
            size_t n = stream.size - at < step ? stream.size - at : step;
            assert_int_equal(ch_push_mpjpeg_add(&mpjpeg, stream.data + at, n), 0);
            int rc;
            while ((rc = ch_push_mpjpeg_next(&mpjpeg, &data, &size)) == 1) {
                assert_true(found < 3);
                assert_int_equal(size, pictures[found].size);
                assert_memory_equal(data, pictures[found].data, size);
                found++;
            }
            assert_int_equal(rc, 0);
        }
        assert_int_equal(found, 3);
        ch_push_mpjpeg_clear(&mpjpeg);
    }
    struct ch_push_mpjpeg mpjpeg = {0};
    const uint8_t *data;
    size_t size, first = (size_t)snprintf(NULL, 0, HEAD, pictures[0].size) + pictures[0].size;
    assert_int_equal(ch_push_mpjpeg_add(&mpjpeg, stream.data, first - 1), 0);
    assert_int_equal(ch_push_mpjpeg_next(&mpjpeg, &data, &size), 0);
    assert_int_equal(ch_push_mpjpeg_add(&mpjpeg, stream.data + first - 1, 1), 0);
    assert_next(&mpjpeg, &pictures[0]);
    ch_push_mpjpeg_clear(&mpjpeg);
    free_stream(&stream, pictures);
}

static void assert_refused(const void *bytes, size_t size)
{
    struct ch_push_mpjpeg mpjpeg = {0};
    const uint8_t *data;
    size_t found;
    assert_int_equal(ch_push_mpjpeg_add(&mpjpeg, bytes, size), 0);
    assert_int_equal(ch_push_mpjpeg_next(&mpjpeg, &data, &found), -EBADMSG);
    ch_push_mpjpeg_clear(&mpjpeg);
}

static void test_no_such_stream(void **state)
{
    static const char *const heads[] = {
        "FLV\1\5",
        "--ffmpeg\r\nContent-type: image/jpeg\r\n\r\n",
        "--ffmpeg\r\nContent-length: 0\r\n\r\n",
        "--ffmpeg\r\nContent-length: -1\r\n\r\n",
        "--ffmpeg\r\nContent-length: 99999999999999999999\r\n\r\n",
        "--ffmpeg\r\nContent-length: 4\r\n\r\nJPEG",
    };
    uint8_t endless[4096];
    (void)state;
    for (unsigned i = 0; i < sizeof heads / sizeof *heads; i++)
        assert_refused(heads[i], strlen(heads[i]));
    memset(endless, '-', sizeof endless);
    assert_refused(endless, sizeof endless);
    // One byte less than the picture has, or one more
    struct picture picture = make_picture(16, 16, 1, 0);
    for (int wrong = -1; wrong <= 1; wrong += 2) {
        struct picture stream = {0};
        add_head(&stream, picture.size + (size_t)wrong);
        add_bytes(&stream, picture.data, picture.size);
        add_bytes(&stream, "\r\n", 2);
        assert_refused(stream.data, stream.size);
        free_picture(&stream);
    }
    free_picture(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),       cmocka_unit_test(test_set),
        cmocka_unit_test(test_values_stay), cmocka_unit_test(test_every_resolution_has_a_size),
        cmocka_unit_test(test_long_lines),  cmocka_unit_test(test_many_bad_settings),
        cmocka_unit_test(test_stream),      cmocka_unit_test(test_no_such_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
