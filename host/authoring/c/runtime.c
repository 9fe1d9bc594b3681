/* The few functions of a C library that a plugin's bindings call. Each call into a plugin runs in a fresh instance, so
 * memory is only ever handed out: nothing lives long enough to be worth taking back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern unsigned char __heap_base;

static uintptr_t next;

/* Each block has its size before it, for realloc. */
void *malloc(size_t size) {
  if (next == 0) next = (uintptr_t)&__heap_base;
  uintptr_t block = (next + sizeof(size_t) + 15) & ~(uintptr_t)15;
  if (size > SIZE_MAX - block) abort();
  uintptr_t end = block + size;
  uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
  if (end > have) {
    size_t pages = (end - have + 0xffff) >> 16;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) abort();
  }
  next = end;
  ((size_t *)block)[-1] = size;
  return (void *)block;
}

void *calloc(size_t count, size_t size) {
  size_t all;
  if (__builtin_mul_overflow(count, size, &all)) abort();
  /* Memory that was never handed out before is zero. */
  return malloc(all);
}

void *realloc(void *old, size_t size) {
  if (!old) return malloc(size);
  size_t had = ((size_t *)old)[-1];
  if (size <= had) return old;
  void *block = malloc(size);
  memcpy(block, old, had);
  return block;
}

void free(void *block) { (void)block; }

_Noreturn void abort(void) { __builtin_trap(); }

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  return memmove(to, from, size);
}

void *memmove(void *to, const void *from, size_t size) {
  unsigned char *t = to;
  const unsigned char *f = from;
  if (t < f) {
    for (size_t i = 0; i < size; i++) t[i] = f[i];
  } else {
    for (size_t i = size; i > 0; i--) t[i - 1] = f[i - 1];
  }
  return to;
}

void *memset(void *to, int byte, size_t size) {
  unsigned char *t = to;
  for (size_t i = 0; i < size; i++) t[i] = (unsigned char)byte;
  return to;
}

int memcmp(const void *a, const void *b, size_t size) {
  const unsigned char *x = a, *y = b;
  for (size_t i = 0; i < size; i++) {
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  }
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}
