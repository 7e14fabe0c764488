#if defined(FLOTA_VIRTUAL)

#include "network.h"

#include <board.h>
#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <new>

#include "../flota/provision.h"

// Of the Arduino core: memory that a chip has in its flash does not count as its heap.
extern "C" __attribute__((weak)) void heap_outside(bool on);

namespace flota {

namespace {

constexpr const char *kRoots = "/etc/ssl/certs/ca-certificates.crt";
constexpr uint32_t kJoinAgain = 5000;
constexpr uint32_t kLeastTimeout = 2000;  // of the host, however much the agent hurries
constexpr int kSlice = 50;                // between two looks at the radio

// set_clock is what SNTP is on a chip: the machine's time.
void set_clock() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  board_set_clock_us(int64_t(now.tv_sec) * 1000000 + now.tv_nsec / 1000);
}

}  // namespace

struct PosixNetwork::Tls {
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_x509_crt roots;
  mbedtls_ssl_config config;
  mbedtls_ssl_context ssl;

  Tls() {
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_x509_crt_init(&roots);
    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_init(&ssl);
  }
  ~Tls() {
    mbedtls_ssl_free(&ssl);
    mbedtls_ssl_config_free(&config);
    mbedtls_x509_crt_free(&roots);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
  }
  Tls(const Tls &) = delete;
  Tls &operator=(const Tls &) = delete;

  // begin makes a client that trusts a PEM certificate, or the machine's roots.
  bool begin(const char *ca) {
    if (ca ? mbedtls_x509_crt_parse(&roots, reinterpret_cast<const unsigned char *>(ca), strlen(ca) + 1) != 0
           : !machine_roots())
      return false;
    if (mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0) != 0 ||
        mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0)
      return false;
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&config, &roots, nullptr);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    return mbedtls_ssl_setup(&ssl, &config) == 0;
  }

  bool machine_roots() {
    if (heap_outside) heap_outside(true);
    int bad = mbedtls_x509_crt_parse_file(&roots, kRoots);
    if (heap_outside) heap_outside(false);
    return bad >= 0;  // the number of those that it does not understand
  }
};

bool PosixNetwork::ready() {
  if (board_wifi_status() == BoardWifi::connected) return true;
  uint64_t now = board_uptime_us();
  if (now < join_at_) return false;
  join_at_ = now + uint64_t(kJoinAgain) * 1000 / pace_;
  join();
  return board_wifi_status() == BoardWifi::connected;
}

void PosixNetwork::reload() {
  board_wifi_disconnect();
  join_at_ = 0;
}

// A board that was given no network has the one that is always there, as if by cable.
void PosixNetwork::join() {
  Wifi networks[kMaxNetworks];
  size_t count = get_wifi(storage_, networks);
  for (size_t i = 0; i < count; i++) {
    if (board_wifi_connect(networks[i].ssid, networks[i].password) == BoardWifi::connected) break;
  }
  if (count == 0) board_wifi_connect("virtual", nullptr);
  wipe(networks, sizeof networks);
}

const char *PosixNetwork::state() {
  switch (board_wifi_status()) {
    case BoardWifi::connected:
      return "connected";
    case BoardWifi::no_ssid:
      return "no_ssid";
    case BoardWifi::wrong_password:
      return "wrong_password";
    case BoardWifi::lost:
      return "connecting";
    case BoardWifi::none:
      break;
  }
  return "none";
}

void PosixNetwork::address(char *text, size_t room) {
  copy(board_wifi_status() == BoardWifi::connected ? "127.0.0.1" : "", text, room);
}

void PosixNetwork::deadline(uint32_t timeout_ms) {
  uint32_t ms = timeout_ms / pace_;
  if (ms < kLeastTimeout && pace_ > 1) ms = timeout_ms < kLeastTimeout ? timeout_ms : kLeastTimeout;
  deadline_ = board_uptime_us() + uint64_t(ms) * 1000;
}

