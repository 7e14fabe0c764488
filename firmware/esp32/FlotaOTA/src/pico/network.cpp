#if defined(ARDUINO_ARCH_RP2040)

#include "network.h"

#include <Arduino.h>
#include <BearSSLHelpers.h>
#include <WiFi.h>
#include <lwip/apps/sntp.h>
#include <lwip/dns.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>
#include <pico/rand.h>
#include <string.h>
#include <time.h>

#include <new>

#include "thread.h"

namespace flota {

namespace {

constexpr time_t kPlausible = 1735689600;  // 2025-01-01: what is before is no clock that was set
constexpr uint32_t kClock = 15000;         // milliseconds that the clock may take
constexpr const char *kTimeServer = "pool.ntp.org";
constexpr uint32_t kPause = 2;  // milliseconds between two looks

// own_address is that of an interface which leads somewhere: an access point of this board's
// own is its own gateway.
bool own_address(char *text, size_t room) {
  Lock lock;
  for (netif *n = netif_list; n != nullptr; n = n->next) {
    const ip4_addr_t *ip = netif_ip4_addr(n), *gateway = netif_ip4_gw(n);
    if (!netif_is_up(n) || !netif_is_link_up(n) || ip4_addr_isany(ip) || ip4_addr_isany(gateway) ||
        ip4_addr_cmp(ip, gateway)) {
      continue;
    }
    if (text != nullptr) ip4addr_ntoa_r(ip, text, int(room));
    return true;
  }
  return false;
}

bool clock_set() { return time(nullptr) >= kPlausible; }

// What servers of today have in common with BearSSL: TLS 1.2, keys by P-256, and certificates by that or by
// RSA, with SHA-256. All else that BearSSL knows would take a tenth of the program's room.
constexpr uint16_t kSuites[] = {BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                                BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                                BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256};

}  // namespace

struct PicoNetwork::Tls {
  br_ssl_client_context client;
  br_x509_minimal_context x509;
  BearSSL::X509List roots;
  uint8_t buffer[BR_SSL_BUFSIZE_MONO];  // a record of the server's may be 16 KiB

  explicit Tls(const char *ca) : roots(ca) {}

