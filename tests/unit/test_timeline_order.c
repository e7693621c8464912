// B-frames: which time each picture gets when pictures come in decoding order, from cameras whose times are
// those of presentation and from cameras that count in sending order.
#include "unit.h"

#include "stream/timeline.h"

#include <stdlib.h>

#define MAX_PICTURES 2000
#define MS INT64_C(90)

// Decoding order of a GOP without its IDR picture, as places in display order from 1 on. The same again behind it.
struct pattern {
    const char *name;
    unsigned depth; // pictures that may come before one and are shown after it
    unsigned count;
    unsigned char places[17];
};

static const struct pattern patterns[] = {
    {"IBP", 1, 2, {2, 1}},
    {"IBBP", 1, 3, {3, 1, 2}},
    {"IBBBP", 1, 4, {4, 1, 2, 3}},
    {"pyramid", 2, 4, {4, 2, 1, 3}},
    {"pyramid of 8", 3, 8, {8, 4, 2, 1, 3, 6, 5, 7}},
    {"pyramid of 16", 4, 16, {16, 8, 4, 2, 1, 3, 6, 5, 7, 12, 10, 9, 11, 14, 13, 15}},
    {"mixed", 2, 7, {2, 1, 3, 7, 5, 4, 6}},
};

enum stamps { OF_PRESENTATION, OF_SENDING };

struct film {
    const struct pattern *pattern;
    enum stamps stamps;
    unsigned depth;           // as declared
    unsigned gops, groups;    // IDR periods, and how many times the pattern is in each
    unsigned bystander_every; // 0: none
    // Made of it:
    struct shot {
        bool bystander, key;
        int32_t poc;
        size_t place; // in display order, over all
        uint64_t device_ms;
        int64_t pts, dts; // as they came out
        bool repaired, jumped, out;
    } shots[MAX_PICTURES];
    size_t count, pictures, taken;
    uint64_t times[MAX_PICTURES];
    struct ch_timeline timeline;
    int64_t last_dts;
    size_t longest_hold;
};

static void add(struct film *film, const struct shot *shot)
{
    assert_true(film->count < MAX_PICTURES);
    film->shots[film->count] = *shot;
    film->shots[film->count++].device_ms = film->times[film->stamps == OF_PRESENTATION ? shot->place : film->pictures];
    film->pictures++;
    if (film->bystander_every > 0 && film->pictures % film->bystander_every == 0)
        film->shots[film->count++] = (struct shot){.bystander = true};
}

static void shoot(struct film *film)
{
    film->count = film->pictures = film->taken = 0;
    film->last_dts = 0;
    film->longest_hold = 0;
    for (size_t i = 0; i < MAX_PICTURES; i++) // steps of 20 to 50 ms
        film->times[i] = i == 0 ? 987654 : film->times[i - 1] + 20 + i * 7919 % 31;
    size_t base = 0;
    for (unsigned gop = 0; gop < film->gops; gop++) {
        add(film, &(struct shot){.key = true, .place = base});
        for (unsigned group = 0; group < film->groups; group++)
            for (unsigned i = 0; i < film->pattern->count; i++) {
                size_t place = group * film->pattern->count + film->pattern->places[i];
                add(film, &(struct shot){.poc = 2 * (int32_t)place, .place = base + place});
            }
        base += 1 + film->groups * film->pattern->count;
    }
    ch_timeline_init(&film->timeline);
}

// Takes what comes out: each shot once, in order.
static void take(struct film *film)
{
    struct ch_timeline_picture out;
    while (ch_timeline_pop(&film->timeline, &out)) {
        assert_true(film->taken < film->count);
        struct shot *shot = &film->shots[film->taken++];
        assert_ptr_equal(out.user, shot);
        assert_int_equal(out.bystander, shot->bystander);
        shot->out = true;
        if (shot->bystander)
            continue;
        assert_true(out.dts_ticks > film->last_dts);
        film->last_dts = shot->dts = out.dts_ticks;
        shot->pts = out.pts_ticks;
        shot->repaired = out.repaired;
        shot->jumped = out.jumped;
    }
}

static void push(struct film *film, size_t n)
{
    const struct shot *shot = &film->shots[n];
    struct ch_timeline_picture in = {
        .user = &film->shots[n],
        .bystander = shot->bystander,
        .device_ms = shot->device_ms,
        .key = shot->key,
        .arrival_us = 5000000 + (int64_t)n * 33000,
        .has_poc = !shot->bystander,
        .poc = shot->poc,
        .depth = film->depth,
        .nominal_step_ticks = 3000,
    };
    ch_timeline_push(&film->timeline, &in);
    take(film);
    if (film->timeline.held_count > film->longest_hold)
        film->longest_hold = film->timeline.held_count;
    assert_true(film->timeline.held_count < CH_TIMELINE_HOLD);
}

