/* Texts of the configuration: shown in errors, compared with known names, joined to file names, quoted as YAML. Any
 * thread; nothing is kept. */
#include "private.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_BYTES_MAX 64u
#define WORD_BYTES_MAX 48u /* longer words have no likely misspelling */

struct gw_shown gw_cfg_show(const char *text)
{
    struct gw_shown out;
    size_t len = strlen(text), n = len;
    if (n > SHOWN_BYTES_MAX) {
        n = SHOWN_BYTES_MAX;
        while (n && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
    }
    for (size_t i = 0; i < n; i++)
        out.s[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    memcpy(out.s + n, n < len ? "..." : "", n < len ? 4 : 1);
    return out;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static size_t row_cell(const size_t *before, const size_t *above, const size_t *row, struct gw_str a, struct gw_str b,
                       size_t i, size_t j)
{
    size_t same = a.p[i - 1] == b.p[j - 1] ? 0 : 1;
    size_t cost = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + same);
    bool swapped = i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1];
    return swapped && before[j - 2] + 1 < cost ? before[j - 2] + 1 : cost;
}

/* Edits from a to b: insertions, deletions, replacements and swaps of neighbours ("topcis"). */
static size_t distance(struct gw_str a, struct gw_str b)
{
    size_t rows[3][WORD_BYTES_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++)
            row[j] = row_cell(rows[(i + 1) % 3], rows[(i + 2) % 3], row, a, b, i, j);
    }
    return rows[a.len % 3][b.len];
}

int gw_cfg_nearest(struct gw_str word, const struct gw_str *names, size_t n)
{
    size_t best = 3;
    int found = -1;
    if (word.len > WORD_BYTES_MAX)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (names[i].len > WORD_BYTES_MAX)
            continue;
        size_t d = distance(word, names[i]);
        if (d < best && 2 * d < names[i].len) {
            best = d;
            found = (int)i;
        }
    }
    return found;
}

char *gw_cfg_join_path(const char *dir, const char *name)
{
    struct gw_buf b;
    gw_buf_init(&b);
    if (dir && name[0] && name[0] != '/') {
        while (name[0] == '.' && name[1] == '/')
            name += 2;
        gw_buf_add_c(&b, dir);
        if (b.len && b.data[b.len - 1] != '/')
            gw_buf_add_char(&b, '/');
    }
    gw_buf_add_c(&b, name);
    char *path = gw_strdup(gw_buf_c(&b));
    gw_buf_fini(&b);
    return path;
}

char *gw_cfg_dir_of(const char *file)
{
    char cwd[PATH_MAX];
    char *here = gw_strdup(getcwd(cwd, sizeof(cwd)));
    const char *slash = file ? strrchr(file, '/') : NULL;
    if (!slash)
        return here;
    char *part = gw_str_dup((struct gw_str){file, slash == file ? 1 : (size_t)(slash - file)});
    char *dir = gw_cfg_join_path(here, part);
    free(part);
    free(here);
    return dir;
}

/* The code point at *p, which is moved behind it. text is valid UTF-8. */
static uint32_t next_code_point(const unsigned char **p)
{
    const unsigned char *s = *p;
    size_t more = s[0] < 0x80 ? 0 : s[0] < 0xE0 ? 1 : s[0] < 0xF0 ? 2 : 3;
    uint32_t cp = more ? s[0] & (0x3Fu >> more) : s[0];
    for (size_t i = 1; i <= more; i++)
        cp = cp << 6 | (s[i] & 0x3Fu);
    *p = s + more + 1;
    return cp;
}

/* Characters that YAML 1.1 does not take as they are, or takes for line breaks (sections 5.1 and 5.4). */
static bool needs_escape(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp < 0xA0) || cp == 0x2028 || cp == 0x2029 || cp == 0xFEFF || cp == 0xFFFE ||
           cp == 0xFFFF;
}

void gw_cfg_quote(struct gw_buf *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    gw_buf_add_char(out, '"');
    while (*p) {
        const unsigned char *start = p;
        uint32_t cp = next_code_point(&p);
        if (cp == '"' || cp == '\\')
            gw_buf_addf(out, "\\%c", (int)cp);
        else if (cp == '\n')
            gw_buf_add_c(out, "\\n");
        else if (needs_escape(cp))
            gw_buf_addf(out, "\\u%04X", (unsigned)cp);
        else
            gw_buf_add(out, start, (size_t)(p - start));
    }
    gw_buf_add_char(out, '"');
}
