#include "names.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

namespace {
const int kNames = 16;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
String names[kNames];
int next_name = 0;
}  // namespace

bool network_sandboxed() {
  const char *net = getenv("BOARD_NET");
  return net && strcmp(net, "proxy") == 0;
}

bool network_resolve(const char *host, IPAddress &address) {
  if (!host || !*host) return false;
  if (address.fromString(host)) return true;
  if (!network_sandboxed()) {
    addrinfo want = {}, *found;
    want.ai_family = AF_INET;
    if (getaddrinfo(host, nullptr, &want, &found) != 0) return false;
    address = IPAddress(reinterpret_cast<sockaddr_in *>(found->ai_addr)->sin_addr.s_addr);
    freeaddrinfo(found);
    return true;
  }
  pthread_mutex_lock(&lock);
  int i = 0;
  while (i < kNames && names[i] != host) i++;
  if (i == kNames) {
    i = next_name;
    next_name = (next_name + 1) % kNames;
    names[i] = host;
  }
  pthread_mutex_unlock(&lock);
  address = IPAddress(198, 18, 0, i + 1);
  return true;
}

String network_host(const IPAddress &address) {
  String host;
  if (network_sandboxed() && address[0] == 198 && address[1] == 18 && address[2] == 0 && address[3] >= 1 &&
      address[3] <= kNames) {
    pthread_mutex_lock(&lock);
    host = names[address[3] - 1];
    pthread_mutex_unlock(&lock);
  }
  return host.isEmpty() ? address.toString() : host;
}
