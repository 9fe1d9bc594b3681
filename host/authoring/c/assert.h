#ifndef HEARTH_ASSERT_H
#define HEARTH_ASSERT_H
/* A broken promise ends the call. */
#define assert(condition) ((condition) ? (void)0 : __builtin_trap())
#endif
