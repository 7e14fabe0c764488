#include "NetworkClient.h"

#include <board.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "names.h"

struct NetworkClient::Socket {
  int references, fd;
};

namespace {

bool ready(int fd, short what, int timeout_ms) {
  pollfd p = {fd, what, 0};
  return poll(&p, 1, timeout_ms) == 1;
}

bool address_of(int fd, sockaddr_in *in, bool remote) {
  sockaddr_storage a = {};
  socklen_t size = sizeof a;
  sockaddr *at = reinterpret_cast<sockaddr *>(&a);
  if (fd < 0 || (remote ? getpeername(fd, at, &size) : getsockname(fd, at, &size)) != 0 || a.ss_family != AF_INET)
    return false;
  memcpy(in, &a, sizeof *in);
  return true;
}

}  // namespace

NetworkClient::NetworkClient(int fd) : socket_(new Socket{1, fd}) {}
NetworkClient::NetworkClient(const NetworkClient &other)
    : Client(other), socket_(other.socket_), connect_ms_(other.connect_ms_) {
  if (socket_) __atomic_add_fetch(&socket_->references, 1, __ATOMIC_RELAXED);
}
NetworkClient &NetworkClient::operator=(const NetworkClient &other) {
  if (other.socket_) __atomic_add_fetch(&other.socket_->references, 1, __ATOMIC_RELAXED);
  release();
  socket_ = other.socket_;
  _timeout = other._timeout;
  return *this;
}
NetworkClient::~NetworkClient() { release(); }

void NetworkClient::release() {
  if (socket_ && __atomic_sub_fetch(&socket_->references, 1, __ATOMIC_ACQ_REL) == 0) {
    if (socket_->fd >= 0) close(socket_->fd);
    delete socket_;
  }
  socket_ = nullptr;
}

int NetworkClient::connect(IPAddress ip, uint16_t port, int32_t timeout_ms) {
  return connect(network_host(ip).c_str(), port, timeout_ms);
}

int NetworkClient::connect(const char *host, uint16_t port, int32_t timeout_ms) {
  NetworkClient::stop();
  if (!host || !*host) return 0;
  int fd = board_connect(host, port, timeout_ms > 0 ? timeout_ms : 3000);
  if (fd < 0) {
    errno = -fd;
    return 0;
  }
  socket_ = new Socket{1, fd};
  setNoDelay(true);
  return 1;
}

int NetworkClient::fd() const { return socket_ ? socket_->fd : -1; }

// The descriptor is closed for all copies at once.
void NetworkClient::stop() {
  if (!socket_) return;
  if (socket_->fd >= 0) close(socket_->fd);
  socket_->fd = -1;
  release();
}

int NetworkClient::setNoDelay(bool on) {
  int value = on;
  return fd() < 0 ? -1 : setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &value, sizeof value);
}

size_t NetworkClient::write(const uint8_t *data, size_t size) {
  size_t at = 0;
  while (fd() >= 0 && at < size) {
    ssize_t n = send(fd(), data + at, size - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      at += n;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n == 0 || errno != EAGAIN || !ready(fd(), POLLOUT, 10000)) {
      setWriteError();
      break;
    }
  }
  return at;
}

size_t NetworkClient::write(Stream &stream) {
  uint8_t data[1024];
  size_t sum = 0;
  for (int left; (left = stream.available()) > 0;) {
    size_t n = stream.readBytes(data, left < int(sizeof data) ? left : sizeof data);
    if (n == 0 || write(data, n) != n) break;
    sum += n;
  }
  return sum;
}

int NetworkClient::available() {
  int waiting = 0;
  return fd() >= 0 && ioctl(fd(), FIONREAD, &waiting) == 0 ? waiting : 0;
}

int NetworkClient::read(uint8_t *to, size_t size) {
  if (fd() < 0) return -1;
  ssize_t n = recv(fd(), to, size, MSG_DONTWAIT);
  return n > 0 ? int(n) : n == 0 ? 0 : -1;
}

int NetworkClient::read() {
  uint8_t c;
  return read(&c, 1) == 1 ? c : -1;
}

size_t NetworkClient::readBytes(char *to, size_t size) {
  size_t at = 0;
  for (unsigned long began = millis(); at < size;) {
    int n = read(reinterpret_cast<uint8_t *>(to + at), size - at);
    if (n > 0) {
      at += n;
      began = millis();
      continue;
    }
    unsigned long passed = millis() - began;
    if (passed >= _timeout || !connected()) break;
    ready(fd(), POLLIN, int(_timeout - passed < 50 ? _timeout - passed : 50));
  }
  return at;
}

int NetworkClient::peek() {
  uint8_t c;
  return fd() >= 0 && recv(fd(), &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? c : -1;
}

void NetworkClient::clear() {
  uint8_t data[256];
  while (available() > 0 && read(data, sizeof data) > 0) {
  }
}

// Until what came is read, a connection that the other side closed still counts.
uint8_t NetworkClient::connected() {
  if (fd() < 0) return 0;
  uint8_t c;
  ssize_t n = recv(fd(), &c, 1, MSG_PEEK | MSG_DONTWAIT);
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

IPAddress NetworkClient::remoteIP() const {
  sockaddr_in a;
  return address_of(fd(), &a, true) ? IPAddress(uint32_t(a.sin_addr.s_addr)) : IPAddress();
}
uint16_t NetworkClient::remotePort() const {
  sockaddr_in a;
  return address_of(fd(), &a, true) ? ntohs(a.sin_port) : 0;
}
IPAddress NetworkClient::localIP() const {
  sockaddr_in a;
  return address_of(fd(), &a, false) ? IPAddress(uint32_t(a.sin_addr.s_addr)) : IPAddress();
}
uint16_t NetworkClient::localPort() const {
  sockaddr_in a;
  return address_of(fd(), &a, false) ? ntohs(a.sin_port) : 0;
}
