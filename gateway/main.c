/* The command line: flags -> configuration -> gw_app_run -> exit code. */
#include "gw/app.h"
#include "gw/auth.h"
#include "gw/dev.h"
#include "gw/kafka.h"
#include "gw/metrics.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

static const char usage[] =
    "sluice: a realtime gateway between Apache Kafka and browsers\n"
    "\n"
    "  sluice --dev                  everything on this machine: embedded broker (or KAFKA_BROKERS), development key, demo page\n"
    "  sluice --config FILE          serve what FILE says\n"
    "  sluice --config FILE --check  say whether FILE is right, and end\n"
    "  sluice token --sub USER [--claims JSON] [--ttl SECONDS] [--alg ALG --key FILE]\n"
    "                                print a token; without --key signed with the key that --dev uses\n"
    "\n"
    "  --print-config                print what is in force, secrets masked, and end\n"
    "  --print-docs PAGE             print docs/PAGE.md (configuration, metrics), and end\n"
    "  --version, --help\n"
    "\n"
    "Every option of the configuration is also a flag and an environment variable:\n\n";

enum mode { MODE_RUN, MODE_CHECK, MODE_PRINT };

struct command {
    struct gw_config_source src;
    enum mode mode;
    struct gw_cfg_flag flags[128];
};

static int fail(const char *text)
{
    fprintf(stderr, "sluice: %s\n", text);
    return 1;
}

static int print_docs(const char *page)
{
    if (page && strcmp(page, "configuration") == 0)
        gw_config_docs(stdout);
    else if (page && strcmp(page, "metrics") == 0)
        gw_metrics_docs(stdout);
    else
        return fail("--print-docs: expected configuration or metrics");
    return 0;
}

static int print_config(struct gw_config *cfg)
{
    struct gw_buf b;
    gw_buf_init(&b);
    gw_kafka_conf_print(cfg, &b);
    gw_config_print(cfg, stdout);
    printf("\n# What librdkafka is told:\n");
    for (const char *line = gw_buf_c(&b), *end; (end = strchr(line, '\n')); line = end + 1)
        printf("#   %.*s\n", (int)(end - line), line);
    gw_buf_fini(&b);
    gw_config_free(cfg);
    return 0;
}

/* ---- sluice token ---- */

struct token_args {
    const char *sub, *claims, *alg, *key;
    int64_t ttl_s;
};

/* 0: not a whole number of seconds, or more of them than a century has */
static int64_t seconds(const char *text)
{
    char *end;
    int64_t n = strtoll(text, &end, 10);
    return end == text || *end || n < 0 || n > INT64_C(100) * 366 * 86400 ? 0 : n;
}

static int token_flag(struct token_args *a, const char *name, const char *value)
{
    if (strcmp(name, "--sub") == 0)
        a->sub = value;
    else if (strcmp(name, "--claims") == 0)
        a->claims = value;
    else if (strcmp(name, "--alg") == 0)
        a->alg = value;
    else if (strcmp(name, "--key") == 0)
        a->key = value;
    else if (strcmp(name, "--ttl") == 0)
        a->ttl_s = seconds(value);
    else
        return -1;
    return 0;
}

static int token_command(int argc, char **argv)
{
    struct token_args a = {.alg = "HS256", .ttl_s = 3600};
    for (int i = 2; i < argc; i += 2)
        if (i + 1 >= argc || token_flag(&a, argv[i], argv[i + 1]) != 0) {
            fprintf(stderr, "sluice token: %s: expected --sub USER [--claims JSON] [--ttl SECONDS] [--alg ALG --key FILE]\n",
                    argv[i]);
            return 1;
        }
    if (!a.sub || a.ttl_s <= 0)
        return fail("token: expected --sub USER, and --ttl above 0");
    struct gw_err err = {0};
    struct gw_buf secret;
    gw_buf_init(&secret);
    char *token = NULL;
    if (a.key || gw_dev_key(&secret, &err) == 0)
        token = gw_token_mint(a.sub, a.claims, a.ttl_s, a.alg, a.key, gw_buf_str(&secret), &err);
    gw_buf_fini(&secret);
    if (!token)
        return fail(err.text);
    printf("%s\n", token);
    free(token);
    return 0;
}

/* ---- flags ---- */

static int option_flag(struct command *c, const char *name, const char *value)
{
    if (!gw_config_is_flag(name)) {
        fprintf(stderr, "sluice: --%s: unknown flag; see sluice --help\n", name);
        return -1;
    }
    if (!value || c->src.nflags == sizeof(c->flags) / sizeof(*c->flags)) {
        fprintf(stderr, "sluice: --%s: %s\n", name, value ? "too many flags" : "expected a value behind it");
        return -1;
    }
    c->flags[c->src.nflags++] = (struct gw_cfg_flag){name, value};
    return 0;
}

/* Reads the flags. -1: said what is wrong. */
static int parse(struct command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--dev") == 0)
            c->src.dev = true;
        else if (strcmp(arg, "--check") == 0)
            c->mode = MODE_CHECK;
        else if (strcmp(arg, "--print-config") == 0)
            c->mode = MODE_PRINT;
        else if (strcmp(arg, "--config") == 0 && i + 1 < argc)
            c->src.file = argv[++i];
        else if (strncmp(arg, "--", 2) != 0)
            return fail("expected flags only; see sluice --help"), -1;
        else if (option_flag(c, arg + 2, i + 1 < argc ? argv[i + 1] : NULL) != 0)
            return -1;
        else
            i++;
    }
    return 0;
}

static int run(struct command *c)
{
    struct gw_err err = {0};
    if (c->mode == MODE_RUN) {
        int rc = gw_app_run(&c->src, &err);
        return rc == 0 ? 0 : fail(err.text);
    }
    struct gw_config *cfg = gw_app_config(&c->src, &err);
    if (!cfg)
        return fail(err.text);
    if (c->mode == MODE_PRINT)
        return print_config(cfg);
    if (gw_app_check(cfg, &err) != 0)
        return fail(err.text);
    printf("%s is right\n", c->src.file ? c->src.file : "the configuration");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "token") == 0)
        return token_command(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return printf("sluice " GW_VERSION "\n") > 0 ? 0 : 1;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        gw_config_help(stdout);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "--print-docs") == 0)
        return print_docs(argc > 2 ? argv[2] : NULL);
    const char *file = getenv("SLUICE_CONFIG");
    struct command c = {.src = {.file = file && *file ? file : NULL, .env = environ}};
    c.src.flags = c.flags;
    if (parse(&c, argc, argv) != 0)
        return 1;
    return run(&c);
}
