#include "sink/catalogue_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// --- life ---

int ch_catalogue_open(struct ch_catalogue **out, int root, const char *root_path)
{
    struct ch_catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (!catalogue)
        return -ENOMEM;
    catalogue->root = root;
    catalogue->path = strdup(root_path);
    int rc = catalogue->path ? ch_catalogue_db_open(catalogue) : -ENOMEM;
    if (rc < 0)
        ch_catalogue_close(&catalogue);
    *out = catalogue;
    return rc;
}

void ch_catalogue_close(struct ch_catalogue **catalogue)
{
    if (!*catalogue)
        return;
    ch_catalogue_pass_abandon(*catalogue);
    ch_catalogue_db_close(*catalogue);
    free((*catalogue)->path);
    free(*catalogue);
    *catalogue = NULL;
}

bool ch_catalogue_in_memory(const struct ch_catalogue *catalogue)
{
    return catalogue->in_memory;
}

bool ch_catalogue_settled(const struct ch_catalogue *catalogue)
{
    return catalogue->settled;
}

bool ch_catalogue_mend(struct ch_catalogue *catalogue, int rc)
{
    if (rc != CH_CATALOGUE_BROKEN)
        return false;
    ch_catalogue_pass_abandon(catalogue);
    catalogue->settled = false;
    return ch_catalogue_db_renew(catalogue) == 0;
}

// --- keeping it true ---

static int reconcile(struct ch_catalogue *catalogue, int64_t budget_us, struct ch_catalogue_changes *changes)
{
    *changes = (struct ch_catalogue_changes){0};
    int rc = ch_catalogue_begin(catalogue, true);
    if (rc == 0)
        rc = ch_catalogue_end(catalogue, ch_catalogue_pass(catalogue, budget_us, changes));
    return rc;
}

int ch_catalogue_reconcile(struct ch_catalogue *catalogue, int64_t budget_us, struct ch_catalogue_changes *changes)
{
    struct ch_catalogue_changes ignored;
    if (!changes)
        changes = &ignored;
    int rc = reconcile(catalogue, budget_us, changes);
    if (ch_catalogue_mend(catalogue, rc))
        rc = reconcile(catalogue, budget_us, changes);
    if (rc < 0) {
        // Nothing of this call was kept.
        *changes = (struct ch_catalogue_changes){0};
        ch_catalogue_pass_abandon(catalogue);
    }
    if (rc == 0)
        catalogue->settled = true;
    return rc;
}

static int update(struct ch_catalogue *catalogue, const char *id, struct ch_catalogue_row *row)
{
    struct ch_catalogue_changes ignored = {0};
    int rc = ch_catalogue_begin(catalogue, true);
    if (rc == 0)
        rc = ch_catalogue_end(catalogue, ch_catalogue_refresh(catalogue, id, row, &ignored));
    return rc;
}

int ch_catalogue_update(struct ch_catalogue *catalogue, const char *id, struct ch_recording *recording)
{
    struct ch_catalogue_row row;
    if (!ch_catalogue_id_valid(id))
        return 0;
    int rc = update(catalogue, id, &row);
    if (ch_catalogue_mend(catalogue, rc))
        rc = update(catalogue, id, &row);
    if (rc == 1 && recording)
        *recording = row.recording;
    return rc;
}

// --- questions ---

static int get(struct ch_catalogue *catalogue, const char *id, struct ch_catalogue_row *row)
{
    int rc = ch_catalogue_begin(catalogue, false);
    if (rc == 0)
        rc = ch_catalogue_end(catalogue, ch_catalogue_find(catalogue, id, row));
    return rc;
}

int ch_catalogue_get(struct ch_catalogue *catalogue, const char *id, struct ch_recording *recording)
{
    struct ch_catalogue_row row;
    int rc = get(catalogue, id, &row);
    if (ch_catalogue_mend(catalogue, rc))
        rc = get(catalogue, id, &row);
    if (rc < 1)
        return rc < 0 ? rc : -ENOENT;
    *recording = row.recording;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const json_t *const *left = a, *const *right = b;
    return strcmp(json_string_value(json_object_get(*left, "name")),
                  json_string_value(json_object_get(*right, "name")));
}

// The same list in the order of names. Takes *files.
static json_t *sort_files(json_t **files)
{
    size_t count = json_array_size(*files);
    json_t **order = calloc(count + 1, sizeof *order), *sorted = json_array();
    if (order && sorted) {
        for (size_t i = 0; i < count; i++)
            order[i] = json_array_get(*files, i);
        qsort(order, count, sizeof *order, by_name);
        for (size_t i = 0; i < count; i++)
            json_array_append(sorted, order[i]);
    }
    free(order);
    json_decref(*files);
    *files = NULL;
    return sorted;
}

int ch_catalogue_get_details(struct ch_catalogue *catalogue, const char *id, json_t **details)
{
    struct ch_recording recording;
    struct ch_catalogue_row row;
    json_t *report = NULL, *files = NULL;
    int rc = ch_catalogue_update(catalogue, id, &recording);
    if (rc == 1)
        rc = ch_catalogue_look(catalogue->root, id, &row, &report, &files);
    if (rc < 1)
        return rc < 0 ? rc : -ENOENT;
    *details = json_pack("{s:o,s:o,s:o}", "recording", ch_recording_to_json(&recording), "files", sort_files(&files),
                         "report", json_is_object(report) ? json_incref(report) : json_null());
    json_decref(report);
    return *details ? 0 : -ENOMEM;
}

// --- deleting ---

int ch_catalogue_delete_session(struct ch_catalogue *catalogue, const char *id)
{
    int rc = ch_catalogue_delete_folder(catalogue->root, id);
    // On a full disk the list may not be able to lose the row before the space is free, and the folder is what counts.
    if (rc != -EBUSY)
        ch_catalogue_update(catalogue, id, NULL);
    return rc;
}
