// Values into drafts, and drafts over drafts.
#include "app/config_internal.h"
#include "base/text.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIST_ITEMS 64
#define LIST_TEXT_BYTES 4096
#define BOUNDS_BYTES 96

static const struct ch_place *outermost(const struct ch_place *place)
{
    while (place->in)
        place = place->in;
    return place;
}

static void put_seconds(int64_t us, char *out, size_t room)
{
    int used = snprintf(out, room, "%" PRId64, us / 1000000);
    if (us % 1000000 != 0)
        snprintf(out + used, room - (size_t)used, ".%06" PRId64, us % 1000000);
}

// "0, or 1 to 3600"
static void put_bounds(const struct ch_key *key, char out[BOUNDS_BYTES])
{
    char min[32], max[32];
    if (key->kind == CH_KEY_SECONDS) {
        put_seconds(key->min, min, sizeof min);
        put_seconds(key->max, max, sizeof max);
    } else {
        snprintf(min, sizeof min, "%" PRId64, key->min);
        snprintf(max, sizeof max, "%" PRId64, key->max);
    }
    snprintf(out, BOUNDS_BYTES, "%s%s to %s%s", key->zero ? "0, or " : "", min, max,
             key->kind == CH_KEY_SECONDS ? " seconds" : "");
}

static size_t count_words(const char *const *words)
{
    size_t count = 0;
    while (words[count])
        count++;
    return count;
}

// --- setting ---

static void *field(void *draft, const struct ch_key *key)
{
    return (char *)draft + key->offset;
}

static const void *const_field(const void *draft, const struct ch_key *key)
{
    return (const char *)draft + key->offset;
}

static uint64_t bit_of(const struct ch_section *section, const struct ch_key *key)
{
    return UINT64_C(1) << (key - section->keys);
}

static uint64_t set_of(const void *draft)
{
    uint64_t set;
    memcpy(&set, draft, sizeof set);
    return set;
}

void ch_config_mark_set(const struct ch_section *section, const struct ch_key *key, void *draft)
{
    uint64_t set = set_of(draft) | bit_of(section, key);
    memcpy(draft, &set, sizeof set);
}

// --- one value ---

static bool number_allowed(const struct ch_key *key, int64_t number)
{
    return (number >= key->min && number <= key->max) || (key->zero && number == 0);
}

// What had a fault is no number at all, so that nothing else is said about it: as a port it is 0, as a size it is not.
static void spoil(const struct ch_key *key, void *draft)
{
    static const int64_t none = INT64_MIN;
    memcpy(field(draft, key), &none, sizeof none);
}

static void set_number(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key, int64_t number,
                       const char *shown, void *draft)
{
    char bounds[BOUNDS_BYTES];
    put_bounds(key, bounds);
    if (!number_allowed(key, number)) {
        ch_config_fault(reader, place, "%s is not allowed; %s is", shown, bounds);
        return;
    }
    if (key->even && number % 2 != 0) {
        number--;
        ch_config_warning(reader, place, "%s is odd, and H.264 needs an even one: it will be %" PRId64, shown, number);
    }
    memcpy(field(draft, key), &number, sizeof number);
}

static void read_int(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                     const json_t *value, const char *shown, void *draft)
{
    char bounds[BOUNDS_BYTES];
    put_bounds(key, bounds);
    if (json_is_integer(value))
        set_number(reader, place, key, json_integer_value(value), shown, draft);
    else if (json_is_real(value))
        ch_config_fault(reader, place, "%s is no whole number; %s is allowed", shown, bounds);
    else
        ch_config_fault(reader, place, "%s is no number; %s is allowed", shown, bounds);
}

