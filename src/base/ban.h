/* Functions nobody here calls: they cannot be told how large their target is, or hide errors.
 * Included by base/base.h, so by every source file. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With _FORTIFY_SOURCE glibc makes it a macro for clang, which poisons no macros. */
#undef sprintf

#pragma GCC poison strcpy strcat sprintf vsprintf atoi atol strtok gets
