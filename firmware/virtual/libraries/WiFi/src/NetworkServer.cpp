#include "NetworkServer.h"

#include <board.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

void NetworkServer::begin(uint16_t port) {
  if (fd_ >= 0) return;
  if (port) port_ = port;
  fd_ = board_listen(port_);
}

void NetworkServer::end() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool NetworkServer::hasClient() {
  pollfd p = {fd_, POLLIN, 0};
  return fd_ >= 0 && poll(&p, 1, 0) == 1;
}

NetworkClient NetworkServer::accept() {
  if (!hasClient()) return NetworkClient();
  int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return NetworkClient();
  NetworkClient client(fd);
  client.setNoDelay(true);
  return client;
}
