// Parameter sets on their way through a stream: what makes a configuration, what travels in the samples, what
// is a key frame, and that nothing a camera sends puts any of it out of order.
#include "stream_maker.h"

#include "base/limits.h"
#include "stream/assembler.h"

struct camera {
    struct ch_assembler *assembler;
    uint32_t frame_num;
    struct ch_params *params; // of the frame before; a reference
};

static struct camera plug_in(void)
{
    struct camera camera = {.assembler = ch_assembler_new()};
    assert_non_null(camera.assembler);
    return camera;
}

static void unplug(struct camera *camera)
{
    ch_params_unref(camera->params);
    ch_assembler_free(camera->assembler);
}

// What must be true of every frame whatever was sent.
static void assert_sane(const struct camera *camera, const struct ch_frame *frame)
{
    unsigned kinds = CH_FRAME_PICTURE | CH_FRAME_PARAMETERS | CH_FRAME_JUNK;
    assert_int_equal(__builtin_popcount(frame->flags & kinds), 1);
    assert_true(!(frame->flags & CH_FRAME_KEY) || frame->sample);
    assert_int_equal(frame->sample != NULL, frame->params != NULL);
    assert_true(!frame->sample || (frame->flags & CH_FRAME_PICTURE));
    if (frame->params && frame->params != camera->params)
        assert_true(frame->flags & CH_FRAME_KEY); // a configuration begins at a key frame
}

// Sends one message and takes its payload.
static struct ch_frame *send(struct camera *camera, struct buffer *payload)
{
    struct ch_frame *frame = receive(payload, 0, 0);
    assert_int_equal(ch_assembler_take(camera->assembler, frame), 0);
    struct buffer back = annexb_of(frame);
    assert_int_equal(back.size, payload->size);
    if (back.size > 0)
        assert_memory_equal(back.data, payload->data, back.size);
    assert_sane(camera, frame);
    if (frame->params) {
        ch_params_unref(camera->params);
        camera->params = ch_params_ref(frame->params);
    }
    empty(&back);
    empty(payload);
    return frame;
}

static struct ch_frame *send_unit(struct camera *camera, struct unit unit)
{
    struct buffer payload = {0};
    put_made(&payload, unit);
    return send(camera, &payload);
}

static struct unit slice_of(struct camera *camera, const struct recipe *recipe, bool idr, uint32_t pps_id)
{
    camera->frame_num = idr ? 0 : camera->frame_num + 1;
    return make_slice(
        recipe,
        &(struct slice_recipe){
            .idr = idr, .pps_id = pps_id, .frame_num = camera->frame_num, .noise = camera->frame_num, .bytes = 20});
}

static struct ch_frame *send_slice(struct camera *camera, const struct recipe *recipe, bool idr, uint32_t pps_id)
{
    return send_unit(camera, slice_of(camera, recipe, idr, pps_id));
}

static struct ch_frame *send_with_sets(struct camera *camera, const struct recipe *recipe)
{
    struct buffer payload = {0};
    put_sets(&payload, recipe);
    put_made(&payload, slice_of(camera, recipe, true, 0));
    return send(camera, &payload);
}

static void drop(struct ch_frame *frame)
{
    ch_frame_unref(frame);
}

// The nth NAL unit of a sample; its size, 0 if there are fewer.
static size_t unit_of(const struct ch_frame *frame, size_t n, const uint8_t **data)
{
    for (size_t at = 0; at < frame->sample_bytes;) {
        size_t size = ch_get_be32(frame->sample + at);
        *data = frame->sample + at + 4;
        at += 4 + size;
        assert_true(at <= frame->sample_bytes);
        if (n-- == 0)
            return size;
    }
    return 0;
}

// The nal_unit_types of a sample, one letter each: s(lice) i(dr) p(ps) q (sps) ?.
static const char *types_of(const struct ch_frame *frame)
{
    static char types[64];
    const uint8_t *data;
    size_t n = 0;
    while (frame->sample && unit_of(frame, n, &data) > 0) {
        unsigned type = data[0] & 31u;
        types[n++] = type == 1 ? 's' : type == 5 ? 'i' : type == 8 ? 'p' : type == 7 ? 'q' : '?';
        assert_true(n < sizeof types);
    }
    types[n] = 0;
    return types;
}

static bool first_unit_is(const struct ch_frame *frame, struct unit unit)
{
    const uint8_t *data;
    return unit_of(frame, 0, &data) == unit.size && memcmp(data, unit.data, unit.size) == 0;
}

// --- where parameter sets come -------------------------------------------------------------------------

