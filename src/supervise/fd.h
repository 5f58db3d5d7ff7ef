/* Moving a descriptor out of an AUTO_CLOSE variable. */
#pragma once

#include "base/base.h"

#define TAKE_FD(fd) \
	({ \
		int taken_ = (fd); \
		(fd) = -1; \
		taken_; \
	})
