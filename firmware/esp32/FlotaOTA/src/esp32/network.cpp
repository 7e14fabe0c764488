#if defined(ESP32) && !defined(FLOTA_VIRTUAL)

#include "network.h"

#include <Arduino.h>
#include <errno.h>
#include <esp_crt_bundle.h>
#include <esp_idf_version.h>
#include <esp_netif.h>
#include <esp_sntp.h>
#include <esp_timer.h>
#include <lwip/netdb.h>
#include <lwip/sockets.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <new>

namespace flota {

namespace {

constexpr time_t kPlausible = 1735689600;  // 2025-01-01: what is before is no clock that was set
constexpr uint32_t kClock = 15000;         // milliseconds that the clock may take
constexpr const char *kTimeServer = "pool.ntp.org";

// has_address tells whether an interface is up and leads somewhere: an access point of
// this board's own does not.
bool has_address(esp_netif_t *netif, esp_netif_ip_info_t *info) {
  return (esp_netif_get_flags(netif) & ESP_NETIF_DHCP_SERVER) == 0 && esp_netif_is_netif_up(netif) &&
         esp_netif_get_ip_info(netif, info) == ESP_OK && info->ip.addr != 0;
}

#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 2, 0)
bool find(esp_netif_ip_info_t *info) {
  return esp_netif_find_if(
             [](esp_netif_t *netif, void *i) { return has_address(netif, static_cast<esp_netif_ip_info_t *>(i)); },
             info) != nullptr;
}
#else
bool find(esp_netif_ip_info_t *info) {
  for (esp_netif_t *netif = nullptr; (netif = esp_netif_next(netif)) != nullptr;) {
    if (has_address(netif, info)) return true;
  }
  return false;
}
#endif

// address gives the address of the first interface that is up. Before there is one, TCP/IP
// may not even have been started.
bool own_address(esp_netif_ip_info_t *info) { return esp_netif_get_nr_of_ifs() > 0 && find(info); }

bool clock_set() { return time(nullptr) >= kPlausible; }

// set_clock waits until the clock is right, which the validity of certificates needs: by
// SNTP, from the pool, and where that is out of reach, from the server itself.
bool set_clock(const char *host) {
  if (clock_set()) return true;
  static char server[128];
  snprintf(server, sizeof server, "%s", host);
#if ESP_IDF_VERSION_MAJOR >= 5
  bool runs = esp_sntp_enabled();
#else
  bool runs = sntp_enabled();
#endif
  if (!runs) configTime(0, 0, kTimeServer, server);  // else the sketch did
  for (uint32_t waited = 0; waited < kClock && !clock_set(); waited += 100) delay(100);
  return clock_set();
}

// number_of makes a date comparable.
int64_t number_of(const mbedtls_x509_time &t) {
  return ((((int64_t(t.year) * 100 + t.mon) * 100 + t.day) * 100 + t.hour) * 100 + t.min) * 100 + t.sec;
}

// in_time tells whether a certificate is valid now. The core's mbedTLS has no idea of the
// date (MBEDTLS_HAVE_TIME_DATE is off), so that it does not check.
bool in_time(const mbedtls_x509_crt *certificate) {
  time_t now = time(nullptr);
  struct tm utc;
  gmtime_r(&now, &utc);
  mbedtls_x509_time t = {utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec};
  return certificate != nullptr && number_of(certificate->valid_from) <= number_of(t) &&
         number_of(t) <= number_of(certificate->valid_to);
}

}  // namespace

struct EspNetwork::Tls {
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_x509_crt root;
  mbedtls_ssl_config config;
  mbedtls_ssl_context ssl;
  bool bundle = false;

  Tls() {
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_x509_crt_init(&root);
    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_init(&ssl);
  }
  ~Tls() {
    mbedtls_ssl_free(&ssl);
    if (bundle) esp_crt_bundle_detach(&config);
    mbedtls_ssl_config_free(&config);
    mbedtls_x509_crt_free(&root);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
  }
  Tls(const Tls &) = delete;
  Tls &operator=(const Tls &) = delete;

  // begin makes a client that trusts a PEM certificate, or the core's bundle of roots.
  bool begin(const char *ca) {
    if (mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0) != 0 ||
        mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
      return false;
    }
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    if (ca != nullptr) {
      const unsigned char *pem = reinterpret_cast<const unsigned char *>(ca);
      if (mbedtls_x509_crt_parse(&root, pem, strlen(ca) + 1) != 0) return false;
      mbedtls_ssl_conf_ca_chain(&config, &root, nullptr);
    } else {
      bundle = esp_crt_bundle_attach(&config) == ESP_OK;
      if (!bundle) return false;
    }
    return mbedtls_ssl_setup(&ssl, &config) == 0;
  }
};

bool EspNetwork::ready() {
  esp_netif_ip_info_t info;
  bool connected = own_address(&info);
  station_.step(uint64_t(esp_timer_get_time()) / 1000, connected);
  return connected;
}

const char *EspNetwork::state() {
  esp_netif_ip_info_t info;
  return own_address(&info) ? "connected" : station_.state();
}