static void test_sets_once(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    struct buffer payload = {0};
    put_sets(&payload, &recipe);
    struct ch_frame *frame = send(&camera, &payload);
    assert_int_equal(frame->flags, CH_FRAME_PARAMETERS);
    drop(frame);
    frame = send_slice(&camera, &recipe, true, 0);
    assert_int_equal(frame->flags, CH_FRAME_KEY | CH_FRAME_PICTURE);
    assert_string_equal(types_of(frame), "i");
    assert_int_equal(frame->params->width, 320);
    assert_int_equal(frame->params->height, 240);
    assert_int_equal(frame->params->reorder_depth, 0);
    assert_int_equal(frame->params->nominal_step_ticks, 3000);
    assert_string_equal(frame->params->codec, "avc1.42C01E");
    struct unit sps = make_sps(&recipe), pps = make_pps(0, 0, false), other = make_pps(1, 0, false);
    assert_true(ch_params_has_set(frame->params, sps.data, sps.size));
    assert_true(ch_params_has_set(frame->params, pps.data, pps.size));
    assert_false(ch_params_has_set(frame->params, other.data, other.size));
    assert_false(ch_params_has_set(frame->params, pps.data, pps.size - 1));
    struct ch_params *params = frame->params;
    drop(frame);
    for (unsigned i = 1; i < 40; i++) {
        frame = send_slice(&camera, &recipe, i % 10 == 0, 0);
        assert_int_equal(frame->flags, CH_FRAME_PICTURE | (i % 10 == 0 ? CH_FRAME_KEY : 0));
        assert_string_equal(types_of(frame), i % 10 == 0 ? "i" : "s");
        assert_ptr_equal(frame->params, params);
        assert_false(frame->has_poc);
        drop(frame);
    }
    unplug(&camera);
}

// SPS and PPS in front of every IDR picture, as browsers send them: one configuration, nothing in the samples.
static void test_sets_with_every_key(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    struct ch_params *params = NULL;
    for (unsigned i = 0; i < 30; i++) {
        struct ch_frame *frame = i % 5 == 0 ? send_with_sets(&camera, &recipe) : send_slice(&camera, &recipe, false, 0);
        assert_string_equal(types_of(frame), i % 5 == 0 ? "i" : "s");
        assert_true(i == 0 || frame->params == params);
        params = frame->params;
        drop(frame);
    }
    unplug(&camera);
}

static void test_before_the_first_key(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    struct ch_frame *frame = send_slice(&camera, &recipe, false, 0);
    assert_int_equal(frame->flags, CH_FRAME_PICTURE | CH_FRAME_BEFORE_KEY);
    drop(frame);
    frame = send_slice(&camera, &recipe, true, 0); // an IDR picture, but nobody knows its SPS
    assert_int_equal(frame->flags, CH_FRAME_PICTURE | CH_FRAME_BEFORE_KEY);
    assert_null(frame->params);
    drop(frame);
    drop(send_unit(&camera, make_sps(&recipe)));
    frame = send_slice(&camera, &recipe, true, 0); // nor its PPS
    assert_int_equal(frame->flags, CH_FRAME_PICTURE | CH_FRAME_BEFORE_KEY);
    drop(frame);
    drop(send_unit(&camera, make_pps(0, 0, false)));
    frame = send_slice(&camera, &recipe, false, 0);
    assert_int_equal(frame->flags, CH_FRAME_PICTURE | CH_FRAME_BEFORE_KEY);
    drop(frame);
    frame = send_slice(&camera, &recipe, true, 0);
    assert_int_equal(frame->flags, CH_FRAME_PICTURE | CH_FRAME_KEY);
    drop(frame);
    unplug(&camera);
}

// In the middle of a recording: a picture whose PPS is not known stays in the file, but no session begins there.
static void test_unknown_pps_later(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    drop(send_with_sets(&camera, &recipe));
    struct ch_frame *frame = send_slice(&camera, &recipe, true, 9);
    assert_int_equal(frame->flags, CH_FRAME_PICTURE);
    assert_string_equal(types_of(frame), "i");
    drop(frame);
    unplug(&camera);
}

// --- a changed SPS ---------------------------------------------------------------------------------------

static struct recipe sized(uint32_t width_mbs)
{
    struct recipe recipe = BASELINE;
    recipe.width_mbs = width_mbs;
    return recipe;
}

