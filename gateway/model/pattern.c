/* Room names and their patterns: compiled once, matched without allocation, in one pass, and in one way only.
 *
 * Any thread. Knows nothing of rules or users: auth/rule.c says what a match is worth. */
#include "gw/pattern.h"

#include "gw/json.h"

#include <stdlib.h>
#include <string.h>

#define PATTERN_BYTES_MAX 512
#define NAME_BYTES_MAX 64

struct part {
    bool capture;
    char *text; /* owned; a literal's bytes or a capture's name */
    size_t len;
};

struct gw_pattern {
    char *text; /* owned; as it was given */
    struct part *parts;
    size_t n;
    size_t ncaptures;
};

/* What a room's name must not contain besides C0 and DEL: white space, and what is invisible or turns the direction of
 * the text around, so that two names that look alike in a log are alike. */
static const struct {
    uint32_t first, last;
} unfit[] = {
    {0x7f, 0xa0},     {0xad, 0xad},     {0x61c, 0x61c},   {0x1680, 0x1680}, {0x180e, 0x180e},   {0x2000, 0x200f},
    {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff},
    {0xe0000, 0xe0fff},
};

/* The code point at *i of valid UTF-8; moves *i behind it. */
static uint32_t next_code_point(struct gw_str s, size_t *i)
{
    unsigned char c = (unsigned char)s.p[(*i)++];
    unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    uint32_t cp = more == 0 ? c : c & (0x3fu >> more);

    for (; more > 0 && *i < s.len; more--)
        cp = cp << 6 | ((unsigned char)s.p[(*i)++] & 0x3fu);
    return cp;
}

static bool fit(uint32_t cp)
{
    if (cp < 0x7f) /* nearly all of them */
        return cp > 0x20;
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        if (cp >= unfit[i].first && cp <= unfit[i].last)
            return false;
    return true;
}

bool gw_name_printable(struct gw_str name)
{
    if (name.p == NULL || !gw_utf8_valid(name))
        return false;
    for (size_t i = 0; i < name.len;)
        if (!fit(next_code_point(name, &i)))
            return false;
    return true;
}

bool gw_room_name_valid(struct gw_str room)
{
    return room.p != NULL && room.len >= 1 && room.len <= GW_ROOM_BYTES_MAX && gw_name_printable(room);
}

/* Text with captures, piece by piece. A doubled brace is a literal of its own. */
enum piece { PIECE_END, PIECE_LITERAL, PIECE_CAPTURE, PIECE_BAD };

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static enum piece next_capture(struct gw_str text, size_t *pos, struct gw_str *out)
{
    size_t end = *pos + 1;

    while (end < text.len && name_char(text.p[end]))
        end++;
    *out = (struct gw_str){text.p + *pos + 1, end - *pos - 1};
    if (end == text.len || text.p[end] != '}' || out->len == 0 || out->len > NAME_BYTES_MAX)
        return PIECE_BAD;
    *pos = end + 1;
    return PIECE_CAPTURE;
}

static enum piece next_piece(struct gw_str text, size_t *pos, struct gw_str *out)
{
    size_t start = *pos;

    if (start >= text.len)
        return PIECE_END;
    if (text.p[start] == '{' || text.p[start] == '}') {
        if (start + 1 < text.len && text.p[start + 1] == text.p[start]) {
            *out = (struct gw_str){text.p + start, 1};
            *pos = start + 2;
            return PIECE_LITERAL;
        }
        return text.p[start] == '{' ? next_capture(text, pos, out) : PIECE_BAD;
    }
    while (*pos < text.len && text.p[*pos] != '{' && text.p[*pos] != '}')
        ++*pos;
    *out = (struct gw_str){text.p + start, *pos - start};
    return PIECE_LITERAL;
}

