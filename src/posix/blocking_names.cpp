// SPDX-License-Identifier: BSL-1.0
// Names of hosts, users and groups, and the system log: libc asks files, daemons or the network, out of our sight. The slot
// is given away first (posix/blocking.hpp), whichever it will be: even files take ten times as long as that.
#include <stdarg.h>
#include <syslog.h>

#include "posix/blocking.hpp"
#include "posix/exported.hpp"

using namespace weft::engine;
using namespace weft::engine::posix;

// result, name, parameters, arguments
#define WEFT_DEFINE_BLOCKING(result, name, parameters, arguments) \
  WEFT_EXPORT result name parameters {                            \
    return while_blocking([=] { return libc.name arguments; });   \
  }

WEFT_DEFINE_BLOCKING(int, getaddrinfo, (const char* host, const char* service, const addrinfo* hints, addrinfo** found),
                     (host, service, hints, found))
WEFT_DEFINE_BLOCKING(int, getaddrinfo_a, (int mode, gaicb** list, int count, sigevent* event), (mode, list, count, event))
WEFT_DEFINE_BLOCKING(int, gai_suspend, (const gaicb* const* list, int count, const timespec* span), (list, count, span))
WEFT_DEFINE_BLOCKING(int, getnameinfo,
                     (const sockaddr* address, socklen_t bytes, char* host, socklen_t host_bytes, char* service,
                      socklen_t service_bytes, int flags),
                     (address, bytes, host, host_bytes, service, service_bytes, flags))
WEFT_DEFINE_BLOCKING(hostent*, gethostbyname, (const char* name), (name))
WEFT_DEFINE_BLOCKING(hostent*, gethostbyname2, (const char* name, int family), (name, family))
WEFT_DEFINE_BLOCKING(int, gethostbyname_r,
                     (const char* name, hostent* host, char* buffer, size_t bytes, hostent** found, int* error),
                     (name, host, buffer, bytes, found, error))
WEFT_DEFINE_BLOCKING(int, gethostbyname2_r,
                     (const char* name, int family, hostent* host, char* buffer, size_t bytes, hostent** found, int* error),
                     (name, family, host, buffer, bytes, found, error))
WEFT_DEFINE_BLOCKING(hostent*, gethostbyaddr, (const void* address, socklen_t size, int family), (address, size, family))
WEFT_DEFINE_BLOCKING(int, gethostbyaddr_r,
                     (const void* address, socklen_t size, int family, hostent* host, char* buffer, size_t bytes,
                      hostent** found, int* error),
                     (address, size, family, host, buffer, bytes, found, error))

WEFT_DEFINE_BLOCKING(passwd*, getpwnam, (const char* name), (name))
WEFT_DEFINE_BLOCKING(int, getpwnam_r, (const char* name, passwd* user, char* buffer, size_t bytes, passwd** found),
                     (name, user, buffer, bytes, found))
WEFT_DEFINE_BLOCKING(passwd*, getpwuid, (uid_t id), (id))
WEFT_DEFINE_BLOCKING(int, getpwuid_r, (uid_t id, passwd* user, char* buffer, size_t bytes, passwd** found),
                     (id, user, buffer, bytes, found))
WEFT_DEFINE_BLOCKING(group*, getgrnam, (const char* name), (name))
WEFT_DEFINE_BLOCKING(int, getgrnam_r, (const char* name, group* g, char* buffer, size_t bytes, group** found),
                     (name, g, buffer, bytes, found))
WEFT_DEFINE_BLOCKING(group*, getgrgid, (gid_t id), (id))
WEFT_DEFINE_BLOCKING(int, getgrgid_r, (gid_t id, group* g, char* buffer, size_t bytes, group** found),
                     (id, g, buffer, bytes, found))
WEFT_DEFINE_BLOCKING(int, initgroups, (const char* user, gid_t id), (user, id))
WEFT_DEFINE_BLOCKING(int, getgrouplist, (const char* user, gid_t id, gid_t* groups, int* count), (user, id, groups, count))

WEFT_DEFINE_BLOCKING(int, res_query, (const char* name, int kind, int type, unsigned char* answer, int bytes),
                     (name, kind, type, answer, bytes))
WEFT_DEFINE_BLOCKING(int, res_querydomain,
                     (const char* name, const char* domain, int kind, int type, unsigned char* answer, int bytes),
                     (name, domain, kind, type, answer, bytes))
WEFT_DEFINE_BLOCKING(int, res_search, (const char* name, int kind, int type, unsigned char* answer, int bytes),
                     (name, kind, type, answer, bytes))
WEFT_DEFINE_BLOCKING(int, res_send, (const unsigned char* message, int size, unsigned char* answer, int bytes),
                     (message, size, answer, bytes))
WEFT_DEFINE_BLOCKING(int, res_nquery,
                     (res_state state, const char* name, int kind, int type, unsigned char* answer, int bytes),
                     (state, name, kind, type, answer, bytes))
WEFT_DEFINE_BLOCKING(int, res_nquerydomain,
                     (res_state state, const char* name, const char* domain, int kind, int type, unsigned char* answer,
                      int bytes),
                     (state, name, domain, kind, type, answer, bytes))
WEFT_DEFINE_BLOCKING(int, res_nsearch,
                     (res_state state, const char* name, int kind, int type, unsigned char* answer, int bytes),
                     (state, name, kind, type, answer, bytes))
WEFT_DEFINE_BLOCKING(int, res_nsend,
                     (res_state state, const unsigned char* message, int size, unsigned char* answer, int bytes),
                     (state, message, size, answer, bytes))

WEFT_DEFINE_BLOCKING(void, openlog, (const char* name, int options, int facility), (name, options, facility))

WEFT_EXPORT void vsyslog(int priority, const char* format, va_list values) {
  while_blocking([&] { libc.vsyslog(priority, format, values); });
}
WEFT_EXPORT void __vsyslog_chk(int priority, int flag, const char* format, va_list values) {
  while_blocking([&] { libc.__vsyslog_chk(priority, flag, format, values); });
}
WEFT_EXPORT void syslog(int priority, const char* format, ...) {
  va_list values;
  va_start(values, format);
  vsyslog(priority, format, values);
  va_end(values);
}
WEFT_EXPORT void __syslog_chk(int priority, int flag, const char* format, ...) {
  va_list values;
  va_start(values, format);
  __vsyslog_chk(priority, flag, format, values);
  va_end(values);
}
