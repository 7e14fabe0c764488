// What the agent costs: memory, stack, bytes on the wire. Everything around it (server,
// flash, storage) runs in a thread of its own, so that only the agent and the
// library for cryptography are measured. Prints figures, and fails when one is out of
// its bounds.
#include <malloc.h>
#include <pthread.h>

#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <thread>

#include "server.h"

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);
}

namespace {

enum Owner { nobody, agent_memory, library_memory };
thread_local Owner owner = nobody;

struct Heap {
  size_t live = 0, peak = 0, allocations = 0;
  void add(void *p) {
    live += malloc_usable_size(p);
    allocations++;
    if (live > peak) peak = live;
  }
};
Heap heaps[3];

}  // namespace

extern "C" void *malloc(size_t size) {
  void *p = __libc_malloc(size);
  if (owner != nobody && p != nullptr) heaps[owner].add(p);
  return p;
}
extern "C" void *calloc(size_t n, size_t size) {
  void *p = __libc_calloc(n, size);
  if (owner != nobody && p != nullptr) heaps[owner].add(p);
  return p;
}
extern "C" void *realloc(void *old, size_t size) {
  if (owner != nobody && old != nullptr) heaps[owner].live -= malloc_usable_size(old);
  void *p = __libc_realloc(old, size);
  if (owner != nobody && p != nullptr) heaps[owner].add(p);
  return p;
}
extern "C" void free(void *p) {
  if (owner != nobody && p != nullptr) heaps[owner].live -= malloc_usable_size(p);
  __libc_free(p);
}

namespace {

// Elsewhere does things in another thread, one at a time.
class Elsewhere {
 public:
  Elsewhere() : thread_([this] { loop(); }) {}
  ~Elsewhere() {
    run(nullptr, nullptr);
    thread_.join();
  }
  // run returns whether it ended without an exception.
  bool run(void (*what)(void *), void *with) {
    pthread_mutex_lock(&mutex_);
    what_ = what;
    with_ = with;
    busy_ = true;
    pthread_cond_broadcast(&changed_);
    while (busy_) pthread_cond_wait(&changed_, &mutex_);
    bool good = good_;
    pthread_mutex_unlock(&mutex_);
    return good;
  }