static void roll(struct film *film)
{
    shoot(film);
    for (size_t n = 0; n < film->count; n++)
        push(film, n);
    ch_timeline_flush(&film->timeline);
    take(film);
    assert_int_equal(film->taken, film->count);
    assert_int_equal(film->timeline.held_count, 0);
}

static int64_t ticks_of(const struct film *film, size_t place)
{
    return CH_TIMELINE_ORIGIN + (int64_t)(film->times[place] - film->times[0]) * MS;
}

// Every picture is shown at the time of its place: for stamps of presentation that is its own stamp, for the
// others one of the stamps, all of which are dealt out.
static void assert_in_place(const struct film *film)
{
    for (size_t n = 0; n < film->count; n++) {
        const struct shot *shot = &film->shots[n];
        if (shot->bystander)
            continue;
        assert_int_equal(shot->pts, ticks_of(film, shot->place));
        assert_true(shot->dts <= shot->pts);
        assert_false(shot->repaired || shot->jumped);
    }
}

static void roll_all(enum stamps stamps, unsigned more_depth, unsigned bystander_every)
{
    struct film *film = calloc(1, sizeof *film);
    assert_non_null(film);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        for (unsigned groups = 1; groups <= 6; groups++) {
            film->pattern = &patterns[i];
            film->stamps = stamps;
            film->depth = patterns[i].depth + more_depth;
            film->gops = 5;
            film->groups = groups;
            film->bystander_every = bystander_every;
            roll(film);
            if (stamps == OF_SENDING && film->longest_hold >= CH_TIMELINE_HOLD - 1) {
                assert_true(patterns[i].count == 16 && (more_depth == 12 || bystander_every > 0));
                continue; // no room to wait for the order
            }
            assert_in_place(film);
            if (bystander_every == 0) // pictures whose time is known wait for one before them whose is not
                assert_true(film->longest_hold <= film->depth + (stamps == OF_SENDING ? patterns[i].count : 0));
        }
    free(film);
}

static void test_presentation_stamps(void **state)
{
    (void)state;
    for (unsigned more = 0; more <= 12; more++)
        roll_all(OF_PRESENTATION, more, 0);
}

static void test_sending_stamps(void **state)
{
    (void)state;
    for (unsigned more = 0; more <= 12; more++)
        roll_all(OF_SENDING, more, 0);
}

static void test_bystanders(void **state)
{
    (void)state;
    for (unsigned every = 1; every <= 7; every++) {
        roll_all(OF_PRESENTATION, every % 3, every);
        roll_all(OF_SENDING, every % 3, every);
    }
}

// Presentation stamps, once known as such, hold nothing back; the decode times follow with the declared delay.
static void test_no_hold(void **state)
{
    (void)state;
    struct film *film = calloc(1, sizeof *film);
    *film = (struct film){.pattern = &patterns[1], .depth = 1, .gops = 1, .groups = 20};
    shoot(film);
    for (size_t n = 0; n < film->count; n++) {
        push(film, n);
        if (n >= 2)
            assert_int_equal(film->timeline.held_count, 0);
    }
    free(film);
}

// Depth is declared but nothing is ever reordered: held at first, at once after sixty pictures, exact always.
static void test_declared_in_vain(void **state)
{
    (void)state;
    static const struct pattern plain = {"IP", 0, 1, {1}};
    struct film *film = calloc(1, sizeof *film);
    *film = (struct film){.pattern = &plain, .depth = 4, .gops = 2, .groups = 100};
    shoot(film);
    for (size_t n = 0; n < film->count; n++) {
        push(film, n);
        assert_true(film->timeline.held_count <= (n < 60 ? 4 : 0));
    }
    assert_int_equal(film->taken, film->count);
    assert_in_place(film);
    free(film);
}