static int bad_braces(struct gw_str text, struct gw_err *err)
{
    return gw_err_set(err,
                      "\"%.*s\": expected {name} with a name of letters, digits, '_' and '-'; "
                      "a literal brace is written twice",
                      (int)(text.len < 200 ? text.len : 200), text.p);
}

static void add_part(struct gw_pattern *p, bool capture, struct gw_str text)
{
    struct part *last = p->n > 0 ? &p->parts[p->n - 1] : NULL;

    if (!capture && last != NULL && !last->capture) { /* "a" "{" "b" is one literal */
        last->text = gw_realloc(last->text, last->len + text.len + 1);
        memcpy(last->text + last->len, text.p, text.len);
        last->len += text.len;
        last->text[last->len] = '\0';
        return;
    }
    p->parts = gw_realloc(p->parts, (p->n + 1) * sizeof *p->parts);
    p->parts[p->n++] = (struct part){.capture = capture, .text = gw_str_dup(text), .len = text.len};
    p->ncaptures += capture ? 1 : 0;
}

/* Two captures with no ':' between them could share a name's bytes in several ways; then "a-b" of one tenant would
 * be "a" of another. */
static int check_capture(const struct gw_pattern *p, struct gw_str name, struct gw_err *err)
{
    const struct part *last = p->n > 0 ? &p->parts[p->n - 1] : NULL;

    if (gw_pattern_has_capture(p, name))
        return gw_err_set(err, "\"%s\": {%.*s} stands there twice", p->text, (int)name.len, name.p);
    if (p->ncaptures == GW_CAPTURES_MAX)
        return gw_err_set(err, "\"%s\": more than %d captures", p->text, GW_CAPTURES_MAX);
    if (p->ncaptures > 0 && (last->capture || memchr(last->text, ':', last->len) == NULL))
        return gw_err_set(err, "\"%s\": expected a ':' between {%.*s} and the capture before it", p->text,
                          (int)name.len, name.p);
    return 0;
}

/* A pattern that no room's name is short enough for is a mistake. */
static int check_length(const struct gw_pattern *p, struct gw_err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++)
        n += p->parts[i].capture ? 1 : p->parts[i].len;
    return n <= GW_ROOM_BYTES_MAX ? 0 : gw_err_set(err, "a room's name has at most %d bytes", GW_ROOM_BYTES_MAX);
}

static int compile(struct gw_pattern *p, struct gw_err *err)
{
    struct gw_str text = gw_str_of(p->text), out;
    size_t pos = 0;
    enum piece piece;

    if (text.len == 0 || text.len > PATTERN_BYTES_MAX || !gw_name_printable(text))
        return gw_err_set(err, "a room pattern is 1 to %d bytes of printable UTF-8 without white space",
                          PATTERN_BYTES_MAX);
    while ((piece = next_piece(text, &pos, &out)) != PIECE_END) {
        if (piece == PIECE_BAD)
            return bad_braces(text, err);
        if (piece == PIECE_CAPTURE && check_capture(p, out, err) != 0)
            return -1;
        add_part(p, piece == PIECE_CAPTURE, out);
    }
    return check_length(p, err);
}

struct gw_pattern *gw_pattern_new(const char *text, struct gw_err *err)
{
    struct gw_pattern *p = gw_alloc(sizeof *p);

    p->text = gw_strdup(text == NULL ? "" : text);
    if (compile(p, err) != 0) {
        gw_pattern_free(p);
        return NULL;
    }
    return p;
}

void gw_pattern_free(struct gw_pattern *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->n; i++)
        free(p->parts[i].text);
    free(p->parts);
    free(p->text);
    free(p);
}

const char *gw_pattern_text(const struct gw_pattern *p)
{
    return p->text;
}

size_t gw_pattern_captures(const struct gw_pattern *p)
{
    return p->ncaptures;
}

struct gw_str gw_pattern_capture(const struct gw_pattern *p, size_t index)
{
    for (size_t i = 0, n = 0; i < p->n; i++)
        if (p->parts[i].capture && n++ == index)
            return (struct gw_str){p->parts[i].text, p->parts[i].len};
    return (struct gw_str){NULL, 0};
}

