/* The demo page's files, read into memory at start: what is not in the table cannot be served, so no path escapes. Immutable
 * after the start; any thread. */
#include "net_private.h"

#include "gw/map.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (4 * 1024 * 1024)
#define FILES_MAX 1000
#define DEPTH_MAX 8

struct static_files {
    struct gw_map by_path;
};

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},  {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"}, {".mjs", "text/javascript; charset=utf-8"},
        {".json", "application/json"},           {".svg", "image/svg+xml"},
        {".png", "image/png"},                   {".ico", "image/x-icon"},
        {".webp", "image/webp"},                 {".txt", "text/plain; charset=utf-8"},
        {".woff2", "font/woff2"},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof(types) / sizeof(*types); i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static void set_etag(struct static_file *f)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)f->content, f->len, digest);
    char *at = f->etag;
    *at++ = '"';
    for (size_t i = 0; i < 16; i++)
        at += snprintf(at, 3, "%02x", digest[i]);
    memcpy(at, "\"", 2);
}

static void free_file(void *value)
{
    struct static_file *f = value;
    free(f->content);
    free(f);
}

static int load_file(struct static_files *files, const char *path, const char *url, size_t size, struct gw_err *err)
{
    if (size > FILE_BYTES_MAX || files->by_path.len >= FILES_MAX)
        return gw_err_set(err, "%s: static files: at most %d files of %d bytes", path, FILES_MAX, FILE_BYTES_MAX);
    FILE *in = fopen(path, "rb");
    if (!in)
        return gw_err_set(err, "%s: %s", path, strerror(errno));
    struct static_file *f = gw_alloc(sizeof(*f));
    f->content = gw_alloc(size);
    f->len = fread(f->content, 1, size, in);
    f->type = type_of(path);
    fclose(in);
    set_etag(f);
    struct static_file *old = gw_map_put(&files->by_path, gw_str_of(url), f);
    if (old)
        free_file(old);
    return 0;
}

static int load_dir(struct static_files *files, const char *dir, const char *url, int depth, struct gw_err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return gw_err_set(err, "http.static_dir: %s: %s", dir, strerror(errno));
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d));) {
        struct stat st;
        char path[1024], sub[1024];
        if (e->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path) ||
            snprintf(sub, sizeof(sub), "%s/%s", url, e->d_name) >= (int)sizeof(sub) || stat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX && strcmp(e->d_name, "node_modules") != 0)
            rc = load_dir(files, path, sub, depth + 1, err);
        else if (S_ISREG(st.st_mode))
            rc = load_file(files, path, sub, (size_t)st.st_size, err);
    }
    closedir(d);
    return rc;
}

struct static_files *static_files_load(const char *dir, struct gw_err *err)
{
    struct static_files *files = gw_alloc(sizeof(*files));
    if (dir && *dir && load_dir(files, dir, "", 0, err) != 0) {
        static_files_free(files);
        return NULL;
    }
    return files;
}

void static_files_free(struct static_files *files)
{
    if (!files)
        return;
    gw_map_fini(&files->by_path, free_file);
    free(files);
}

const struct static_file *static_files_get(const struct static_files *files, struct gw_str path)
{
    return gw_map_get(&files->by_path, gw_str_is(path, "/") ? GW_STR("/index.html") : path);
}