static void read_seconds(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                         const json_t *value, const char *shown, void *draft)
{
    char bounds[BOUNDS_BYTES];
    put_bounds(key, bounds);
    if (!json_is_number(value)) {
        ch_config_fault(reader, place, "%s is no number; %s is allowed", shown, bounds);
        return;
    }
    // JSON has fractions; from here on it is microseconds. No bound is near 1e9 s.
    double seconds = json_number_value(value);
    if (!(seconds > -1e9 && seconds < 1e9)) {
        ch_config_fault(reader, place, "%s is not allowed; %s is", shown, bounds);
        return;
    }
    int64_t us = (int64_t)(seconds * 1e6 + (seconds < 0 ? -0.5 : 0.5));
    if (us == 0 && seconds != 0) // as good as 0, but not written so
        us = seconds < 0 ? -1 : 1;
    set_number(reader, place, key, us, shown, draft);
}

static void read_bool(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                      const json_t *value, const char *shown, void *draft)
{
    bool is = json_is_true(value);
    if (json_is_boolean(value))
        memcpy(field(draft, key), &is, sizeof is);
    else
        ch_config_fault(reader, place, "%s is not allowed; true or false is", shown);
}

static void read_word(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                      const json_t *value, const char *shown, void *draft)
{
    const char *text = json_string_value(value);
    char words[CH_WORDS_BYTES];
    for (int64_t i = 0; text && key->words[i]; i++) {
        if (strcmp(text, key->words[i]) == 0) {
            memcpy(field(draft, key), &i, sizeof i);
            return;
        }
    }
    ch_config_words(reader, text ? text : "", key->words, count_words(key->words), words);
    ch_config_fault(reader, place, text ? "%s is unknown; %s" : "%s is no text; %s", shown, words);
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 32 || *text == 127)
            return true;
    return false;
}

static void set_text(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key, const char *text,
                     void *draft)
{
    const char *folder = outermost(place)->folder, *kept;
    if (key->path && folder && text[0] != '/') {
        char joined[2 * 4096 + 2];
        if ((size_t)snprintf(joined, sizeof joined, "%s/%s", folder, text) >= sizeof joined) {
            ch_config_fault(reader, place, "the path is too long");
            return;
        }
        kept = ch_config_keep(reader, joined);
    } else {
        kept = ch_config_keep(reader, text);
    }
    memcpy(field(draft, key), &kept, sizeof kept);
}

static void read_text(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                      const json_t *value, const char *shown, void *draft)
{
    const char *text = json_string_value(value), *wrong = NULL;
    if (!text) {
        ch_config_fault(reader, place, "%s is no text", shown);
        return;
    }
    if (has_control(text)) {
        ch_config_fault(reader, place, "control characters are not allowed");
        return;
    }
    wrong = key->wrong(text);
    if (!wrong)
        set_text(reader, place, key, text, draft);
    else if (key->secret)
        ch_config_fault(reader, place, "%s", wrong);
    else
        ch_config_fault(reader, place, "%s is not allowed; %s", shown, wrong);
}

// An input of ffmpeg: options, "-i", and its name, and one only.
static const char *input_wrong(const json_t *list)
{
    size_t count = json_array_size(list), inputs = 0;
    if (count < 2 || count > LIST_ITEMS)
        return "2 to 64 arguments of ffmpeg are allowed";
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text)
            return "each argument must be a text";
        if (strlen(text) > LIST_TEXT_BYTES || has_control(text))
            return "an argument may have 4096 bytes, and no control characters";
        inputs += strcmp(text, "-i") == 0;
    }
    if (inputs != 1 || strcmp(json_string_value(json_array_get(list, count - 2)), "-i") != 0)
        return "the last two must be -i and what is read, and there must be no other -i";
    return NULL;
}

static void read_list(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                      const json_t *value, const char *shown, void *draft)
{
    if (!json_is_array(value)) {
        ch_config_fault(reader, place, "%s is no list; [\"-f\", \"...\", \"-i\", \"...\"] is allowed", shown);
        return;
    }
    const char *wrong = input_wrong(value);
    if (wrong) {
        ch_config_fault(reader, place, "%s", wrong);
        return;
    }
    size_t count = json_array_size(value);
    const char **list = ch_config_keep_bytes(reader, (count + 1) * sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i] = ch_config_keep(reader, json_string_value(json_array_get(value, i)));
    memcpy(field(draft, key), &list, sizeof list);
}