  bool begin(const char *host) {
    br_ssl_engine_context *engine = &client.eng;
    if (roots.getCount() == 0) return false;
    br_ssl_client_zero(&client);
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(engine, kSuites, sizeof kSuites / sizeof *kSuites);
    br_ssl_engine_set_ec(engine, &br_ec_p256_m15);
    br_ssl_engine_set_rsavrfy(engine, br_rsa_i15_pkcs1_vrfy);
    br_ssl_engine_set_ecdsa(engine, br_ecdsa_i15_vrfy_asn1);
    br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_prf_sha256(engine, br_tls12_sha256_prf);
    br_ssl_engine_set_chapol(engine, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
    br_ssl_engine_set_chacha20(engine, br_chacha20_ct_run);
    br_ssl_engine_set_poly1305(engine, br_poly1305_ctmul32_run);
    br_ssl_engine_set_gcm(engine, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
    br_ssl_engine_set_aes_ctr(engine, &br_aes_ct_ctr_vtable);
    br_ssl_engine_set_ghash(engine, br_ghash_ctmul32);
    br_x509_minimal_init(&x509, &br_sha256_vtable, roots.getTrustAnchors(), roots.getCount());
    br_x509_minimal_set_rsa(&x509, br_rsa_i15_pkcs1_vrfy);
    br_x509_minimal_set_ecdsa(&x509, &br_ec_p256_m15, br_ecdsa_i15_vrfy_asn1);
    br_x509_minimal_set_hash(&x509, br_sha256_ID, &br_sha256_vtable);
    uint64_t now = uint64_t(time(nullptr));
    br_x509_minimal_set_time(&x509, uint32_t(now / 86400) + 719528, uint32_t(now % 86400));  // days since the year 0
    br_ssl_engine_set_x509(engine, &x509.vtable);
    br_ssl_engine_set_buffer(engine, buffer, sizeof buffer, 0);
    uint32_t random[8];
    for (uint32_t &word : random) word = get_rand_32();
    br_ssl_engine_inject_entropy(engine, random, sizeof random);
    return br_ssl_client_reset(&client, host, 0) == 1;
  }
};

// All of these are called with the lock.
struct PicoNetwork::Callbacks {
  static PicoNetwork *of(void *self) { return static_cast<PicoNetwork *>(self); }

  static err_t connected(void *self, tcp_pcb *, err_t) {
    of(self)->connected_ = true;
    return ERR_OK;
  }
  static err_t received(void *self, tcp_pcb *, pbuf *data, err_t) {
    PicoNetwork *me = of(self);
    if (data == nullptr) {
      me->closed_ = true;
    } else if (me->in_ == nullptr) {
      me->in_ = data;
    } else {
      pbuf_cat(me->in_, data);
    }
    return ERR_OK;
  }
  static void failed(void *self, err_t) { of(self)->pcb_ = nullptr; }  // it is freed already
  static void found(const char *, const ip_addr_t *address, void *question);
};

namespace {

PicoNetwork *asking = nullptr;  // whose name is being looked up

}  // namespace

// An answer that comes too late is to another question.
void PicoNetwork::Callbacks::found(const char *, const ip_addr_t *address, void *question) {
  PicoNetwork *me = asking;
  if (me == nullptr || uintptr_t(question) != me->question_) return;
  me->answered_ = true;
  me->found_ = address != nullptr;
  if (me->found_) me->found_address_ = *address;
}

bool PicoNetwork::ready() {
  bool connected = own_address(nullptr, 0);
  station_.step(time_us_64() / 1000, connected);
  return connected;
}

const char *PicoNetwork::state() { return own_address(nullptr, 0) ? "connected" : station_.state(); }

void PicoNetwork::address(char *text, size_t room) {
  if (room > 0) text[0] = 0;
  own_address(text, room);
}

void PicoNetwork::deadline(uint32_t timeout_ms) { deadline_ = time_us_64() + uint64_t(timeout_ms) * 1000; }

// pause lets the sketch and the network go on; false when there is no time left.
bool PicoNetwork::pause() {
  if (time_us_64() >= deadline_) return false;
  wait(kPause);
  return true;
}

bool PicoNetwork::resolve(const char *host, ip_addr_t *address) {
  {
    Lock lock;
    asking = this;
    question_++;
    answered_ = false;
    err_t result = dns_gethostbyname(host, address, Callbacks::found, reinterpret_cast<void *>(question_));
    if (result != ERR_INPROGRESS) return result == ERR_OK;
  }
  while (!answered_) {
    if (!pause()) return false;
  }
  *address = found_address_;
  return found_;
}

bool PicoNetwork::connect(const char *host, uint16_t port) {
  ip_addr_t address;
  if (!resolve(host, &address)) return false;
  {
    Lock lock;
    pcb_ = tcp_new();
    if (pcb_ == nullptr) return false;
    connected_ = closed_ = false;
    tcp_arg(pcb_, this);
    tcp_err(pcb_, Callbacks::failed);
    tcp_recv(pcb_, Callbacks::received);
    if (tcp_connect(pcb_, &address, port, Callbacks::connected) != ERR_OK) return false;
  }
  while (!connected_) {
    if (pcb_ == nullptr || !pause()) return false;
  }
  return true;
}

// set_clock waits until the clock is right, which the validity of certificates needs: by
// SNTP, from the pool, and where that is out of reach, from the server itself.
bool PicoNetwork::set_clock(const char *host) {
  if (clock_set()) return true;
  deadline(kClock);
  if (!sntp_enabled()) {  // else the sketch did
    ip_addr_t pool, server;
    bool has_pool = resolve(kTimeServer, &pool), has_server = resolve(host, &server);
    Lock lock;
    sntp_setoperatingmode(SNTP_OPMODE_POLL);
    if (has_pool) sntp_setserver(0, &pool);
    if (has_server) sntp_setserver(has_pool ? 1 : 0, &server);
    if (has_pool || has_server) sntp_init();
  }
  while (!clock_set()) {
    if (!pause()) return false;
  }
  return true;
}

bool PicoNetwork::open(const char *host, uint16_t port, bool tls, const char *ca, uint32_t timeout_ms) {
  close();
  untrusted_ = false;
  if (!own_address(nullptr, 0) || (tls && !set_clock(host))) return false;
  deadline(timeout_ms);
  if (connect(host, port) && (!tls || handshake(host, ca))) return true;
  close();
  return false;
}

// There is no bundle of public roots in arduino-pico: without a certificate of its own nobody is trusted.
bool PicoNetwork::handshake(const char *host, const char *ca) {
  if (ca != nullptr) tls_ = new (std::nothrow) Tls(ca);
  if (tls_ == nullptr || !tls_->begin(host)) {
    untrusted_ = ca == nullptr || tls_ != nullptr;
    return false;
  }
  if (pump(BR_SSL_SENDAPP)) return true;
  int error = br_ssl_engine_last_error(&tls_->client.eng);
  untrusted_ = error > BR_ERR_X509_OK && error <= BR_ERR_X509_NOT_TRUSTED;
  return false;
}

// pump moves records until the engine is in one of these states.
bool PicoNetwork::pump(unsigned until) {
  br_ssl_engine_context *engine = &tls_->client.eng;
  for (;;) {
    unsigned state = br_ssl_engine_current_state(engine);
    size_t size = 0;
    if (state & BR_SSL_CLOSED) return false;
    if (state & BR_SSL_SENDREC) {
      const unsigned char *record = br_ssl_engine_sendrec_buf(engine, &size);
      if (!send(record, size)) return false;
      br_ssl_engine_sendrec_ack(engine, size);
    } else if (state & until) {
      return true;
    } else if (state & BR_SSL_RECVREC) {
      unsigned char *room = br_ssl_engine_recvrec_buf(engine, &size);
      int n = receive(room, size);
      if (n <= 0) return false;
      br_ssl_engine_recvrec_ack(engine, size_t(n));
    } else {
      return false;
    }
  }
}

bool PicoNetwork::send(const uint8_t *data, size_t size) {
  for (;;) {
    {
      Lock lock;
      if (pcb_ == nullptr) return false;
      size_t n = tcp_sndbuf(pcb_) < size ? tcp_sndbuf(pcb_) : size;
      if (n > 0 && tcp_write(pcb_, data, uint16_t(n), TCP_WRITE_FLAG_COPY) == ERR_OK) {
        data += n;
        size -= n;
      }
      tcp_output(pcb_);
    }
    if (size == 0) return true;
    if (!pause()) return false;
  }
}

int PicoNetwork::receive(uint8_t *data, size_t size) {
  for (;;) {
    {
      Lock lock;
      if (in_ != nullptr) {
        uint16_t n = pbuf_copy_partial(in_, data, size < UINT16_MAX ? uint16_t(size) : UINT16_MAX, 0);
        in_ = pbuf_free_header(in_, n);
        if (pcb_ != nullptr) tcp_recved(pcb_, n);
        return n;
      }
      if (closed_) return 0;
      if (pcb_ == nullptr) return -1;
    }
    if (!pause()) return -1;
  }
}

bool PicoNetwork::write(const uint8_t *data, size_t size, uint32_t timeout_ms) {
  deadline(timeout_ms);
  if (tls_ == nullptr) return send(data, size);
  br_ssl_engine_context *engine = &tls_->client.eng;
  while (size > 0) {
    if (!pump(BR_SSL_SENDAPP)) return false;
    size_t room = 0;
    unsigned char *to = br_ssl_engine_sendapp_buf(engine, &room);
    size_t n = room < size ? room : size;
    memcpy(to, data, n);
    br_ssl_engine_sendapp_ack(engine, n);
    data += n;
    size -= n;
  }
  br_ssl_engine_flush(engine, 0);
  return pump(BR_SSL_SENDAPP | BR_SSL_RECVAPP);
}

int PicoNetwork::read(uint8_t *data, size_t size, uint32_t timeout_ms) {
  deadline(timeout_ms);
  if (tls_ == nullptr) return receive(data, size);
  br_ssl_engine_context *engine = &tls_->client.eng;
  if (!pump(BR_SSL_RECVAPP)) {
    bool said_so =
        (br_ssl_engine_current_state(engine) & BR_SSL_CLOSED) && br_ssl_engine_last_error(engine) == BR_ERR_OK;
    return said_so ? 0 : -1;
  }
  size_t there = 0;
  const unsigned char *from = br_ssl_engine_recvapp_buf(engine, &there);
  size_t n = there < size ? there : size;
  memcpy(data, from, n);
  br_ssl_engine_recvapp_ack(engine, n);
  return int(n);
}

void PicoNetwork::close() {
  delete tls_;
  tls_ = nullptr;
  Lock lock;
  if (pcb_ != nullptr) {
    tcp_arg(pcb_, nullptr);
    tcp_err(pcb_, nullptr);
    tcp_recv(pcb_, nullptr);
    if (tcp_close(pcb_) != ERR_OK) tcp_abort(pcb_);
    pcb_ = nullptr;
  }
  if (in_ != nullptr) pbuf_free(in_);
  in_ = nullptr;
}

}  // namespace flota

#endif
