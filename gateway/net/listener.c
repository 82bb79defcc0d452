/* Listeners: one a loop on the same port (SO_REUSEPORT); accepted sockets are handed to libwebsockets. When the process is out
 * of descriptors a spare one is given up, so that the waiting connection can be closed instead of spinning. */
#include "net_private.h"

#include "gw/log.h"
#include "gw/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_MAX 64 /* in one go: the loop has other things to do */

static int bind_one(const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 && bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
        listen(fd, 4096) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int split(const char *text, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= size)
        return -1;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    *port = colon + 1;
    size_t n = strlen(host);
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        memmove(host, host + 1, n - 1);
    }
    return 0;
}

int listener_again(const char *address, struct gw_err *err)
{
    char host[200];
    const char *port;
    struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    if (split(address, host, sizeof(host), &port) != 0)
        return gw_err_set(err, "listen: \"%s\": expected host:port", address);
    int rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (rc != 0)
        return gw_err_set(err, "listen: \"%s\": %s", address, gai_strerror(rc));
    int fd = bind_one(list);
    if (fd < 0)
        gw_err_set(err, "cannot listen on %s: %s%s", address, strerror(errno),
                   errno == EADDRINUSE ? "; another process has this port: choose one with --listen HOST:PORT" : "");
    freeaddrinfo(list);
    return fd;
}

/* SO_REUSEPORT lets a second gateway of the same user share the port silently: look whether somebody is there first. */
static bool is_taken(const char *address)
{
    char host[200];
    const char *port;
    struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    if (split(address, host, sizeof(host), &port) != 0 || getaddrinfo(*host ? host : NULL, port, &hints, &list) != 0)
        return false;
    int on = 1, fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bool taken = fd >= 0 && bind(fd, list->ai_addr, list->ai_addrlen) != 0 && errno == EADDRINUSE;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return taken;
}

static void name_of(int fd, char *address, size_t size)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    char host[80] = "", port[8] = "";
    getsockname(fd, (struct sockaddr *)&ss, &len);
    getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(address, size, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

int listener_open(const char *text, char *address, size_t size, struct gw_err *err)
{
    if (is_taken(text))
        return gw_err_set(err, "cannot listen on %s: another process has this port; choose one with --listen HOST:PORT", text);
    int fd = listener_again(text, err);
    if (fd >= 0)
        name_of(fd, address, size);
    return fd;
}

static void refuse_one(struct loop *l)
{
    close(l->spare_fd);
    int fd = accept(l->listen_fd, NULL, NULL);
    if (fd >= 0)
        close(fd);
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    gw_metric_add(GW_M_ACCEPT_FAILED, 1);
    GW_LOG(GW_LOG_ERROR, "accept.failed", GW_KS("error", "out of file descriptors: raise the limit (ulimit -n)"));
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct loop *l = poll->data;
    (void)events;
    loop_enter(l);
    for (int i = 0; status == 0 && i < ACCEPTS_MAX && l->listen_fd >= 0; i++) {
        int fd = accept4(l->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                refuse_one(l);
            break;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        lws_adopt_socket_vhost(l->vhost, fd); /* closes fd where it fails */
    }
    flush_dirty(l);
}

int listener_watch(struct loop *l)
{
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->listen_poll.data = l;
    if (uv_poll_init(&l->uv, &l->listen_poll, l->listen_fd) != 0)
        return -1;
    return uv_poll_start(&l->listen_poll, UV_READABLE, on_connection) == 0 ? 0 : -1;
}

void listener_close(struct loop *l)
{
    if (l->listen_fd < 0)
        return;
    uv_poll_stop(&l->listen_poll);
    uv_close((uv_handle_t *)&l->listen_poll, NULL);
    close(l->listen_fd);
    close(l->spare_fd);
    l->listen_fd = -1;
}