static void read_section(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                         const json_t *value, void *draft)
{
    ch_config_read(reader, place, key->section, value, field(draft, key));
    if (!json_is_object(value)) // nothing of it is missing then
        for (size_t i = 0; i < key->section->count; i++)
            ch_config_mark_set(key->section, &key->section->keys[i], field(draft, key));
}

static void show(const struct ch_place *place, const struct ch_key *key, const json_t *value, char out[CH_SHOWN_BYTES])
{
    if (key->secret && !json_is_object(value) && !json_is_array(value))
        snprintf(out, CH_SHOWN_BYTES, "%s", json_is_string(value) ? "a text" : "the value");
    else
        ch_config_show(value, outermost(place)->variable, out);
}

static void read_value(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                       const json_t *value, void *draft)
{
    char shown[CH_SHOWN_BYTES];
    show(place, key, value, shown);
    if (key->kind == CH_KEY_INT || key->kind == CH_KEY_SECONDS)
        spoil(key, draft);
    switch (key->kind) {
    case CH_KEY_BOOL: read_bool(reader, place, key, value, shown, draft); break;
    case CH_KEY_INT: read_int(reader, place, key, value, shown, draft); break;
    case CH_KEY_SECONDS: read_seconds(reader, place, key, value, shown, draft); break;
    case CH_KEY_TEXT: read_text(reader, place, key, value, shown, draft); break;
    case CH_KEY_WORD: read_word(reader, place, key, value, shown, draft); break;
    case CH_KEY_LIST: read_list(reader, place, key, value, shown, draft); break;
    case CH_KEY_SECTION: read_section(reader, place, key, value, draft); break;
    case CH_KEY_APART: break;
    }
}

// --- an object ---

static const struct ch_key *find_key(const struct ch_section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    return NULL;
}

static void fault_unknown(struct ch_reader *reader, const struct ch_place *place, const struct ch_section *section)
{
    const char *names[64];
    char words[CH_WORDS_BYTES];
    assert(section->count <= 64);
    for (size_t i = 0; i < section->count; i++)
        names[i] = section->keys[i].name;
    ch_config_words(reader, place->name, names, section->count, words);
    ch_config_fault(reader, place, "unknown key; %s", words);
}

// null, or a text that is left empty: as if the key were not there.
static bool is_none(const struct ch_key *key, const json_t *value)
{
    return key->null && (json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0));
}

// An object that is named like a type of source, with that type's keys in it: what is of another type than the one that
// is wanted is checked, and not used. False if the key is no such thing.
static bool read_group(struct ch_reader *reader, const struct ch_place *place, const struct ch_section *section,
                       const json_t *source, const json_t *group, void *draft)
{
    const char *type = json_string_value(json_object_get(source, "type"));
    size_t i = 0;
    while (section->by_type && ch_type_words[i] && strcmp(ch_type_words[i], place->name) != 0)
        i++;
    if (!section->by_type || !ch_type_words[i] || !(json_is_object(group) || json_is_null(group)))
        return false;
    if (json_is_null(group))
        return true;
    void *unused = ch_config_keep_bytes(reader, section->draft_bytes);
    bool wanted = strcmp(type ? type : ch_type_words[CH_SOURCE_SCREEN], place->name) == 0;
    if (wanted || unused)
        ch_config_read(reader, place, section, group, wanted ? draft : unused);
    return true;
}