 private:
  void loop() {
    pthread_mutex_lock(&mutex_);
    for (;;) {
      while (!busy_) pthread_cond_wait(&changed_, &mutex_);
      good_ = true;
      if (what_ != nullptr) {
        try {
          what_(with_);
        } catch (const test::Ended &) {
          good_ = false;
        }
      }
      busy_ = false;
      pthread_cond_broadcast(&changed_);
      if (what_ == nullptr) break;
    }
    pthread_mutex_unlock(&mutex_);
  }

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
  void (*what_)(void *) = nullptr;
  void *with_ = nullptr;
  bool busy_ = false, good_ = true;
  std::thread thread_;
};

Elsewhere *elsewhere;

template <typename F>
void away(F f) {
  Owner before = owner;
  owner = nobody;
  bool good = elsewhere->run([](void *with) { (*static_cast<F *>(with))(); }, &f);
  owner = before;
  if (!good) throw test::Ended{flota::Reset::software};
}

// The machine's ports, each of whose calls is made elsewhere.
struct Network final : flota::Network {
  test::Wire &w;
  explicit Network(test::Wire &wire) : w(wire) {}
  bool ready() override { return w.up; }
  bool open(const char *host, uint16_t port, bool tls, const char *ca, uint32_t ms) override {
    bool done = false;
    away([&] { done = w.open(host, port, tls, ca, ms); });
    return done;
  }
  bool write(const uint8_t *data, size_t size, uint32_t ms) override {
    bool done = false;
    away([&] { done = w.write(data, size, ms); });
    return done;
  }
  int read(uint8_t *data, size_t size, uint32_t ms) override {
    int n = -1;
    away([&] { n = w.read(data, size, ms); });
    return n;
  }
  void close() override { w.close(); }
};

struct Slots final : flota::Slots {
  test::Flash &f;
  explicit Slots(test::Flash &flash) : f(flash) {}
  uint32_t size() override { return f.size(); }
  template <typename F>
  bool ask(F what) {
    bool done = false;
    away([&] { done = what(); });
    return done;
  }
  bool running(uint8_t d[32]) override {
    return ask([&] { return f.running(d); });
  }
  bool erase(uint32_t o, uint32_t n) override {
    return ask([&] { return f.erase(o, n); });
  }
  bool write(uint32_t o, const uint8_t *d, size_t n) override {
    return ask([&] { return f.write(o, d, n); });
  }
  bool read(uint32_t o, uint8_t *d, size_t n) override {
    return ask([&] { return f.read(o, d, n); });
  }
  bool acceptable(uint32_t n) override {
    return ask([&] { return f.acceptable(n); });
  }
  bool activate() override {
    return ask([&] { return f.activate(); });
  }
  flota::Trial trial() override { return f.trial(); }
  bool confirm() override {
    return ask([&] { return f.confirm(); });
  }
  bool revert() override {
    return ask([&] { return f.revert(); });
  }
  bool rolls_back() override { return true; }
};

struct Storage final : flota::Storage {
  test::Memory &m;
  explicit Storage(test::Memory &memory) : m(memory) {}
  int get(const char *key, void *value, size_t room) override {
    int n = -1;
    away([&] { n = m.get(key, value, room); });
    return n;
  }
  bool put(const char *key, const void *value, size_t size) override {
    bool done = false;
    away([&] { done = m.put(key, value, size); });
    return done;
  }
  bool erase(const char *key) override {
    bool done = false;
    away([&] { done = m.erase(key); });
    return done;
  }
};

struct Crypto final : flota::Crypto {
  flota::MbedtlsCrypto real;
  struct Mine {
    Owner before = owner;
    Mine() { owner = library_memory; }
    ~Mine() { owner = before; }
  };
  void sha256_begin() override {
    Mine mine;
    real.sha256_begin();
  }
  void sha256_add(const void *d, size_t n) override {
    Mine mine;
    real.sha256_add(d, n);
  }
  void sha256_end(uint8_t digest[32]) override {
    Mine mine;
    real.sha256_end(digest);
  }
  void hmac_sha256(const uint8_t k[32], const void *d, size_t n, uint8_t mac[32]) override {
    Mine mine;
    real.hmac_sha256(k, d, n, mac);
  }
  bool verify(const uint8_t k[65], const uint8_t d[32], const uint8_t s[64]) override {
    Mine mine;
    return real.verify(k, d, s);
  }
  bool point(const uint8_t k[65]) override {
    Mine mine;
    return real.point(k);
  }
};

struct Sketch final : flota::Sketch {
  test::Machine &m;
  explicit Sketch(test::Machine &machine) : m(machine) {}
  void update(const flota::Event &e) override {
    away([&] { m.update(e); });
  }
  bool accepts(const flota::Event &) override { return true; }
  bool ready() override { return true; }
  bool works() override { return true; }
};

// Stack is painted; what is not paint any more was used.
class Stack {
 public:
  Stack() { std::memset(bytes_, kPaint, sizeof bytes_); }
  // used is in bytes, what a thread needs for itself included.
  size_t used() const {
    size_t i = 4096;  // the guard page
    while (i < sizeof bytes_ && bytes_[i] == kPaint) i++;
    return sizeof bytes_ - i;
  }
  void run(void *(*what)(void *), void *with) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, bytes_, sizeof bytes_);
    if (pthread_create(&thread, &attributes, what, with) != 0) abort();
    pthread_join(thread, nullptr);
  }

 private:
  static constexpr uint8_t kPaint = 0xa5;
  alignas(4096) uint8_t bytes_[1 << 18];
};

struct Bench {
  test::Server server;
  test::Machine m;
  Network network{m.wire};
  Slots slots{m.flash};
  Storage storage{m.storage};
  Crypto crypto;
  Sketch sketch{m};
  flota::Machine ports{network, slots, storage, m.board, crypto, m.serial};
  // Where the agent is for as long as the machine is on.
  alignas(flota::Agent) char room[sizeof(flota::Agent)];
  std::function<bool()> done;

