// One connection over a real socket: bytes come out in the order in which they were given, whether sent, copied or
// queued by reference, and every reference is let go once.
#include "unit.h"

#include "net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LIMIT (1u << 20)

struct end {
    uv_loop_t loop;
    struct ch_conn conn;
    int peer;
    unsigned drained, closed, ended;
    int error;
    uint8_t *want, *got; // what was given to it, what the peer read
    size_t given, had, capacity;
    unsigned held, released; // references
};

static int on_want(struct ch_conn *conn, struct iovec iov[2])
{
    static uint8_t waste[4096];
    (void)conn;
    iov[0] = (struct iovec){.iov_base = waste, .iov_len = sizeof waste};
    return 1;
}

static int on_got(struct ch_conn *conn, size_t size)
{
    (void)conn, (void)size;
    return 0;
}

static void on_ended(struct ch_conn *conn, int error)
{
    struct end *end = conn->owner;
    end->ended++;
    end->error = error;
    ch_conn_close(conn);
}

static void on_drained(struct ch_conn *conn)
{
    struct end *end = conn->owner;
    assert_int_equal(conn->out_bytes, 0);
    end->drained++;
}

static void on_closed(struct ch_conn *conn)
{
    ((struct end *)conn->owner)->closed++;
}

static const struct ch_conn_ops ops = {
    .want = on_want, .got = on_got, .ended = on_ended, .drained = on_drained, .closed = on_closed};

static void join(struct end *end)
{
    int fds[2], small = 8 << 10;
    *end = (struct end){.capacity = 64 << 20};
    end->want = malloc(end->capacity);
    end->got = malloc(end->capacity);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    end->peer = fds[1];
    assert_int_equal(uv_loop_init(&end->loop), 0);
    assert_int_equal(ch_conn_open(&end->conn, &end->loop, fds[0], &ops, end), 0);
}

static void turn(struct end *end)
{
    uv_run(&end->loop, UV_RUN_NOWAIT);
}

static void part(struct end *end)
{
    ch_conn_close(&end->conn);
    while (!end->closed)
        turn(end);
    assert_int_equal(end->closed, 1);
    assert_int_equal(end->held, end->released);
    assert_int_equal(uv_loop_close(&end->loop), 0);
    close(end->peer);
    free(end->want);
    free(end->got);
}

// The peer reads up to so many bytes.
static void peer_reads(struct end *end, size_t size)
{
    size = size < end->capacity - end->had ? size : end->capacity - end->had;
    while (size > 0) {
        ssize_t n = read(end->peer, end->got + end->had, size);
        if (n <= 0)
            return;
        end->had += (size_t)n;
        size -= (size_t)n;
    }
}

static void read_all(struct end *end)
{
    for (unsigned idle = 0; idle < 3; idle++) {
        size_t before = end->had;
        turn(end);
        peer_reads(end, SIZE_MAX);
        if (end->had != before || end->conn.out_bytes > 0)
            idle = 0;
    }
    assert_int_equal(end->had, end->given);
    assert_memory_equal(end->got, end->want, end->had);
}

// Bytes of which each place has its own value, in memory of their own.
static uint8_t *make_bytes(struct end *end, size_t size)
{
    uint8_t *data = malloc(size + 1);
    assert_true(end->given + size <= end->capacity);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)((end->given + i) * 2654435761u >> 13);
    memcpy(end->want + end->given, data, size);
    end->given += size;
    return data;
}

struct loan {
    struct end *end;
    uint8_t *data;
};

static void release(void *context)
{
    struct loan *loan = context;
    loan->end->released++;
    free(loan->data);
    free(loan);
}

static int lend(struct end *end, size_t size)
{
    struct loan *loan = malloc(sizeof *loan);
    *loan = (struct loan){.end = end, .data = make_bytes(end, size)};
    end->held++;
    return ch_conn_queue(&end->conn, loan->data, size, release, loan);
}

static int copy_out(struct end *end, size_t size, size_t limit)
{
    uint8_t *data = make_bytes(end, size);
    struct iovec iov[2] = {{.iov_base = data, .iov_len = size / 3},
                           {.iov_base = data + size / 3, .iov_len = size - size / 3}};
    int rc = ch_conn_send(&end->conn, iov, 2, limit);
    free(data);
    return rc;
}

static ssize_t try_out(struct end *end, size_t size)
{
    uint8_t *data = make_bytes(end, size);
    struct iovec iov = {.iov_base = data, .iov_len = size};
    ssize_t taken = ch_conn_try_send(&end->conn, &iov, 1);
    assert_true(taken >= 0);
    end->given -= size - (size_t)taken;
    free(data);
    return taken;
}

// As much as the socket takes.
static void fill(struct end *end)
{
    while (try_out(end, 5000) > 0)
        ;
}

static void test_order(void **state)
{
    (void)state;
    struct end end;
    uint32_t noise = 1;
    join(&end);
    for (unsigned i = 0; i < 3000; i++) {
        noise = noise * 1664525u + 1013904223u;
        size_t size = 1 + (noise >> 16) % 3000;
        switch (noise >> 8 & 7) {
        case 0:
        case 1: assert_int_equal(lend(&end, size), 0); break;
        case 2: assert_int_equal(copy_out(&end, size, 64u << 20), 0); break;
        case 3: try_out(&end, size); break;
        case 4: turn(&end); break;
        default: peer_reads(&end, size);
        }
    }
    read_all(&end);
    assert_int_equal(end.held, end.released);
    part(&end);
}

