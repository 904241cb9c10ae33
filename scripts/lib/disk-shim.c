/*
 * A disk that misbehaves on command, or writes down what it is told: preloaded into a process, for the files of one
 * folder. Compiled and driven by disk-shim.mjs.
 *
 *   DISK_SHIM_FOLDER   files below it are concerned, all others are left alone
 *   DISK_SHIM_CONTROL  four int32, mapped, changed while the process runs: microseconds that each sync takes longer,
 *                      errno of every write, of every sync, of every opening for writing (0: none)
 *   DISK_SHIM_RECORD   where every change of a file is written down, in order, and what goes out over TCP between:
 *
 *   op u8 │ offset u64 │ path length u32 │ data length u32 │ path │ data, again and again, little-endian
 *     W write   T truncate (offset: the size)   S sync   C create   R rename (data: the new path)   U unlink
 *     N send (offset: the peer's port)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SYNC_DELAY, WRITE_ERRNO, SYNC_ERRNO, OPEN_ERRNO, WORDS };

static const char *folder;
static size_t folder_length;
static volatile int32_t *control;
static int record_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(result, name, ...) \
  static result (*real_##name)(__VA_ARGS__); \
  if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name)

static int real_open_at(int dir, const char *path, int flags, mode_t mode) {
  REAL(int, openat64, int, const char *, int, ...);
  return real_openat64(dir, path, flags, mode);
}

static ssize_t real_write_out(int fd, const void *bytes, size_t count) {
  REAL(ssize_t, write, int, const void *, size_t);
  return real_write(fd, bytes, count);
}

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("DISK_SHIM_CONTROL");
  const char *record = getenv("DISK_SHIM_RECORD");
  folder = getenv("DISK_SHIM_FOLDER");
  if (!folder) return;
  folder_length = strlen(folder);
  if (file) {
    int fd = real_open_at(AT_FDCWD, file, O_RDONLY | O_CLOEXEC, 0);
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, WORDS * sizeof(int32_t), PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) control = at;
    if (fd >= 0) close(fd);
  }
  if (record) record_fd = real_open_at(AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int word(int which) { return control ? control[which] : 0; }

static int concerns(const char *path) {
  return folder && path && strncmp(path, folder, folder_length) == 0;
}

/* Whether a file of the folder is behind the descriptor; its path. */
static int file_of(int fd, char path[PATH_MAX]) {
  if (!folder) return 0;
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  int before = errno;
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  errno = before;
  if (length <= 0) return 0;
  path[length] = 0;
  return concerns(path);
}

static void put_locked(char op, uint64_t offset, const char *path, const struct iovec *parts, int count, size_t length) {
  unsigned char head[17];
  uint32_t path_length = (uint32_t)strlen(path);
  uint32_t data_length = (uint32_t)length;
  head[0] = (unsigned char)op;
  memcpy(head + 1, &offset, 8);
  memcpy(head + 9, &path_length, 4);
  memcpy(head + 13, &data_length, 4);
  if (real_write_out(record_fd, head, sizeof head) != sizeof head) abort();
  if (real_write_out(record_fd, path, path_length) != path_length) abort();
  for (int i = 0; i < count && length > 0; i++) {
    size_t part = parts[i].iov_len < length ? parts[i].iov_len : length;
    if (real_write_out(record_fd, parts[i].iov_base, part) != (ssize_t)part) abort();
    length -= part;
  }
}

static void put(char op, uint64_t offset, const char *path, const struct iovec *parts, int count, size_t length) {
  if (record_fd < 0) return;
  int before = errno;
  pthread_mutex_lock(&lock);
  put_locked(op, offset, path, parts, count, length);
  pthread_mutex_unlock(&lock);
  errno = before;
}

static void put_bytes(char op, uint64_t offset, const char *path, const void *bytes, size_t length) {
  struct iovec part = {(void *)bytes, length};
  put(op, offset, path, &part, 1, length);
}

/* The port of the peer of a TCP connection, 0 for anything else. */
static int peer_of(int fd) {
  if (record_fd < 0) return 0;
  int before = errno;
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  int failed = getpeername(fd, (struct sockaddr *)&peer, &length);
  errno = before;
  if (failed) return 0;
  if (peer.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&peer)->sin_port);
  if (peer.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&peer)->sin6_port);
  return 0;
}

static int fails(int which) {
  int code = word(which);
  if (code) errno = code;
  return code != 0;
}

