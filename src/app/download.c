#include "app/download.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIECE_BYTES (256u << 10)
#define FIELD_BYTES 128

struct ch_download {
    struct ch_hub *hub;
    struct ch_peer *peer; // NULL: abandoned
    uv_work_t work;
    bool working;
    int root;
    char path[300]; // ID/FILE
    char range[FIELD_BYTES], if_range[FIELD_BYTES], if_none_match[FIELD_BYTES];
    // Set by the work
    int fd, error;
    uint64_t total, offset, end; // of the file; of what is to be sent
    time_t modified;
    size_t piece_bytes;
    uint8_t *piece;
};

static void free_download(struct ch_download *download)
{
    if (download->fd >= 0)
        close(download->fd);
    free(download->piece);
    free(download);
}

static const char *type_of(const char *path)
{
    static const struct {
        const char *extension, *type;
    } types[] = {
        {".mp4", "video/mp4"},
        {".jpg", "image/jpeg"},
        {".json", "application/json"},
        {".h264", "video/H264"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(dot, types[i].extension) == 0)
            return types[i].type;
    return "application/octet-stream";
}

// --- in the work pool ---

// Below the recordings folder and through no symbolic link, whatever the names say.
static void run_open(uv_work_t *work)
{
    struct ch_download *download = work->data;
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    struct stat st;
    download->fd = (int)syscall(SYS_openat2, download->root, download->path, &how, sizeof how);
    if (download->fd < 0)
        download->error = -errno;
    else if (fstat(download->fd, &st) < 0)
        download->error = -errno;
    else if (!S_ISREG(st.st_mode))
        download->error = -ENOENT;
    else {
        download->total = (uint64_t)st.st_size;
        download->modified = st.st_mtime;
    }
}

static void run_read(uv_work_t *work)
{
    struct ch_download *download = work->data;
    uint64_t left = download->end - download->offset;
    size_t want = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    ssize_t n = pread(download->fd, download->piece, want, (off_t)download->offset);
    download->error = n < 0 ? -errno : n == 0 ? -ENODATA : 0; // cut while it was read
    download->piece_bytes = n > 0 ? (size_t)n : 0;
}

// --- on the loop ---

static int start_work(struct ch_download *download, uv_work_cb run, uv_after_work_cb after)
{
    int rc = uv_queue_work(download->hub->loop, &download->work, run, after);
    if (rc == 0) {
        download->working = true;
        download->hub->works++;
    }
    return rc;
}

static void work_ended(struct ch_download *download)
{
    download->working = false;
    download->hub->works--;
}

static void read_next(struct ch_download *download);

static void finish(struct ch_download *download, bool whole)
{
    struct ch_peer *peer = download->peer;
    free_download(download);
    ch_peer_reply_done(peer, whole);
}

static void on_read(uv_work_t *work, int status)
{
    struct ch_download *download = work->data;
    work_ended(download);
    if (!download->peer) {
        free_download(download);
        return;
    }
    struct ch_conn *conn = &download->peer->conn;
    struct iovec iov = {.iov_base = download->piece, .iov_len = download->piece_bytes};
    if (status < 0 || download->error < 0 || ch_conn_send(conn, &iov, 1, PIECE_BYTES) < 0) {
        finish(download, false);
        return;
    }
    download->offset += download->piece_bytes;
    if (download->offset == download->end)
        finish(download, true);
    else if (conn->out_bytes == 0)
        read_next(download);
    // else: on when the socket has taken it
}

static void read_next(struct ch_download *download)
{
    if (start_work(download, run_read, on_read) < 0)
        finish(download, false);
}

// The connection has room again.
static void on_drained(struct ch_peer *peer)
{
    struct ch_download *download = peer->role_data;
    peer->since_us = ch_clock_mono_us();
    if (!download->working && download->offset < download->end)
        read_next(download);
}

// The connection is gone; a read under way ends by itself.
static void on_gone(struct ch_peer *peer)
{
    struct ch_download *download = peer->role_data;
    download->peer = NULL;
    if (!download->working)
        free_download(download);
}

static const struct ch_peer_role role = {.gone = on_gone, .drained = on_drained};

// The answer's head, once the file is known. The status.
static int choose_range(struct ch_download *download, const char *etag)
{
    struct ch_span range = {.data = download->range, .size = strlen(download->range)};
    uint64_t first, last;
    download->offset = 0;
    download->end = download->total;
    if (download->if_range[0] && strcmp(download->if_range, etag) != 0)
        return 200;
    switch (ch_http_range(range, download->total, &first, &last)) {
    case CH_RANGE_OK:
        download->offset = first;
        download->end = last + 1;
        return 206;
    case CH_RANGE_UNSATISFIABLE: return 416;
    case CH_RANGE_NONE: break;
    }
    return 200;
}

static void refuse(struct ch_download *download, int status, const char *code, const char *message)
{
    struct ch_peer *peer = download->peer;
    free_download(download);
    ch_peer_reply_error(peer, status, code, message);
}

static void send_head(struct ch_download *download)
{
    struct ch_peer *peer = download->peer;
    char etag[64], extra[400], date[CH_HTTP_DATE_BYTES], content_range[96] = "";
    snprintf(etag, sizeof etag, "\"%llx-%llx\"", (unsigned long long)download->total,
             (unsigned long long)download->modified);
    ch_http_date(download->modified, date);
    int status = choose_range(download, etag);
    if (download->if_none_match[0] && strcmp(download->if_none_match, etag) == 0)
        status = 304;
    unsigned long long first = download->offset, last = download->end - 1, total = download->total;
    if (status == 206)
        snprintf(content_range, sizeof content_range, "Content-Range: bytes %llu-%llu/%llu\r\n", first, last, total);
    if (status == 416)
        snprintf(content_range, sizeof content_range, "Content-Range: bytes */%llu\r\n", total);
    snprintf(extra, sizeof extra,
             "Accept-Ranges: bytes\r\nETag: %s\r\nLast-Modified: %s\r\nCache-Control: no-cache\r\n%s", etag, date,
             content_range);
    if (status == 416 || status == 304)
        download->offset = download->end = 0;
    uint64_t size = download->end - download->offset;
    if (ch_peer_reply_head(peer, status, status == 416 ? NULL : type_of(download->path), extra, size) < 0) {
        finish(download, false);
        return;
    }
    download->piece = peer->head_only || size == 0 ? NULL : malloc(PIECE_BYTES);
    if (peer->head_only || size == 0)
        finish(download, true);
    else if (!download->piece)
        finish(download, false);
    else
        read_next(download);
}

static void on_open(uv_work_t *work, int status)
{
    struct ch_download *download = work->data;
    work_ended(download);
    if (!download->peer)
        free_download(download);
    else if (status < 0 || download->error < 0)
        refuse(download, 404, "not_found", "there is no such file in this recording");
    else
        send_head(download);
}

static void copy_field(const struct ch_http_request *request, const char *name, char out[FIELD_BYTES])
{
    struct ch_span value = ch_http_field(request, name);
    if (value.data && value.size < FIELD_BYTES)
        memcpy(out, value.data, value.size); // the rest is zero
}

// "ID/FILE", both plain names.
static bool split_path(const char *path, char out[300])
{
    const char *slash = strchr(path, '/');
    if (!slash || slash == path || !slash[1] || strchr(slash + 1, '/') || strlen(path) >= 300 || path[0] == '.' ||
        slash[1] == '.')
        return false;
    strcpy(out, path);
    return true;
}

void ch_download_start(struct ch_peer *peer, const struct ch_http_request *request, const char *path)
{
    struct ch_download *download = calloc(1, sizeof *download);
    if (!download || !split_path(path, download->path)) {
        free(download);
        ch_peer_reply_error(peer, 404, "not_found", "files are at /recordings/ID/FILE");
        return;
    }
    download->peer = peer;
    download->hub = peer->hub;
    download->root = peer->hub->root;
    download->fd = -1;
    download->work.data = download;
    copy_field(request, "Range", download->range);
    copy_field(request, "If-Range", download->if_range);
    copy_field(request, "If-None-Match", download->if_none_match);
    ch_peer_reply_later(peer, CH_PEER_REPLYING, &role, download);
    if (start_work(download, run_open, on_open) < 0)
        refuse(download, 500, "internal", "the file could not be opened");
}