bool gw_pattern_has_capture(const struct gw_pattern *p, struct gw_str name)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->parts[i].capture && gw_str_is(name, p->parts[i].text))
            return true;
    return false;
}

/* Where the capture in front of part `next` ends that starts at `pos`, or 0. A ':' in the literal behind it fixes the
 * place, for the capture has none; without one the literal is the pattern's end. */
static size_t capture_end(const struct gw_pattern *p, size_t next, struct gw_str room, size_t pos)
{
    const char *rest = room.p + pos, *colon = memchr(rest, ':', room.len - pos);
    const struct part *lit;
    const char *lit_colon;
    size_t end;

    if (next == p->n)
        return room.len;
    lit = &p->parts[next];
    lit_colon = memchr(lit->text, ':', lit->len);
    if (lit_colon == NULL) {
        end = room.len >= lit->len ? room.len - lit->len : 0;
        return colon != NULL && room.p + end > colon ? 0 : end;
    }
    if (colon == NULL || colon - rest < lit_colon - lit->text)
        return 0;
    return pos + (size_t)(colon - rest) - (size_t)(lit_colon - lit->text);
}

bool gw_pattern_match(const struct gw_pattern *p, struct gw_str room, struct gw_captures *out)
{
    struct gw_captures found = {0};
    size_t pos = 0, end;

    for (size_t i = 0; i < p->n; i++) {
        const struct part *part = &p->parts[i];

        if (part->capture) {
            end = capture_end(p, i + 1, room, pos);
            if (end <= pos)
                return false;
            found.v[found.n++] =
                (struct gw_capture){{part->text, part->len}, {room.p + pos, end - pos}};
            pos = end;
            continue;
        }
        if (room.len - pos < part->len || memcmp(room.p + pos, part->text, part->len) != 0)
            return false;
        pos += part->len;
    }
    if (pos != room.len)
        return false;
    if (out != NULL)
        *out = found;
    return true;
}

static const struct gw_capture *find_capture(const struct gw_captures *c, struct gw_str name)
{
    for (size_t i = 0; c != NULL && i < c->n; i++)
        if (gw_str_eq(c->v[i].name, name))
            return &c->v[i];
    return NULL;
}

int gw_captures_expand(const struct gw_captures *c, struct gw_str text, struct gw_buf *out)
{
    size_t pos = 0, before = out->len;
    struct gw_str piece;
    enum piece kind;

    while ((kind = next_piece(text, &pos, &piece)) != PIECE_END) {
        const struct gw_capture *found = kind == PIECE_CAPTURE ? find_capture(c, piece) : NULL;

        if (kind == PIECE_BAD || (kind == PIECE_CAPTURE && found == NULL)) {
            out->len = before;
            return -1;
        }
        gw_buf_add_str(out, found != NULL ? found->value : piece);
    }
    return 0;
}

int gw_pattern_fill(const struct gw_pattern *p, const struct gw_captures *c, struct gw_buf *out)
{
    return gw_captures_expand(c, gw_str_of(p->text), out);
}

int gw_pattern_check_text(const struct gw_pattern *p, struct gw_str text, struct gw_err *err)
{
    size_t pos = 0;
    struct gw_str piece;
    enum piece kind;

    while ((kind = next_piece(text, &pos, &piece)) != PIECE_END) {
        if (kind == PIECE_BAD)
            return bad_braces(text, err);
        if (kind == PIECE_CAPTURE && (p == NULL || !gw_pattern_has_capture(p, piece)))
            return gw_err_set(err, "{%.*s} is no capture of %s%s%s", (int)piece.len, piece.p,
                              p == NULL ? "a room pattern: there is none here" : "the room pattern \"",
                              p == NULL ? "" : p->text, p == NULL ? "" : "\"");
    }
    return 0;
}