void EspNetwork::address(char *text, size_t room) {
  esp_netif_ip_info_t info;
  if (room > 0) text[0] = 0;
  if (own_address(&info)) snprintf(text, room, IPSTR, IP2STR(&info.ip));
}

void EspNetwork::deadline(uint32_t timeout_ms) { deadline_ = esp_timer_get_time() + int64_t(timeout_ms) * 1000; }

// await waits until the socket can do something, or the deadline.
bool EspNetwork::await(bool write) {
  int64_t left = deadline_ - esp_timer_get_time();
  if (left <= 0) return false;
  timeval wait;
  wait.tv_sec = left / 1000000;
  wait.tv_usec = left % 1000000;
  fd_set set;
  FD_ZERO(&set);
  FD_SET(socket_, &set);
  return select(socket_ + 1, write ? nullptr : &set, write ? &set : nullptr, nullptr, &wait) > 0;
}

bool EspNetwork::open(const char *host, uint16_t port, bool tls, const char *ca, uint32_t timeout_ms) {
  close();
  untrusted_ = false;
  esp_netif_ip_info_t info;
  if (!own_address(&info) || (tls && !set_clock(host))) return false;
  deadline(timeout_ms);
  if (connect(host, port) && (!tls || handshake(host, ca))) return true;
  close();
  return false;
}

bool EspNetwork::connect(const char *host, uint16_t port) {
  addrinfo hints, *found = nullptr;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  char service[6];
  snprintf(service, sizeof service, "%u", unsigned(port));
  if (getaddrinfo(host, service, &hints, &found) != 0 || found == nullptr) return false;
  socket_ = ::socket(found->ai_family, SOCK_STREAM, 0);
  bool done = socket_ >= 0 && fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL, 0) | O_NONBLOCK) == 0;
  if (done && ::connect(socket_, found->ai_addr, found->ai_addrlen) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    done = errno == EINPROGRESS && await(true) && getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
           error == 0;
  }
  freeaddrinfo(found);
  return done;
}

bool EspNetwork::handshake(const char *host, const char *ca) {
  tls_ = new (std::nothrow) Tls();
  if (tls_ == nullptr || !tls_->begin(ca) || mbedtls_ssl_set_hostname(&tls_->ssl, host) != 0) return false;
  mbedtls_ssl_set_bio(&tls_->ssl, this, tls_send, tls_receive, nullptr);
  for (int n; (n = mbedtls_ssl_handshake(&tls_->ssl)) != 0;) {
    bool wants = n == MBEDTLS_ERR_SSL_WANT_READ || n == MBEDTLS_ERR_SSL_WANT_WRITE;
    if (!wants || !await(n == MBEDTLS_ERR_SSL_WANT_WRITE)) {
      untrusted_ = n == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || n == MBEDTLS_ERR_X509_FATAL_ERROR;
      return false;
    }
  }
  untrusted_ = !in_time(mbedtls_ssl_get_peer_cert(&tls_->ssl));
  return !untrusted_;
}

int EspNetwork::tls_send(void *self, const unsigned char *data, size_t size) {
  ssize_t n = ::send(static_cast<EspNetwork *>(self)->socket_, data, size, 0);
  if (n >= 0) return int(n);
  return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_NET_SEND_FAILED;
}

int EspNetwork::tls_receive(void *self, unsigned char *data, size_t size) {
  ssize_t n = ::recv(static_cast<EspNetwork *>(self)->socket_, data, size, 0);
  if (n >= 0) return int(n);
  return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

bool EspNetwork::write(const uint8_t *data, size_t size, uint32_t timeout_ms) {
  if (socket_ < 0) return false;
  deadline(timeout_ms);
  while (size > 0) {
    int n = tls_ != nullptr ? mbedtls_ssl_write(&tls_->ssl, data, size) : tls_send(this, data, size);
    if (n > 0) {
      data += n;
      size -= size_t(n);
    } else if ((n != MBEDTLS_ERR_SSL_WANT_READ && n != MBEDTLS_ERR_SSL_WANT_WRITE) ||
               !await(n == MBEDTLS_ERR_SSL_WANT_WRITE)) {
      return false;
    }
  }
  return true;
}

int EspNetwork::read(uint8_t *data, size_t size, uint32_t timeout_ms) {
  if (socket_ < 0) return -1;
  deadline(timeout_ms);
  for (;;) {
    int n = tls_ != nullptr ? mbedtls_ssl_read(&tls_->ssl, data, size) : tls_receive(this, data, size);
    if (n >= 0) return n;
    if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) return 0;
    if ((n != MBEDTLS_ERR_SSL_WANT_READ && n != MBEDTLS_ERR_SSL_WANT_WRITE) ||
        !await(n == MBEDTLS_ERR_SSL_WANT_WRITE)) {
      return -1;
    }
  }
}

void EspNetwork::close() {
  if (tls_ != nullptr) mbedtls_ssl_close_notify(&tls_->ssl);
  delete tls_;
  tls_ = nullptr;
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

}  // namespace flota

#endif