// A camera that begins to reorder after that: presentation stamps are taken from then on, nothing is lost.
static void test_reorders_late(void **state)
{
    (void)state;
    for (enum stamps stamps = OF_PRESENTATION; stamps <= OF_SENDING; stamps++) {
        struct film *film = calloc(1, sizeof *film);
        *film = (struct film){.pattern = &patterns[1], .stamps = stamps, .depth = 2, .gops = 9, .groups = 10};
        shoot(film);
        size_t calm = 31 * 3;
        for (size_t n = 0; n < calm; n++) { // the first three GOPs in order
            film->shots[n].place = n;
            film->shots[n].poc = 2 * (int32_t)(n % 31);
            film->shots[n].device_ms = film->times[n];
        }
        for (size_t n = 0; n < film->count; n++)
            push(film, n);
        ch_timeline_flush(&film->timeline);
        take(film);
        assert_int_equal(film->taken, film->count);
        size_t wrong = 0;
        for (size_t n = 0; n < film->count; n++) {
            wrong += film->shots[n].pts != ticks_of(film, film->shots[n].place);
            assert_true(film->shots[n].dts <= film->shots[n].pts);
        }
        // With stamps in sending order, the picture that was let go before it was known keeps its stamp.
        assert_true(stamps == OF_PRESENTATION ? wrong == 0 : wrong <= 3);
        free(film);
    }
}

// Let go in the middle (no picture came for a while): what was held comes out, and what follows fits behind it.
static void test_flush_in_the_middle(void **state)
{
    (void)state;
    struct film *film = calloc(1, sizeof *film);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        for (enum stamps stamps = OF_PRESENTATION; stamps <= OF_SENDING; stamps++)
            for (size_t cut = 1; cut < 40; cut++) {
                *film = (struct film){
                    .pattern = &patterns[i], .stamps = stamps, .depth = patterns[i].depth, .gops = 2, .groups = 20};
                shoot(film);
                for (size_t n = 0; n < film->count; n++) {
                    push(film, n);
                    if (n + 1 != cut)
                        continue;
                    ch_timeline_flush(&film->timeline);
                    take(film);
                    assert_int_equal(film->taken, cut);
                }
                ch_timeline_flush(&film->timeline);
                take(film);
                assert_int_equal(film->taken, film->count);
                for (size_t n = 0; n < film->count; n++) {
                    assert_true(film->shots[n].dts <= film->shots[n].pts);
                    for (size_t k = 0; k < n; k++)
                        assert_true(film->shots[k].pts != film->shots[n].pts);
                    if (film->shots[n].place > 20 * film->pattern->count) // the second GOP is as if nothing had been
                        assert_int_equal(film->shots[n].pts, ticks_of(film, film->shots[n].place));
                }
            }
    free(film);
}

// More reordering than the SPS declares: decode times still rise, times are still distinct, all come out.
static void test_undeclared_depth(void **state)
{
    (void)state;
    struct film *film = calloc(1, sizeof *film);
    for (size_t i = 3; i < sizeof patterns / sizeof patterns[0]; i++)
        for (unsigned depth = 0; depth < patterns[i].depth; depth++)
            for (enum stamps stamps = OF_PRESENTATION; stamps <= OF_SENDING; stamps++) {
                *film =
                    (struct film){.pattern = &patterns[i], .stamps = stamps, .depth = depth, .gops = 3, .groups = 3};
                roll(film);
                for (size_t n = 0; n < film->count; n++)
                    for (size_t k = 0; k < n; k++)
                        assert_true(film->shots[k].pts != film->shots[n].pts);
                if (stamps == OF_PRESENTATION && depth > 0)
                    for (size_t n = 0; n < film->count; n++)
                        assert_int_equal(film->shots[n].pts, ticks_of(film, film->shots[n].place));
            }
    free(film);
}

// The depth changes with a new SPS: there the order is found out anew, and decode times go on rising.
static void test_depth_changes(void **state)
{
    (void)state;
    struct film *film = calloc(1, sizeof *film);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        for (enum stamps stamps = OF_PRESENTATION; stamps <= OF_SENDING; stamps++)
            for (unsigned turn = 0; turn < 8; turn++) {
                *film = (struct film){.pattern = &patterns[i], .stamps = stamps, .gops = 8, .groups = 2};
                shoot(film);
                size_t gop = film->count / film->gops;
                for (size_t n = 0; n < film->count; n++) {
                    film->depth = patterns[i].depth + (unsigned)(n / gop) * 5 % 4 * (turn & 1) + turn / 2;
                    push(film, n);
                }
                ch_timeline_flush(&film->timeline);
                take(film);
                assert_int_equal(film->taken, film->count);
                assert_in_place(film);
            }
    free(film);
}

