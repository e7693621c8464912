// The disk threads: each lane in order, lanes beside each other, results on the loop, and an end that waits for all.
#include "unit.h"

#include "sink/disk.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

struct desk {
    uv_loop_t loop;
    struct ch_disk *disk;
    pthread_t thread; // the loop's
    unsigned done;
    atomic_uint ran;
    unsigned next[CH_DISK_LANES]; // number of the job that is to be run, and done, next in each lane
    unsigned next_done[CH_DISK_LANES];
};

struct task {
    struct ch_disk_job job;
    struct desk *desk;
    unsigned lane, number;
    unsigned again; // more of it, submitted from `done`
    sem_t *wait, *post;
};

static void set_up(struct desk *desk)
{
    *desk = (struct desk){.thread = pthread_self()};
    assert_int_equal(uv_loop_init(&desk->loop), 0);
    assert_int_equal(ch_disk_start(&desk->disk, &desk->loop, CH_DISK_LANES), 0);
}

static void tear_down(struct desk *desk)
{
    ch_disk_stop(&desk->disk);
    assert_null(desk->disk);
    assert_int_equal(uv_run(&desk->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&desk->loop), 0);
}

static void on_run(struct ch_disk_job *job)
{
    struct task *task = (struct task *)job;
    struct desk *desk = task->desk;
    if (pthread_equal(pthread_self(), desk->thread) || desk->next[task->lane]++ != task->number)
        abort(); // no assertions of the framework's on another thread
    if (task->post)
        sem_post(task->post);
    while (task->wait && sem_wait(task->wait) != 0)
        ;
    atomic_fetch_add(&desk->ran, 1);
}

static void submit(struct desk *desk, struct task task);

static void on_done(struct ch_disk_job *job)
{
    struct task *task = (struct task *)job;
    struct desk *desk = task->desk;
    assert_true(pthread_equal(pthread_self(), desk->thread));
    assert_int_equal(desk->next_done[task->lane]++, task->number);
    desk->done++;
    if (task->again > 0)
        submit(desk, (struct task){.lane = task->lane, .number = task->number + 1, .again = task->again - 1});
    free(task);
}

static void submit(struct desk *desk, struct task model)
{
    struct task *task = malloc(sizeof *task);
    assert_non_null(task);
    *task = model;
    task->job = (struct ch_disk_job){.run = on_run, .done = on_done};
    task->desk = desk;
    ch_disk_submit(desk->disk, task->lane, &task->job);
}

static void test_order(void **state)
{
    (void)state;
    struct desk desk;
    set_up(&desk);
    for (unsigned i = 0; i < 2000; i++)
        for (unsigned lane = 0; lane < CH_DISK_LANES; lane++) {
            submit(&desk, (struct task){.lane = lane, .number = i});
            if (i % 50 == 0)
                uv_run(&desk.loop, UV_RUN_NOWAIT);
        }
    while (desk.done < 2000 * CH_DISK_LANES) // each wake-up of the loop is worth at least one job
        uv_run(&desk.loop, UV_RUN_ONCE);
    assert_int_equal(ch_disk_pending(desk.disk), 0);
    assert_int_equal(atomic_load(&desk.ran), 2000 * CH_DISK_LANES);
    tear_down(&desk);
}

// A lane that waits for its disk holds up nobody but itself.
static void test_lanes_are_apart(void **state)
{
    (void)state;
    struct desk desk;
    sem_t gate;
    sem_init(&gate, 0, 0);
    set_up(&desk);
    submit(&desk, (struct task){.lane = 1, .wait = &gate});
    submit(&desk, (struct task){.lane = 1, .number = 1});
    for (unsigned lane = 0; lane < CH_DISK_LANES; lane++)
        for (unsigned i = 0; lane != 1 && i < 10; i++)
            submit(&desk, (struct task){.lane = lane, .number = i});
    while (desk.done < 10 * (CH_DISK_LANES - 1))
        uv_run(&desk.loop, UV_RUN_ONCE);
    assert_int_equal(ch_disk_pending(desk.disk), 2);
    assert_int_equal(desk.next_done[1], 0);
    sem_post(&gate);
    while (desk.next_done[1] < 2)
        uv_run(&desk.loop, UV_RUN_ONCE);
    assert_int_equal(ch_disk_pending(desk.disk), 0);
    tear_down(&desk);
    sem_destroy(&gate);
}

// The end: jobs that run, wait, or are only made by what was done before, all are done before it returns.
static void test_stop(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct desk desk;
        sem_t begun;
        sem_init(&begun, 0, 0);
        set_up(&desk);
        submit(&desk, (struct task){.lane = round % CH_DISK_LANES, .post = &begun});
        for (unsigned lane = 0; lane < CH_DISK_LANES; lane++)
            submit(&desk, (struct task){.lane = lane, .number = lane == round % CH_DISK_LANES, .again = round});
        while (round % 2 && sem_wait(&begun) != 0)
            ;
        tear_down(&desk);
        assert_int_equal(desk.done, 1 + CH_DISK_LANES * (1 + round));
        sem_destroy(&begun);
    }
}

static void test_idle(void **state)
{
    (void)state;
    struct desk desk;
    set_up(&desk);
    assert_int_equal(uv_run(&desk.loop, UV_RUN_NOWAIT) != 0, 1); // it keeps the loop alive
    tear_down(&desk);
    struct ch_disk *none = NULL;
    ch_disk_stop(&none);
}

static void test_choice_of_lanes(void **state)
{
    (void)state;
    struct desk desk;
    unsigned users[CH_DISK_LANES] = {0};
    set_up(&desk);
    for (unsigned i = 0; i < 5 * CH_DISK_LANES; i++)
        users[ch_disk_enter_lane(desk.disk)]++;
    for (unsigned lane = 0; lane < CH_DISK_LANES; lane++)
        assert_int_equal(users[lane], 5);
    ch_disk_leave_lane(desk.disk, 2);
    assert_int_equal(ch_disk_enter_lane(desk.disk), 2);
    tear_down(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_lanes_are_apart), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_idle),  cmocka_unit_test(test_choice_of_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
