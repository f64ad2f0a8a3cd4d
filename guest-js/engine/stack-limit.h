/* Force-included before QuickJS's C. quickjs-ng turns its stack-overflow check off where __wasi__ is defined; deep
   recursion would then be a trap instead of a RangeError that JavaScript can catch. The C library's headers come first,
   since they need the macro. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fenv.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#undef __wasi__