static void test_new_size(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe small = sized(20), large = sized(40);
    struct ch_frame *first = send_with_sets(&camera, &small), *frame;
    drop(send_unit(&camera, make_sps(&large)));
    for (unsigned i = 0; i < 3; i++) { // as long as no IDR picture comes, nothing is new
        frame = send_slice(&camera, &small, false, 0);
        assert_ptr_equal(frame->params, first->params);
        drop(frame);
    }
    struct ch_frame *second = send_slice(&camera, &large, true, 0);
    assert_ptr_not_equal(second->params, first->params);
    assert_int_equal(second->params->width, 640);
    assert_int_equal(first->params->width, 320); // what was, stays as it was
    struct unit old = make_sps(&small);
    assert_false(ch_params_has_set(second->params, old.data, old.size));
    struct ch_frame *third = send_with_sets(&camera, &small); // and back
    assert_ptr_not_equal(third->params, second->params);
    assert_int_equal(third->params->width, 320);
    assert_string_equal(types_of(third), "i");
    frame = send_with_sets(&camera, &small);
    assert_ptr_equal(frame->params, third->params);
    drop(frame);
    drop(third);
    drop(second);
    drop(first);
    unplug(&camera);
}

// Another SPS of the same size is another configuration as well; one that is taken back before any IDR is none.
static void test_sps_of_the_same_size(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe one = BASELINE, two = BASELINE;
    two.level = 31;
    struct ch_frame *first = send_with_sets(&camera, &one);
    drop(send_unit(&camera, make_sps(&two)));
    drop(send_unit(&camera, make_sps(&one)));
    struct ch_frame *frame = send_slice(&camera, &one, true, 0);
    assert_ptr_equal(frame->params, first->params);
    drop(frame);
    drop(send_unit(&camera, make_sps(&two)));
    frame = send_slice(&camera, &two, true, 0);
    assert_ptr_not_equal(frame->params, first->params);
    assert_string_equal(frame->params->codec, "avc1.42C01F");
    drop(frame);
    drop(first);
    unplug(&camera);
}

// Two SPSs known from the start: the record holds both, and which one counts is the IDR picture's choice.
static void test_several_sps(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe zero = sized(20), three = sized(30), same = sized(20);
    three.id = 3;
    same.id = 7;
    struct buffer payload = {0};
    put_made(&payload, make_sps(&zero));
    put_made(&payload, make_sps(&three));
    put_made(&payload, make_sps(&same));
    put_made(&payload, make_pps(0, 0, false));
    put_made(&payload, make_pps(1, 3, false));
    put_made(&payload, make_pps(2, 7, false));
    drop(send(&camera, &payload));
    struct ch_frame *first = send_slice(&camera, &zero, true, 0);
    assert_int_equal(first->params->width, 320);
    assert_int_equal(first->params->avcc[5] & 31, 3);
    struct ch_frame *frame = send_slice(&camera, &same, true, 2);
    assert_ptr_equal(frame->params, first->params); // the same to a player, and it is in the record
    drop(frame);
    frame = send_slice(&camera, &three, true, 1);
    assert_int_equal(frame->params->width, 480);
    assert_string_equal(types_of(frame), "i");
    drop(frame);
    frame = send_slice(&camera, &zero, true, 0);
    assert_int_equal(frame->params->width, 320);
    assert_string_equal(types_of(frame), "i");
    drop(frame);
    drop(first);
    unplug(&camera);
}

// Two SPSs of one size, of which only one reorders: the times depend on it.
static void test_sps_of_another_depth(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe plain = main_profile(0), deep = main_profile(2);
    plain.poc_type = 2;
    deep.id = 1;
    struct buffer payload = {0};
    put_sets(&payload, &plain);
    put_made(&payload, make_sps(&deep));
    put_made(&payload, make_pps(1, 1, false));
    drop(send(&camera, &payload));
    struct ch_frame *frame = send_slice(&camera, &plain, true, 0);
    assert_int_equal(frame->params->reorder_depth, 0);
    assert_false(frame->has_poc);
    drop(frame);
    frame = send_slice(&camera, &deep, true, 1);
    assert_int_equal(frame->params->reorder_depth, 2);
    assert_true(frame->has_poc);
    drop(frame);
    unplug(&camera);
}

static void test_poc(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = main_profile(1);
    static const int32_t order[] = {0, 6, 2, 4, 12, 8, 10, 0, 6, 2};
    struct buffer payload = {0};
    put_sets(&payload, &recipe);
    drop(send(&camera, &payload));
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct slice_recipe slice = {.idr = order[i] == 0,
                                     .disposable = order[i] % 6 != 0,
                                     .bytes = 12,
                                     .poc_lsb = (uint32_t)order[i],
                                     .frame_num = (uint32_t)i};
        struct ch_frame *frame = send_unit(&camera, make_slice(&recipe, &slice));
        assert_true(frame->has_poc);
        assert_int_equal(frame->poc, order[i]);
        drop(frame);
    }
    unplug(&camera);
}