  // start runs an agent from its begin until done, or the restart.
  void start() {
    m.power.booted = m.power.now;
    m.flash.boot();
    owner = agent_memory;
    flota::Agent *agent = new (room) flota::Agent(ports, sketch);
    try {
      agent->begin();
      for (;;) {
        agent->step();
        owner = nobody;
        bool end = done();
        owner = agent_memory;
        if (end) break;
      }
    } catch (const test::Ended &) {
    }
    owner = nobody;
  }
  static void *started(void *bench) {
    static_cast<Bench *>(bench)->start();
    return nullptr;
  }
};

bool failed = false;

void figure(const char *name, double value, double most) {
  std::printf("%s=%.*f\n", name, value == double(long(value)) ? 0 : 2, value);
  if (value <= most) return;
  std::printf("FAILED: %s must be at most %g\n", name, most);
  failed = true;
}

size_t used_by(void *(*what)(void *), void *with) {
  static Stack &stack = *new Stack;
  stack.~Stack();
  new (&stack) Stack;
  stack.run(what, with);
  return stack.used();
}

}  // namespace

int main() {
  Elsewhere thread;
  elsewhere = &thread;
  static Bench &b = *new Bench;
  b.server.give(b.m);
  test::Bytes old = test::image(1, 150'000), next = test::image(2, 150'000);
  b.m.flash.flash(0, old);
  b.m.known[test::sha256(old)] = "old";
  // The answers of the real server have these headers, too.
  b.m.wire.server = [&](const std::string &raw) {
    test::Served s = b.server.handle(raw);
    s.answer.insert(s.answer.find("\r\n") + 2, "Date: Sun, 22 Nov 2026 06:17:00 GMT\r\nConnection: close\r\n");
    return s;
  };
  size_t bare = used_by(
      [](void *) -> void * {
        away([] {});
        return nullptr;
      },
      nullptr);

  // Polls with nothing new.
  uint64_t sent = 0, received = 0;
  int polls = 0;
  b.server.number = 5;
  b.m.storage.values["decided"] = std::string("\5\0\0\0\0\0\0\0", 8);
  b.done = [&] {
    if (b.server.polls == polls) return false;
    polls = b.server.polls;
    if (polls == 2) sent = b.m.wire.sent, received = b.m.wire.received;
    return polls == 4;
  };
  size_t poll_stack = used_by(&Bench::started, &b);
  double per_poll = double(b.m.wire.sent - sent + b.m.wire.received - received) / 2;
  if (b.server.requests.back().get("if-none-match") != "\"5\"") failed = true;
  size_t poll_allocations = heaps[agent_memory].allocations + heaps[library_memory].allocations;

  // An update: to the restart, and from there to the confirmation.
  b.m.wire.sent = b.m.wire.received = 0;
  b.server.want(7, next);
  b.done = [] { return false; };
  size_t update_stack = used_by(&Bench::started, &b);
  b.done = [&] { return !b.server.reports.empty() && b.server.reports.back() == "confirmed"; };
  size_t confirm_stack = used_by(&Bench::started, &b);
  double overhead = double(b.m.wire.sent + b.m.wire.received) - double(next.size());
  if (b.m.running() != test::sha256(next)) failed = true;

  double kib = 1024.0;
  figure("esp32.heap.kib", double(sizeof(flota::Agent) + heaps[agent_memory].peak) / kib, 8);
  figure("esp32.heap.allocations_per_poll", double(poll_allocations), 0);
  figure("esp32.heap.signature.kib", double(heaps[library_memory].peak) / kib, 8);
  figure("esp32.stack.kib", double(std::max({poll_stack, update_stack, confirm_stack}) - bare) / kib, 6);
  figure("esp32.stack.poll.kib", double(poll_stack - bare) / kib, 6);
  figure("poll.bytes", per_poll, 1024);
  figure("update.overhead.bytes", overhead, 16384);
  for (const Heap &h : heaps) {
    if (h.live != 0) {
      std::printf("FAILED: %zu bytes were not freed\n", h.live);
      failed = true;
    }
  }
  std::puts(failed ? "FAILED" : "figures are within their bounds");
  return failed ? 1 : 0;
}