// Nothing passes by what is queued.
static void test_try_send_waits(void **state)
{
    (void)state;
    struct end end;
    join(&end);
    fill(&end);
    assert_int_equal(lend(&end, 100), 0);
    peer_reads(&end, SIZE_MAX); // there is room, but the queue comes first
    assert_int_equal(try_out(&end, 10), 0);
    read_all(&end);
    assert_true(try_out(&end, 10) == 10);
    read_all(&end);
    part(&end);
}

// What is queued when the connection closes is let go, and so is what comes too late.
static void test_close_releases(void **state)
{
    (void)state;
    struct end end;
    join(&end);
    fill(&end);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(lend(&end, 1000), 0);
    ch_conn_close(&end.conn);
    assert_int_equal(end.released, 10);
    assert_int_equal(lend(&end, 1000), -EPIPE);
    assert_int_equal(end.released, 11);
    struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
    assert_int_equal(ch_conn_try_send(&end.conn, &iov, 1), -EPIPE);
    assert_int_equal(ch_conn_send(&end.conn, &iov, 1, LIMIT), -EPIPE);
    ch_conn_want_room(&end.conn);
    turn(&end);
    assert_int_equal(end.drained, 0);
    part(&end);
}

// The peer is gone while bytes are queued: told once, all is let go.
static void test_peer_gone(void **state)
{
    (void)state;
    struct end end;
    join(&end);
    fill(&end);
    assert_int_equal(lend(&end, 1000), 0);
    close(end.peer);
    end.peer = -1;
    while (!end.closed)
        turn(&end);
    assert_int_equal(end.ended, 1);
    assert_int_equal(end.drained, 0);
    assert_int_equal(end.released, 1);
    part(&end);
}

// `drained` without a queue, once, and only when there is room.
static void test_want_room(void **state)
{
    (void)state;
    struct end end;
    join(&end);
    turn(&end);
    assert_int_equal(end.drained, 0);
    ch_conn_want_room(&end.conn);
    for (unsigned i = 0; i < 5; i++)
        turn(&end);
    assert_int_equal(end.drained, 1);
    fill(&end);
    ch_conn_want_room(&end.conn);
    for (unsigned i = 0; i < 5; i++)
        turn(&end);
    assert_int_equal(end.drained, 1);
    peer_reads(&end, SIZE_MAX);
    for (unsigned i = 0; i < 5; i++)
        turn(&end);
    assert_int_equal(end.drained, 2);
    part(&end);
}

// More pieces than one system call takes.
static void test_many_pieces(void **state)
{
    (void)state;
    enum { PIECES = 5000 };
    static struct iovec iov[PIECES];
    struct end end;
    join(&end);
    uint8_t *data = make_bytes(&end, PIECES);
    for (size_t i = 0; i < PIECES; i++)
        iov[i] = (struct iovec){.iov_base = data + i, .iov_len = 1};
    ssize_t taken = ch_conn_try_send(&end.conn, iov, PIECES);
    assert_true(taken > 0 && taken <= PIECES);
    assert_int_equal(ch_conn_send(&end.conn, iov + taken, (size_t)(PIECES - taken), LIMIT), 0);
    free(data);
    read_all(&end);
    part(&end);
}

// The limit is one of copies that a peer makes us keep: what lies in memory anyway is no reason to refuse a pong.
static void test_limit(void **state)
{
    (void)state;
    struct end end;
    join(&end);
    fill(&end);
    assert_int_equal(lend(&end, 4 * LIMIT), 0);
    assert_int_equal(copy_out(&end, 100, LIMIT), 0);
    assert_int_equal(copy_out(&end, LIMIT - 100, LIMIT), 0);
    size_t given = end.given;
    assert_int_equal(copy_out(&end, 1, LIMIT), -ENOBUFS);
    end.given = given;
    read_all(&end);
    assert_int_equal(copy_out(&end, LIMIT, LIMIT), 0); // all gone: room again
    read_all(&end);
    part(&end);
}

// A frame without a payload, behind a queue.
static void test_empty_vectors(void **state)
{
    (void)state;
    struct end end;
    join(&end);
    fill(&end);
    assert_int_equal(lend(&end, 100), 0);
    uint8_t *data = make_bytes(&end, 2);
    struct iovec iov[3] = {{0}, {.iov_base = data, .iov_len = 2}, {0}};
    assert_int_equal(ch_conn_send(&end.conn, iov, 3, LIMIT), 0);
    free(data);
    read_all(&end);
    part(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),     cmocka_unit_test(test_try_send_waits), cmocka_unit_test(test_close_releases),
        cmocka_unit_test(test_peer_gone), cmocka_unit_test(test_want_room),      cmocka_unit_test(test_many_pieces),
        cmocka_unit_test(test_limit),     cmocka_unit_test(test_empty_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