// await waits until the socket can do something. Without a radio nothing moves.
bool PosixNetwork::await(short events) {
  for (;;) {
    uint64_t now = board_uptime_us();
    bool radio = board_wifi_status() == BoardWifi::connected;
    int slice = now >= deadline_ ? 0 : int((deadline_ - now) / 1000) + 1;
    if (slice > kSlice) slice = kSlice;
    pollfd one = {radio ? socket_ : -1, events, 0};
    int n = poll(&one, 1, slice);
    if (n > 0) return true;
    if ((n == 0 && slice == 0) || (n < 0 && errno != EINTR)) return false;
  }
}

bool PosixNetwork::open(const char *host, uint16_t port, bool tls, const char *ca, uint32_t timeout_ms) {
  close();
  untrusted_ = false;
  deadline(timeout_ms);
  socket_ = board_connect(host, port, uint32_t((deadline_ - board_uptime_us()) / 1000));
  if (socket_ >= 0 && (!tls || handshake(host, ca))) return true;
  close();
  return false;
}

bool PosixNetwork::handshake(const char *host, const char *ca) {
  tls_ = new (std::nothrow) Tls;
  if (!tls_) return false;
  if (!tls_->begin(ca) || mbedtls_ssl_set_hostname(&tls_->ssl, host) != 0) {
    untrusted_ = true;  // there is nothing to trust by
    return false;
  }
  mbedtls_ssl_set_bio(&tls_->ssl, this, tls_send, tls_receive, nullptr);
  int result;
  do {
    result = mbedtls_ssl_handshake(&tls_->ssl);
  } while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
  // 0xFFFFFFFF: it did not come to a certificate.
  uint32_t flaws = mbedtls_ssl_get_verify_result(&tls_->ssl);
  untrusted_ = result != 0 && flaws != 0 && flaws != 0xFFFFFFFF;
  if (untrusted_ && (flaws & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) != 0) set_clock();
  return result == 0;
}

int PosixNetwork::tls_send(void *self, const unsigned char *data, size_t size) {
  PosixNetwork *network = static_cast<PosixNetwork *>(self);
  if (!network->await(POLLOUT)) return MBEDTLS_ERR_SSL_TIMEOUT;
  ssize_t n = send(network->socket_, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return int(n);
  return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_NET_SEND_FAILED;
}

int PosixNetwork::tls_receive(void *self, unsigned char *data, size_t size) {
  PosixNetwork *network = static_cast<PosixNetwork *>(self);
  if (!network->await(POLLIN)) return MBEDTLS_ERR_SSL_TIMEOUT;
  ssize_t n = recv(network->socket_, data, size, MSG_DONTWAIT);
  if (n >= 0) return int(n);
  return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

bool PosixNetwork::write(const uint8_t *data, size_t size, uint32_t timeout_ms) {
  if (socket_ < 0) return false;
  deadline(timeout_ms);
  for (size_t at = 0; at < size;) {
    int n = tls_ ? mbedtls_ssl_write(&tls_->ssl, data + at, size - at) : tls_send(this, data + at, size - at);
    if (n == MBEDTLS_ERR_SSL_WANT_READ || n == MBEDTLS_ERR_SSL_WANT_WRITE) continue;
    if (n <= 0) return false;
    at += size_t(n);
  }
  return true;
}

int PosixNetwork::read(uint8_t *data, size_t size, uint32_t timeout_ms) {
  if (socket_ < 0) return -1;
  deadline(timeout_ms);
  for (;;) {
    int n = tls_ ? mbedtls_ssl_read(&tls_->ssl, data, size) : tls_receive(this, data, size);
    if (n == MBEDTLS_ERR_SSL_WANT_READ || n == MBEDTLS_ERR_SSL_WANT_WRITE) continue;
    if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) return 0;
    if (n == 0 && tls_) return -1;  // cut off: nobody said that it was the end
    return n < 0 ? -1 : n;
  }
}

void PosixNetwork::close() {
  if (tls_ && socket_ >= 0) {
    deadline_ = 0;  // a word of farewell, if that costs no time
    mbedtls_ssl_close_notify(&tls_->ssl);
  }
  delete tls_;
  tls_ = nullptr;
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

}  // namespace flota

#endif