void ch_config_read(struct ch_reader *reader, const struct ch_place *place, const struct ch_section *section,
                    const json_t *object, void *draft)
{
    if (!json_is_object(object)) {
        char shown[CH_SHOWN_BYTES];
        ch_config_show(object, false, shown);
        ch_config_fault(reader, place, "%s is no object; {...} is allowed", shown);
        return;
    }
    // jansson's loops take what they could change; nothing is.
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        struct ch_place inner = {.in = place, .name = json_object_iter_key(at)};
        const json_t *value = json_object_iter_value(at);
        const struct ch_key *key = find_key(section, inner.name);
        if (!key && !read_group(reader, &inner, section, object, value, draft))
            fault_unknown(reader, &inner, section);
        else if (key && key->kind != CH_KEY_APART && !is_none(key, value)) {
            read_value(reader, &inner, key, value, draft);
            ch_config_mark_set(section, key, draft);
        }
    }
}

// --- a text of a variable or a flag ---

static json_t *bool_of(const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        return json_true();
    return strcmp(text, "false") == 0 || strcmp(text, "0") == 0 ? json_false() : NULL;
}

// A number beyond all bounds is still a number.
static bool number_of(const struct ch_key *key, const char *text, int64_t *number)
{
    int rc = -EINVAL;
    if (key->kind == CH_KEY_INT)
        rc = ch_parse_int(text, INT64_MIN, INT64_MAX, number);
    else if (key->kind == CH_KEY_SECONDS)
        rc = ch_parse_seconds_us(text, 0, INT64_MAX, number);
    if (rc == -ERANGE)
        *number = text[0] == '-' ? INT64_MIN : INT64_MAX;
    return rc == 0 || rc == -ERANGE;
}

void ch_config_read_text(struct ch_reader *reader, const struct ch_place *place, const struct ch_key *key,
                         const char *text, void *draft)
{
    int64_t number;
    if (number_of(key, text, &number)) {
        char shown[CH_SHOWN_BYTES];
        ch_config_show_text(text, shown);
        spoil(key, draft);
        set_number(reader, place, key, number, shown, draft);
        return;
    }
    json_t *value = key->kind == CH_KEY_BOOL ? bool_of(text) : NULL;
    if (!value)
        value = json_string(text);
    if (value)
        read_value(reader, place, key, value, draft);
    else // of json_string: not UTF-8, or no memory
        ch_config_fault(reader, place, "the value is not UTF-8");
    json_decref(value);
}

// --- over each other ---

static size_t field_bytes(const struct ch_key *key)
{
    switch (key->kind) {
    case CH_KEY_BOOL: return sizeof(bool);
    case CH_KEY_INT:
    case CH_KEY_SECONDS:
    case CH_KEY_WORD: return sizeof(int64_t);
    case CH_KEY_TEXT:
    case CH_KEY_LIST: return sizeof(void *);
    default: return 0;
    }
}

void ch_config_lay_over(const struct ch_section *section, void *draft, const void *over)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct ch_key *key = &section->keys[i];
        if (!(set_of(over) >> i & 1u))
            continue;
        if (key->kind == CH_KEY_SECTION)
            ch_config_lay_over(key->section, field(draft, key), const_field(over, key));
        else
            memcpy(field(draft, key), const_field(over, key), field_bytes(key));
        ch_config_mark_set(section, key, draft);
    }
}

static bool same_value(const struct ch_key *key, const void *a, const void *b)
{
    if (key->kind != CH_KEY_TEXT)
        return memcmp(const_field(a, key), const_field(b, key), field_bytes(key)) == 0;
    const char *left, *right;
    memcpy(&left, const_field(a, key), sizeof left);
    memcpy(&right, const_field(b, key), sizeof right);
    return left && right && strcmp(left, right) == 0;
}

const struct ch_key *ch_config_contradiction(const struct ch_section *section, const void *a, const void *b)
{
    for (size_t i = 0; i < section->count; i++)
        if ((set_of(a) & set_of(b)) >> i & 1u && !same_value(&section->keys[i], a, b))
            return &section->keys[i];
    return NULL;
}