// --- a changed PPS ---------------------------------------------------------------------------------------

static void test_changed_pps(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    struct unit old = make_pps(0, 0, false), new = make_pps(0, 0, true);
    struct ch_frame *first = send_with_sets(&camera, &recipe), *frame;

    struct buffer payload = {0}; // with a picture: it stays where it is
    put_made(&payload, new);
    put_made(&payload, slice_of(&camera, &recipe, false, 0));
    frame = send(&camera, &payload);
    assert_string_equal(types_of(frame), "ps");
    assert_true(first_unit_is(frame, new));
    assert_ptr_equal(frame->params, first->params);
    drop(frame);
    frame = send_slice(&camera, &recipe, false, 0);
    assert_string_equal(types_of(frame), "s");
    drop(frame);
    for (unsigned i = 0; i < 2; i++) { // who starts to read at a key frame needs it
        frame = send_slice(&camera, &recipe, true, 0);
        assert_string_equal(types_of(frame), "pi");
        assert_true(first_unit_is(frame, new));
        assert_ptr_equal(frame->params, first->params);
        drop(frame);
    }
    frame = send_with_sets(&camera, &recipe); // back to what the record says: that must be told too
    assert_string_equal(types_of(frame), "pi");
    assert_true(first_unit_is(frame, old));
    drop(frame);
    frame = send_slice(&camera, &recipe, true, 0);
    assert_string_equal(types_of(frame), "pi");
    assert_true(first_unit_is(frame, old));
    drop(frame);
    drop(first);
    unplug(&camera);
}

// In a message of its own: the next picture carries it, whatever kind of picture that is.
static void test_changed_pps_alone(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    drop(send_with_sets(&camera, &recipe));
    struct ch_frame *frame = send_unit(&camera, make_pps(0, 0, true));
    assert_int_equal(frame->flags, CH_FRAME_PARAMETERS);
    drop(frame);
    drop(send_unit(&camera, make_pps(5, 0, true)));
    frame = send_slice(&camera, &recipe, false, 5);
    assert_string_equal(types_of(frame), "pps");
    drop(frame);
    frame = send_slice(&camera, &recipe, false, 0);
    assert_string_equal(types_of(frame), "s");
    drop(frame);
    frame = send_slice(&camera, &recipe, true, 0);
    assert_string_equal(types_of(frame), "ppi");
    drop(frame);
    unplug(&camera);
}

// With a new SPS all that travelled in the samples goes into the new record.
static void test_new_sps_takes_up_pps(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe small = sized(20), large = sized(40);
    struct unit changed = make_pps(0, 0, true), more = make_pps(4, 0, true);
    drop(send_with_sets(&camera, &small));
    drop(send_unit(&camera, changed));
    struct buffer payload = {0};
    put_made(&payload, more);
    put_made(&payload, make_sps(&large));
    put_made(&payload, slice_of(&camera, &large, true, 0));
    struct ch_frame *frame = send(&camera, &payload);
    assert_string_equal(types_of(frame), "i");
    assert_true(ch_params_has_set(frame->params, changed.data, changed.size));
    assert_true(ch_params_has_set(frame->params, more.data, more.size));
    drop(frame);
    frame = send_slice(&camera, &large, true, 0);
    assert_string_equal(types_of(frame), "i");
    drop(frame);
    unplug(&camera);
}

// More than are carried along: the next IDR picture begins a new configuration, and with it everything is known.
static void test_too_many_pps(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    struct ch_frame *first = send_with_sets(&camera, &recipe);
    for (uint32_t id = 1; id <= 40; id++) {
        struct buffer payload = {0};
        put_made(&payload, make_pps(id, 0, false));
        put_made(&payload, slice_of(&camera, &recipe, false, id));
        struct ch_frame *frame = send(&camera, &payload);
        assert_string_equal(types_of(frame), "ps");
        assert_ptr_equal(frame->params, first->params);
        drop(frame);
    }
    struct ch_frame *frame = send_slice(&camera, &recipe, true, 40);
    assert_string_equal(types_of(frame), "i");
    assert_ptr_not_equal(frame->params, first->params);
    for (uint32_t id = 0; id <= 40; id++) {
        struct unit pps = make_pps(id, 0, false);
        assert_true(ch_params_has_set(frame->params, pps.data, pps.size));
    }
    struct ch_params *params = frame->params;
    drop(frame);
    frame = send_slice(&camera, &recipe, true, 1);
    assert_ptr_equal(frame->params, params);
    assert_string_equal(types_of(frame), "i");
    drop(frame);
    drop(first);
    unplug(&camera);
}

// --- the hostile -----------------------------------------------------------------------------------------

