/* What every unit test includes: cmocka with its prerequisites, in the order it wants. */
#pragma once

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
