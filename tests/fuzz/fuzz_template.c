/* Fuzz target: the input is a template. What is taken must be cut so that it can be written back byte by byte, and must
 * expand; what is refused must say why. */
#include "gw/json.h"
#include "gw/template.h"

#include <stdlib.h>
#include <string.h>

static const char *const roots[] = {"value.", "key", "header.", "topic", "topic.N", "partition", NULL};

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Writes references back with their braces. */
static int resolve(const struct gw_template_part *part, struct gw_buf *out, void *arg)
{
    size_t *left = arg;

    if ((*left)-- == 0)
        return -1;
    gw_buf_add_char(out, '{');
    gw_buf_add_str(out, part->root);
    if (part->path.p) {
        gw_buf_add_char(out, '.');
        gw_buf_add_str(out, part->path);
    }
    gw_buf_add_char(out, '}');
    return 0;
}

static void add_doubled(struct gw_buf *out, struct gw_str literal)
{
    for (size_t i = 0; i < literal.len; i++) {
        if (literal.p[i] == '{' || literal.p[i] == '}')
            gw_buf_add_char(out, literal.p[i]);
        gw_buf_add_char(out, literal.p[i]);
    }
}

static void check_parts(struct gw_template *t, const char *text, bool allow_many)
{
    struct gw_template_part *parts;
    size_t n = gw_template_parts(t, &parts), many = 0, refs = 0, all = SIZE_MAX;
    struct gw_buf back = {0};

    require(n <= GW_TEMPLATE_PARTS_MAX);
    for (size_t i = 0; i < n; i++) {
        require(parts[i].slot == -1);
        require(!parts[i].many || gw_template_many_part(t) == (int)i);
        require(!parts[i].literal.p || i == 0 || !parts[i - 1].literal.p);
        many += parts[i].many;
        refs += !parts[i].literal.p;
        if (parts[i].literal.p)
            add_doubled(&back, parts[i].literal);
        else
            require(resolve(&parts[i], &back, &all) == 0);
    }
    require(many <= 1 && (allow_many || many == 0));
    require((many == 1) == (gw_template_many_part(t) >= 0));
    require((refs == 0) == gw_template_is_literal(t));
    require(strcmp(gw_buf_c(&back), text) == 0);
    gw_buf_fini(&back);
}

/* With the k-th reference missing, for every k; then with none. */
static void check_expand(struct gw_template *t)
{
    struct gw_template_part *parts;
    size_t n = gw_template_parts(t, &parts), refs = 0;
    struct gw_buf out = {0};

    gw_buf_add_char(&out, '!');
    for (size_t i = 0; i < n; i++)
        refs += !parts[i].literal.p;
    for (size_t k = 0; k < refs; k++) {
        size_t left = k;
        const struct gw_template_part *missing = NULL;
        require(gw_template_expand(t, resolve, &left, &out, &missing) == -1);
        require(out.len == 1 && missing && !missing->literal.p);
    }
    require(gw_template_expand(t, resolve, &refs, &out, NULL) == 0);
    require(gw_utf8_valid(gw_buf_str(&out)));
    gw_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = gw_str_dup((struct gw_str){(const char *)data, size});

    for (int allow_many = 0; text && allow_many < 2; allow_many++) {
        struct gw_err err = {0};
        struct gw_template *t = gw_template_new(text, roots, allow_many, &err);
        require(t ? !err.set : err.set && err.text[0]);
        if (t) {
            check_parts(t, text, allow_many);
            check_expand(t);
        }
        gw_template_free(t);
    }
    free(text);
    return 0;
}