static int opened(int dir, const char *path, int flags, mode_t mode) {
  int ours = concerns(path);
  if (ours && (flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails(OPEN_ERRNO)) return -1;
  int is_new = ours && record_fd >= 0 && (flags & O_CREAT) && access(path, F_OK) != 0;
  int fd = real_open_at(dir, path, flags, mode);
  if (fd >= 0 && is_new) put('C', 0, path, NULL, 0, 0);
  else if (fd >= 0 && ours && (flags & O_TRUNC)) put('T', 0, path, NULL, 0, 0);
  return fd;
}

#define OPEN() \
  va_list rest; \
  va_start(rest, flags); \
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
  va_end(rest)

int open(const char *path, int flags, ...) { OPEN(); return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { OPEN(); return opened(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { OPEN(); return opened(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { OPEN(); return opened(dir, path, flags, mode); }

static ssize_t written_at(int fd, const void *bytes, size_t count, off_t offset) {
  REAL(ssize_t, pwrite64, int, const void *, size_t, off_t);
  char path[PATH_MAX];
  if (!file_of(fd, path)) return real_pwrite64(fd, bytes, count, offset);
  if (fails(WRITE_ERRNO)) return -1;
  ssize_t done = real_pwrite64(fd, bytes, count, offset);
  if (done > 0) put_bytes('W', (uint64_t)offset, path, bytes, (size_t)done);
  return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return written_at(fd, bytes, count, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) { return written_at(fd, bytes, count, offset); }

/* What leaves is written down before anything that happens after it can be. */
static ssize_t sent(int fd, const struct iovec *parts, int count, const struct msghdr *message, int flags) {
  REAL(ssize_t, writev, int, const struct iovec *, int);
  REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
  int port = peer_of(fd);
  if (!port) return message ? real_sendmsg(fd, message, flags) : real_writev(fd, parts, count);
  pthread_mutex_lock(&lock);
  ssize_t done = message ? real_sendmsg(fd, message, flags) : real_writev(fd, parts, count);
  int after = errno;
  if (done > 0) put_locked('N', (uint64_t)port, "", parts, count, (size_t)done);
  pthread_mutex_unlock(&lock);
  errno = after;
  return done;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  char path[PATH_MAX];
  if (file_of(fd, path)) {
    if (fails(WRITE_ERRNO)) return -1;
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real_write_out(fd, bytes, count);
    if (done > 0) put_bytes('W', (uint64_t)offset, path, bytes, (size_t)done);
    return done;
  }
  struct iovec part = {(void *)bytes, count};
  return sent(fd, &part, 1, NULL, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return sent(fd, parts, count, NULL, 0); }

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  return sent(fd, message->msg_iov, (int)message->msg_iovlen, message, flags);
}

static int truncated(int fd, off_t size) {
  REAL(int, ftruncate64, int, off_t);
  char path[PATH_MAX];
  if (!file_of(fd, path)) return real_ftruncate64(fd, size);
  if (fails(WRITE_ERRNO)) return -1;
  int failed = real_ftruncate64(fd, size);
  if (!failed) put('T', (uint64_t)size, path, NULL, 0, 0);
  return failed;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off_t size) { return truncated(fd, size); }

static int synced(int fd, int data_only) {
  REAL(int, fsync, int);
  REAL(int, fdatasync, int);
  char path[PATH_MAX];
  if (!file_of(fd, path)) return data_only ? real_fdatasync(fd) : real_fsync(fd);
  /* In pieces, so that a slow disk can be made a fast one while somebody waits for it. */
  struct timespec began, now;
  clock_gettime(CLOCK_MONOTONIC, &began);
  for (;;) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t passed = (now.tv_sec - began.tv_sec) * 1000000LL + (now.tv_nsec - began.tv_nsec) / 1000;
    int64_t left = word(SYNC_DELAY) - passed;
    if (left <= 0) break;
    usleep(left < 20000 ? (useconds_t)left : 20000);
  }
  if (fails(SYNC_ERRNO)) return -1;
  int failed = data_only ? real_fdatasync(fd) : real_fsync(fd);
  if (!failed) put('S', 0, path, NULL, 0, 0);
  return failed;
}

int fsync(int fd) { return synced(fd, 0); }
int fdatasync(int fd) { return synced(fd, 1); }

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  if (concerns(from) && fails(WRITE_ERRNO)) return -1;
  int failed = real_rename(from, to);
  if (!failed && concerns(from)) put_bytes('R', 0, from, to, strlen(to));
  return failed;
}

int unlink(const char *path) {
  REAL(int, unlink, const char *);
  if (concerns(path) && fails(WRITE_ERRNO)) return -1;
  int failed = real_unlink(path);
  if (!failed && concerns(path)) put('U', 0, path, NULL, 0, 0);
  return failed;
}
