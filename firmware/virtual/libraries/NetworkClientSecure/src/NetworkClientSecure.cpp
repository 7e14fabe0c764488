#include "NetworkClientSecure.h"

#include <errno.h>
#include <kernel.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <poll.h>
#include <sys/socket.h>

struct NetworkClientSecure::Session {
  mbedtls_ssl_context ssl;
  mbedtls_ssl_config config;
  mbedtls_x509_crt ca, own;
  mbedtls_pk_context key;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  int fd;

  explicit Session(int socket) : fd(socket) {
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&ca);
    mbedtls_x509_crt_init(&own);
    mbedtls_pk_init(&key);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
  }
  ~Session() {
    mbedtls_ssl_free(&ssl);
    mbedtls_ssl_config_free(&config);
    mbedtls_x509_crt_free(&ca);
    mbedtls_x509_crt_free(&own);
    mbedtls_pk_free(&key);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
  }
};

namespace {

int socket_send(void *fd, const unsigned char *data, size_t size) {
  ssize_t n = send(*static_cast<int *>(fd), data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return n;
  return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
}

int socket_receive(void *fd, unsigned char *to, size_t size) {
  ssize_t n = recv(*static_cast<int *>(fd), to, size, MSG_DONTWAIT);
  if (n > 0) return n;
  if (n == 0) return MBEDTLS_ERR_SSL_CONN_EOF;
  return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

// Waits for what TLS wants; false when it does not come in time.
bool wait(int fd, int wanted, int timeout_ms) {
  pollfd p = {fd, short(wanted == MBEDTLS_ERR_SSL_WANT_WRITE ? POLLOUT : POLLIN), 0};
  return poll(&p, 1, timeout_ms) == 1;
}

bool wants(int result) { return result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE; }

const unsigned char *bytes(const char *pem) { return reinterpret_cast<const unsigned char *>(pem); }

}  // namespace

int NetworkClientSecure::connect(const char *host, uint16_t port, int32_t timeout_ms) {
  stop();
  error_ = 0;
  if (!insecure_ && !ca_ && !roots_) return 0;
  if (!NetworkClient::connect(host, port, timeout_ms)) return 0;
  session_ = new Session(fd());
  if (handshake(host)) return 1;
  stop();
  return 0;
}

bool NetworkClientSecure::handshake(const char *host) {
  Session &s = *session_;
  auto ok = [this](int result) { return (error_ = result) == 0; };
  if (!ok(mbedtls_ctr_drbg_seed(&s.random, mbedtls_entropy_func, &s.entropy, nullptr, 0))) return false;
  if (!ok(mbedtls_ssl_config_defaults(&s.config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                      MBEDTLS_SSL_PRESET_DEFAULT)))
    return false;
  if (ca_ && !ok(mbedtls_x509_crt_parse(&s.ca, bytes(ca_), strlen(ca_) + 1))) return false;
  if (roots_) {
    // On a chip they lie in the flash.
    heap_outside(true);
    int result = mbedtls_x509_crt_parse_file(&s.ca, "/etc/ssl/certs/ca-certificates.crt");
    heap_outside(false);
    if (result < 0) return ok(result);
  }
  if (certificate_ && key_) {
    if (!ok(mbedtls_x509_crt_parse(&s.own, bytes(certificate_), strlen(certificate_) + 1)) ||
        !ok(mbedtls_pk_parse_key(&s.key, bytes(key_), strlen(key_) + 1, nullptr, 0)) ||
        !ok(mbedtls_ssl_conf_own_cert(&s.config, &s.own, &s.key)))
      return false;
  }
  mbedtls_ssl_conf_ca_chain(&s.config, &s.ca, nullptr);
  mbedtls_ssl_conf_authmode(&s.config, insecure_ ? MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
  mbedtls_ssl_conf_rng(&s.config, mbedtls_ctr_drbg_random, &s.random);
  if (!ok(mbedtls_ssl_setup(&s.ssl, &s.config)) || !ok(mbedtls_ssl_set_hostname(&s.ssl, host))) return false;
  mbedtls_ssl_set_bio(&s.ssl, &s.fd, socket_send, socket_receive, nullptr);
  unsigned long began = millis();
  int result;
  while ((result = mbedtls_ssl_handshake(&s.ssl)) != 0) {
    unsigned long passed = millis() - began;
    if (!wants(result) || passed >= handshake_s_ * 1000 || !wait(s.fd, result, handshake_s_ * 1000 - passed))
      return ok(result);
  }
  return true;
}

size_t NetworkClientSecure::write(const uint8_t *data, size_t size) {
  size_t at = 0;
  while (session_ && at < size) {
    int n = mbedtls_ssl_write(&session_->ssl, data + at, size - at);
    if (n > 0) {
      at += n;
    } else if (!wants(n) || !wait(session_->fd, n, 10000)) {
      error_ = n;
      setWriteError();
      break;
    }
  }
  return at;
}

int NetworkClientSecure::available() {
  if (!session_) return 0;
  if (mbedtls_ssl_get_bytes_avail(&session_->ssl) == 0) mbedtls_ssl_read(&session_->ssl, nullptr, 0);
  return int(mbedtls_ssl_get_bytes_avail(&session_->ssl)) + (peeked_ >= 0);
}

int NetworkClientSecure::read(uint8_t *to, size_t size) {
  if (!session_ || size == 0) return -1;
  int first = 0;
  if (peeked_ >= 0) {
    *to = peeked_;
    peeked_ = -1;
    first = 1;
    if (size == 1 || mbedtls_ssl_get_bytes_avail(&session_->ssl) == 0) return 1;
  }
  int n = mbedtls_ssl_read(&session_->ssl, to + first, size - first);
  if (n > 0) return n + first;
  if (first) return first;
  return n == 0 || n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? 0 : -1;
}

int NetworkClientSecure::read() {
  uint8_t c;
  return read(&c, 1) == 1 ? c : -1;
}

int NetworkClientSecure::peek() {
  if (peeked_ < 0) peeked_ = read();
  return peeked_;
}

uint8_t NetworkClientSecure::connected() {
  if (!session_) return 0;
  if (peeked_ >= 0 || available() > 0) return 1;
  // With the last read of nothing it became known whether the other side has closed.
  int n = mbedtls_ssl_read(&session_->ssl, nullptr, 0);
  return wants(n) || available() > 0;
}

void NetworkClientSecure::stop() {
  if (session_) {
    mbedtls_ssl_close_notify(&session_->ssl);
    delete session_;
    session_ = nullptr;
  }
  peeked_ = -1;
  NetworkClient::stop();
}

int NetworkClientSecure::lastError(char *text, size_t size) {
  if (error_ == 0) {
    if (size) *text = 0;
  } else {
    mbedtls_strerror(error_, text, size);
  }
  return error_;
}
