// The heap: malloc and the like of the whole process, counted against what an ESP32
// has. Before each block stands where it really begins and what it counts for.
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "esp_heap_caps.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "kernel.h"

extern "C" {
void *__libc_malloc(size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
extern char __data_start, _end;
}

namespace {

struct Header {
  void *base;
  uint64_t size : 63;
  uint64_t counted : 1;
};
static_assert(sizeof(Header) == 16, "blocks stay aligned");

const size_t kMemory = 320 << 10, kOverhead = 8;

// What counts, and its highest; before heap_begin nothing is refused.
size_t used = 0, most = 0, before = 0;
bool begun = false;
thread_local bool outside = false;

size_t limit() {
  size_t variables = &_end - &__data_start;
  return variables < kMemory - (16 << 10) ? kMemory - variables : 16 << 10;
}

bool take(size_t size) {
  size_t now = __atomic_add_fetch(&used, size, __ATOMIC_RELAXED);
  if (begun && now - before > limit()) {
    __atomic_sub_fetch(&used, size, __ATOMIC_RELAXED);
    return false;
  }
  for (size_t seen = __atomic_load_n(&most, __ATOMIC_RELAXED); now > seen;)
    if (__atomic_compare_exchange_n(&most, &seen, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) break;
  return true;
}

void give(size_t size) { __atomic_sub_fetch(&used, size, __ATOMIC_RELAXED); }

void *allocate(size_t size, size_t alignment) {
  bool counted = !outside;
  if (alignment < sizeof(Header)) alignment = sizeof(Header);
  if (size > PTRDIFF_MAX - 2 * alignment || (counted && !take(size + kOverhead))) {
    errno = ENOMEM;
    return nullptr;
  }
  void *base =
      alignment == sizeof(Header) ? __libc_malloc(size + alignment) : __libc_memalign(alignment, size + alignment);
  if (!base) {
    if (counted) give(size + kOverhead);
    return nullptr;
  }
  char *block = static_cast<char *>(base) + alignment;
  *(reinterpret_cast<Header *>(block) - 1) = {base, size, counted};
  return block;
}

}  // namespace

void heap_begin() {
  before = most = used;
  begun = true;
}
bool heap_take(size_t size) { return take(size); }
void heap_give(size_t size) { give(size); }
size_t heap_size() { return limit(); }
uint32_t heap_free() {
  size_t now = __atomic_load_n(&used, __ATOMIC_RELAXED), taken = now > before ? now - before : 0;
  return taken < limit() ? limit() - taken : 0;
}
size_t heap_least() { return most - before < limit() ? limit() - (most - before) : 0; }
void heap_outside(bool on) { outside = on; }

extern "C" {

void *malloc(size_t size) { return allocate(size, 0); }

void free(void *block) {
  if (!block) return;
  const Header *h = static_cast<Header *>(block) - 1;
  if (h->counted) give(h->size + kOverhead);
  __libc_free(h->base);
}

void *calloc(size_t n, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(n, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  void *block = allocate(bytes, 0);
  return block ? memset(block, 0, bytes) : nullptr;
}

void *realloc(void *block, size_t size) {
  if (!block) return malloc(size);
  if (size == 0) return free(block), nullptr;
  void *moved = allocate(size, 0);
  if (!moved) return nullptr;
  size_t old = (static_cast<Header *>(block) - 1)->size;
  memcpy(moved, block, old < size ? old : size);
  free(block);
  return moved;
}

void *memalign(size_t alignment, size_t size) { return allocate(size, alignment); }
void *aligned_alloc(size_t alignment, size_t size) { return allocate(size, alignment); }
void *valloc(size_t size) { return allocate(size, 4096); }
void *pvalloc(size_t size) { return allocate((size + 4095) & ~size_t(4095), 4096); }
int posix_memalign(void **block, size_t alignment, size_t size) {
  void *made = allocate(size, alignment);
  if (!made) return ENOMEM;
  *block = made;
  return 0;
}
size_t malloc_usable_size(void *block) { return block ? (static_cast<Header *>(block) - 1)->size : 0; }

void *heap_caps_malloc(size_t size, uint32_t capabilities) {
  return capabilities & MALLOC_CAP_SPIRAM ? nullptr : malloc(size);
}
void *heap_caps_calloc(size_t n, size_t size, uint32_t capabilities) {
  return capabilities & MALLOC_CAP_SPIRAM ? nullptr : calloc(n, size);
}
void heap_caps_free(void *block) { free(block); }
size_t heap_caps_get_total_size(uint32_t capabilities) { return capabilities & MALLOC_CAP_SPIRAM ? 0 : heap_size(); }
size_t heap_caps_get_free_size(uint32_t capabilities) { return capabilities & MALLOC_CAP_SPIRAM ? 0 : heap_free(); }
size_t heap_caps_get_minimum_free_size(uint32_t) { return heap_least(); }
size_t heap_caps_get_largest_free_block(uint32_t capabilities) { return heap_caps_get_free_size(capabilities); }

uint32_t esp_get_free_heap_size() { return heap_free(); }
uint32_t esp_get_minimum_free_heap_size() { return heap_least(); }
size_t xPortGetFreeHeapSize() { return heap_free(); }
size_t xPortGetMinimumEverFreeHeapSize() { return heap_least(); }
void *pvPortMalloc(size_t size) { return malloc(size); }
void vPortFree(void *block) { free(block); }
}
