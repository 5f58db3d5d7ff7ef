/* sd_notify(3) without the library: tells a supervisor (ours or systemd) how we are. */
#pragma once

#include "base/base.h"

/* "READY=1", "STOPPING=1", "STATUS=…". Nothing happens without NOTIFY_SOCKET. */
void notify(const char *text);