// From a stream without reordering to one with, whose first picture repeats the last time: even there no picture
// is shown before it is decoded.
static void test_depth_begins_at_a_repeat(void **state)
{
    (void)state;
    static const int32_t order[] = {0, 8, 4, 2, 6, 16, 12, 10, 14};
    for (unsigned depth = 1; depth <= 4; depth++) {
        struct ch_timeline timeline;
        ch_timeline_init(&timeline);
        int64_t last = 0;
        for (unsigned n = 0; n < 9 + 9; n++) {
            struct ch_timeline_picture in = {.user = &timeline,
                                             .device_ms = n < 9 ? n * 40 : 320,
                                             .key = n % 9 == 0,
                                             .arrival_us = n * 40000,
                                             .has_poc = n >= 9,
                                             .poc = order[n % 9],
                                             .depth = n < 9 ? 0 : depth,
                                             .nominal_step_ticks = 3000},
                                       out;
            ch_timeline_push(&timeline, &in);
            if (n == 17)
                ch_timeline_flush(&timeline);
            while (ch_timeline_pop(&timeline, &out)) {
                assert_true(out.dts_ticks > last);
                assert_true(depth < 2 || out.dts_ticks <= out.pts_ticks); // two places: what this order needs
                last = out.dts_ticks;
            }
        }
    }
}

// Pictures whose slice header could not be read: taken in order, the rest is not disturbed for longer than a GOP.
static void test_unreadable_pictures(void **state)
{
    (void)state;
    struct film *film = calloc(1, sizeof *film);
    for (enum stamps stamps = OF_PRESENTATION; stamps <= OF_SENDING; stamps++) {
        *film = (struct film){.pattern = &patterns[3], .stamps = stamps, .depth = 2, .gops = 4, .groups = 5};
        shoot(film);
        for (size_t n = 0; n < film->count; n++) {
            const struct shot *shot = &film->shots[n];
            struct ch_timeline_picture in = {.user = &film->shots[n],
                                             .device_ms = shot->device_ms,
                                             .key = shot->key,
                                             .arrival_us = (int64_t)n * 33000,
                                             .has_poc = n % 63 != 30,
                                             .poc = shot->poc,
                                             .depth = 2,
                                             .nominal_step_ticks = 3000};
            ch_timeline_push(&film->timeline, &in);
            take(film);
        }
        ch_timeline_flush(&film->timeline);
        take(film);
        assert_int_equal(film->taken, film->count);
        for (size_t n = 0; n < film->count; n++)
            if (n / 21 % 3 != 1) // the GOPs without such a picture
                assert_int_equal(film->shots[n].pts, ticks_of(film, film->shots[n].place));
    }
    free(film);
}

// The clock jumps in the middle of B-frames: everything goes on behind it at the stream's own pace.
static void test_jump(void **state)
{
    (void)state;
    struct film *film = calloc(1, sizeof *film);
    for (enum stamps stamps = OF_PRESENTATION; stamps <= OF_SENDING; stamps++)
        for (size_t at = 22; at < 44; at++) {
            *film = (struct film){.pattern = &patterns[3], .stamps = stamps, .depth = 2, .gops = 4, .groups = 5};
            shoot(film);
            for (size_t n = at; n < film->count; n++)
                film->shots[n].device_ms += at % 2 ? 86400000 : UINT64_MAX - 400000;
            for (size_t n = 0; n < film->count; n++)
                push(film, n);
            ch_timeline_flush(&film->timeline);
            take(film);
            assert_int_equal(film->taken, film->count);
            unsigned jumps = 0;
            for (size_t n = 0; n < film->count; n++) {
                jumps += film->shots[n].jumped;
                assert_true(film->shots[n].dts <= film->shots[n].pts);
                assert_true(film->shots[n].pts < ticks_of(film, film->count) + 500 * MS);
                for (size_t k = 0; k < n; k++)
                    assert_true(film->shots[k].pts != film->shots[n].pts);
            }
            assert_int_equal(jumps, 1);
        }
    free(film);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presentation_stamps), cmocka_unit_test(test_sending_stamps),
        cmocka_unit_test(test_bystanders),          cmocka_unit_test(test_no_hold),
        cmocka_unit_test(test_declared_in_vain),    cmocka_unit_test(test_reorders_late),
        cmocka_unit_test(test_flush_in_the_middle), cmocka_unit_test(test_undeclared_depth),
        cmocka_unit_test(test_depth_changes),       cmocka_unit_test(test_depth_begins_at_a_repeat),
        cmocka_unit_test(test_unreadable_pictures), cmocka_unit_test(test_jump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
