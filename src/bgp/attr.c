#include "bgp/attr.h"
