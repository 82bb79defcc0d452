/* docs/configuration.md and --help, from the tables; what is written by hand is in docs_text.c. */
#include "private.h"

#include <string.h>

/* Text of a table's cell: '|' ends a cell and '<' opens a tag in Markdown. */
static void add_cell(struct gw_buf *out, const char *text)
{
    for (const char *c = text; *c; c++)
        gw_buf_add_c(out, *c == '|' ? "\\|" : *c == '<' ? "&lt;" : (char[2]){*c, 0});
}

static void add_row(struct gw_buf *out, const struct gw_opt *o)
{
    char env[GW_CFG_NAME_MAX], flag[GW_CFG_NAME_MAX];
    gw_opt_env_name(o->path, env);
    gw_opt_flag_name(o->path, flag);
    gw_buf_addf(out, "| `%s` | `%s` | `--%s` | `", o->path, env, flag);
    gw_opt_print_default(o, out);
    gw_buf_add_c(out, "` | ");
    gw_opt_print_range(o, out);
    gw_buf_addf(out, " | %s | ", o->flags & GW_OPT_RELOAD ? "yes" : "");
    add_cell(out, o->help);
    gw_buf_add_c(out, o->flags & GW_OPT_SECRET ? " Secret. |\n" : " |\n");
}

static void add_table_head(struct gw_buf *out, struct gw_str section)
{
    if (section.len)
        gw_buf_addf(out, "\n### %.*s\n\n", (int)section.len, section.p);
    else
        gw_buf_add_c(out, "\n### At the top\n\n");
    gw_buf_add_c(out, "| option | environment | flag | default | range | reload | what it does |\n"
                      "| --- | --- | --- | --- | --- | --- | --- |\n");
}

static void add_tables(struct gw_buf *out)
{
    struct gw_str section = {NULL, 0};
    for (size_t i = 0; i < gw_opts_n; i++) {
        const char *dot = strchr(gw_opts[i].path, '.');
        struct gw_str next = {gw_opts[i].path, dot ? (size_t)(dot - gw_opts[i].path) : 0};
        if (!section.p || !gw_str_eq(next, section))
            add_table_head(out, next);
        section = next;
        add_row(out, &gw_opts[i]);
    }
}

static void add_lists(struct gw_buf *out)
{
    char env[GW_CFG_NAME_MAX], flag[GW_CFG_NAME_MAX];
    gw_buf_add_c(out, "\n### Lists\n\n| list | environment | flag | reload | what it holds |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < gw_lists_n; i++) {
        const struct gw_list *l = &gw_lists[i];
        gw_opt_env_name(l->path, env);
        gw_opt_flag_name(l->path, flag);
        gw_buf_addf(out, "| `%s` | ", l->path);
        if (l->texts)
            gw_buf_addf(out, "`%s` | `--%s` | ", env, flag);
        else
            gw_buf_add_c(out, "| | ");
        gw_buf_addf(out, "%s | ", l->flags & GW_OPT_RELOAD ? "yes" : "");
        add_cell(out, l->help);
        gw_buf_add_c(out, " |\n");
    }
}

static void add_kafka_names(struct gw_buf *out)
{
    gw_buf_add_c(out, "\n### KAFKA_* of existing services\n\n"
                      "A service that Sluice takes over from has its Kafka in these variables already. They work as they are;\n"
                      "other variables that start with `KAFKA_` are ignored, and so is one that is empty.\n\n"
                      "| environment | option |\n| --- | --- |\n");
    for (size_t i = 0; i < gw_kafka_names_n; i++)
        gw_buf_addf(out, "| `%s` | `%s` |\n", gw_kafka_names[i].name, gw_kafka_names[i].path);
    gw_buf_add_c(out, "\nTimes are milliseconds. Booleans may be written true, false, 1, 0, yes, no, on or off.\n");
}

void gw_config_docs(FILE *out)
{
    struct gw_buf b;
    gw_buf_init(&b);
    gw_buf_add_c(&b, gw_docs_head);
    gw_buf_add_c(&b, "\n## Options\n\nSizes and times have their unit in the name. The column *reload* says whether SIGHUP puts a "
                     "new value in force;\nthe others need a restart, and the gateway logs that.\n");
    add_tables(&b);
    add_lists(&b);
    add_kafka_names(&b);
    gw_buf_add_c(&b, gw_docs_text);
    fwrite(b.data, 1, b.len, out);
    gw_buf_fini(&b);
}

static void add_help(struct gw_buf *out, const struct gw_opt *o)
{
    char flag[GW_CFG_NAME_MAX];
    gw_opt_flag_name(o->path, flag);
    gw_buf_addf(out, "  --%s VALUE\n      %s [", flag, o->help);
    gw_opt_print_range(o, out);
    gw_buf_add_c(out, "; default ");
    gw_opt_print_default(o, out);
    gw_buf_add_c(out, "]\n");
}

void gw_config_help(FILE *out)
{
    struct gw_buf b;
    char flag[GW_CFG_NAME_MAX];
    gw_buf_init(&b);
    for (size_t i = 0; i < gw_opts_n; i++)
        add_help(&b, &gw_opts[i]);
    for (size_t i = 0; i < gw_lists_n; i++) {
        if (!gw_lists[i].texts)
            continue;
        gw_opt_flag_name(gw_lists[i].path, flag);
        gw_buf_addf(&b, "  --%s A,B,C\n      %s\n", flag, gw_lists[i].help);
    }
    fwrite(b.data, 1, b.len, out);
    gw_buf_fini(&b);
}