// A record holds 31 SPSs at the most, the standard knows 32 of them.
static void test_all_sps(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    for (recipe.id = 0; recipe.id < 32; recipe.id++)
        drop(send_unit(&camera, make_sps(&recipe)));
    drop(send_unit(&camera, make_pps(0, 0, false)));
    recipe.id = 0;
    struct ch_frame *frame = send_slice(&camera, &recipe, true, 0);
    assert_true(frame->flags & CH_FRAME_PICTURE);
    assert_int_equal(!(frame->flags & CH_FRAME_KEY), !frame->params);
    drop(frame);
    unplug(&camera);
}

static void test_junk(void **state)
{
    (void)state;
    struct camera camera = plug_in();
    struct recipe recipe = BASELINE;
    struct buffer payload = {0};
    struct ch_frame *frame = send(&camera, &payload);
    assert_int_equal(frame->flags, CH_FRAME_JUNK);
    drop(frame);
    put(&payload, "this is no video", 16);
    frame = send(&camera, &payload);
    assert_int_equal(frame->flags, CH_FRAME_JUNK);
    drop(frame);
    for (unsigned i = 0; i <= CH_LIMIT_NALS; i++)
        put_nal(&payload, 2, "\x41\x9A", 2);
    frame = send(&camera, &payload); // one NAL unit too many
    assert_int_equal(frame->flags, CH_FRAME_JUNK);
    drop(frame);
    drop(send_with_sets(&camera, &recipe));
    for (unsigned i = 0; i < CH_LIMIT_NALS; i++)
        put_nal(&payload, 2, "\x41\x9A", 2);
    frame = send(&camera, &payload); // that many are a picture
    assert_int_equal(frame->flags, CH_FRAME_PICTURE);
    assert_int_equal(frame->sample_bytes, CH_LIMIT_NALS * 6);
    drop(frame);
    put_nal(&payload, 3, "\x67\x42", 2); // broken sets change nothing
    put_nal(&payload, 3, "\x68", 1);
    frame = send(&camera, &payload);
    assert_int_equal(frame->flags, CH_FRAME_PARAMETERS);
    drop(frame);
    put_nal(&payload, 3, "\x67\x42", 2);
    put_nal(&payload, 3, "\x68", 1);
    put_made(&payload, slice_of(&camera, &recipe, true, 0));
    frame = send(&camera, &payload);
    assert_int_equal(frame->flags, CH_FRAME_PICTURE | CH_FRAME_KEY);
    assert_string_equal(types_of(frame), "i");
    drop(frame);
    unplug(&camera);
}

// A whole stream cut and flipped at random: send() has the checks.
static void test_mutants(void **state)
{
    (void)state;
    uint32_t seed = 11;
    for (unsigned round = 0; round < 300; round++) {
        struct camera camera = plug_in();
        struct recipe recipe = sized(20);
        for (unsigned i = 0; i < 40; i++) {
            struct buffer payload = {0};
            recipe.id = dice(&seed, 10) ? 0 : dice(&seed, 4);
            recipe.width_mbs = dice(&seed, 30) ? 20 : 30;
            if (dice(&seed, 3) == 0)
                put_made(&payload, make_sps(&recipe));
            for (unsigned n = dice(&seed, 3); n > 0; n--)
                put_made(&payload, make_pps(dice(&seed, 30), recipe.id, dice(&seed, 2)));
            if (dice(&seed, 5) > 0)
                put_made(&payload, slice_of(&camera, &recipe, dice(&seed, 4) == 0, dice(&seed, 4)));
            for (unsigned n = dice(&seed, 3); payload.size > 0 && n > 0; n--)
                payload.data[dice(&seed, (uint32_t)payload.size)] ^= (uint8_t)(1u << dice(&seed, 8));
            drop(send(&camera, &payload));
        }
        unplug(&camera);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_once),
        cmocka_unit_test(test_sets_with_every_key),
        cmocka_unit_test(test_before_the_first_key),
        cmocka_unit_test(test_unknown_pps_later),
        cmocka_unit_test(test_new_size),
        cmocka_unit_test(test_sps_of_the_same_size),
        cmocka_unit_test(test_several_sps),
        cmocka_unit_test(test_sps_of_another_depth),
        cmocka_unit_test(test_poc),
        cmocka_unit_test(test_changed_pps),
        cmocka_unit_test(test_changed_pps_alone),
        cmocka_unit_test(test_new_sps_takes_up_pps),
        cmocka_unit_test(test_too_many_pps),
        cmocka_unit_test(test_all_sps),
        cmocka_unit_test(test_junk),
        cmocka_unit_test(test_mutants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
